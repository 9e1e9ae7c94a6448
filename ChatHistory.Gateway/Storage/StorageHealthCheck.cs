using ChatHistory.Storage.V1;
using Grpc.Core;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ChatHistory.Gateway.Storage;

/// <summary>
/// The gateway is ready when the storage service answers. The model server is deliberately not asked: the history is served without it.
/// </summary>
internal sealed class StorageHealthCheck(ApiKeysClient keys, TurnsClient turns, TimeProvider time) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            // Turns go another way than everything else. No commands are an empty answer.
            await turns.WriteAsync(new WriteRequest(), deadline: time.Deadline(), cancellationToken: cancellationToken);
            // Any answer will do; NOT_FOUND is the expected one.
            await keys.FindAsync(new FindApiKeyRequest { KeyId = "health" }, deadline: time.Deadline(), cancellationToken: cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            return HealthCheckResult.Healthy();
        }
        catch (RpcException exception)
        {
            return HealthCheckResult.Unhealthy("storage does not answer", exception);
        }
    }
}
