using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ChatHistory.AppHost.Vllm;

/// <summary>Healthy means "the model is loaded": <c>/health</c> answers 200 and <c>/v1/models</c> lists the model.</summary>
internal sealed class VllmHealthCheck(VllmResource vllm, IHttpClientFactory clients) : IHealthCheck
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(5);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (!vllm.HttpEndpoint.IsAllocated)
        {
            return HealthCheckResult.Unhealthy("vLLM has no address yet.");
        }

        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(s_timeout);
        try
        {
            return await CheckAsync(timeout.Token);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            return HealthCheckResult.Unhealthy($"vLLM did not answer within {s_timeout.TotalSeconds:0} s.", exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException)
        {
            return HealthCheckResult.Unhealthy("vLLM is still loading, or is down.", exception);
        }
    }

    private async Task<HealthCheckResult> CheckAsync(CancellationToken cancellationToken)
    {
        using var client = clients.CreateClient(nameof(VllmHealthCheck));
        client.BaseAddress = new Uri(vllm.HttpEndpoint.Url);
        using var health = await client.GetAsync("health", cancellationToken);
        if (!health.IsSuccessStatusCode)
        {
            return HealthCheckResult.Unhealthy($"/health answered {(int)health.StatusCode}.");
        }

        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
        if (vllm.ApiKey is not null && await vllm.ApiKey.GetValueAsync(cancellationToken) is { Length: > 0 } key)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        using var response = await client.SendAsync(request, cancellationToken);
        response.EnsureSuccessStatusCode();
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var models = await JsonDocument.ParseAsync(body, cancellationToken: cancellationToken);
        var model = await vllm.Model.GetValueAsync(cancellationToken);
        return Lists(models.RootElement, model)
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy($"/v1/models does not list '{model}'.");
    }

    // {"object":"list","data":[{"id":"Qwen/Qwen3-0.6B","object":"model",...}]}
    private static bool Lists(JsonElement models, string? model) =>
        models.ValueKind is JsonValueKind.Object
        && models.TryGetProperty("data", out var data)
        && data.ValueKind is JsonValueKind.Array
        && data.EnumerateArray().Any(entry => entry.TryGetProperty("id", out var id) && id.ValueEquals(model));
}
