using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Data.Sqlite;

namespace ChatHistory.StorageService.Database;

/// <summary>Answers UNAVAILABLE until the database is open, and gives database errors their gRPC status.</summary>
internal sealed partial class ReadinessInterceptor(DatabaseReadiness readiness, ILogger<ReadinessInterceptor> logger) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        ThrowIfNotReady();
        try
        {
            return await continuation(request, context);
        }
        catch (SqliteException exception)
        {
            Log.CallFailed(logger, exception, context.Method);
            throw StorageStatus.Of(exception);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        ThrowIfNotReady();
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (SqliteException exception)
        {
            Log.CallFailed(logger, exception, context.Method);
            throw StorageStatus.Of(exception);
        }
    }

    private void ThrowIfNotReady()
    {
        if (readiness.NotReadyBecause is { } because)
        {
            throw StorageStatus.Unavailable(because);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "{Method} failed in the database.")]
        public static partial void CallFailed(ILogger logger, Exception exception, string method);
    }
}
