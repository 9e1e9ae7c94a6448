using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Admission;

/// <summary>What one connection may cost: its size, and how long it may take its time. Explicit, because whoever judges them should find them here.</summary>
internal static class ConnectionLimits
{
    // Between two requests. Longer than what proxies and browsers in front keep theirs, so that they close first and no request meets a closing connection.
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(130);

    // Slower than any line in use, in both directions; counted only while somebody waits for the client.
    private static readonly MinDataRate s_slowest = new(bytesPerSecond: 1024, gracePeriod: TimeSpan.FromSeconds(5));

    private const int HeadBytes = 32 * 1024;
    private const int LineBytes = 8 * 1024;
    private const int HeaderCount = 100;

    public static IServiceCollection AddConnectionLimits(this IServiceCollection services)
    {
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<LimitsOptions>, TimeProvider>((kestrel, options, time) =>
        {
            var limits = kestrel.Limits;
            limits.MaxRequestBodySize = options.Value.MaxRequestBodyBytes;
            limits.MaxConcurrentConnections = options.Value.MaxConnections;
            limits.RequestHeadersTimeout = options.Value.HeadTimeout;
            limits.KeepAliveTimeout = s_keepAlive;
            limits.MinRequestBodyDataRate = s_slowest;
            limits.MinResponseDataRate = s_slowest;
            limits.MaxRequestHeadersTotalSize = HeadBytes;
            limits.MaxRequestLineSize = LineBytes;
            limits.MaxRequestHeaderCount = HeaderCount;
            kestrel.ConfigureEndpointDefaults(endpoint => endpoint.Use(next => connection => WithFirstByteAsync(connection, next, options.Value.HeadTimeout, time)));
        });
        return services;
    }

    /// <summary>
    /// A connection on which nothing was ever said is cut like one whose head does not end. Kestrel gives it the time that it gives between two
    /// requests, so that a thousand of them would cost an attacker one packet each.
    /// </summary>
    private static async Task WithFirstByteAsync(ConnectionContext connection, ConnectionDelegate next, TimeSpan limit, TimeProvider time)
    {
        // The server's own wish to end, when it stops, must not wait for a first byte either.
        var stopping = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? CancellationToken.None;
        using (var silence = new CancellationTokenSource(limit, time))
        using (var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, stopping))
        {
            try
            {
                var first = await connection.Transport.Input.ReadAsync(either.Token);
                // Looked at, not taken: the next reader begins with the same bytes.
                connection.Transport.Input.AdvanceTo(first.Buffer.Start);
            }
            catch (Exception exception) when (exception is OperationCanceledException or ConnectionResetException or ConnectionAbortedException)
            {
                return;
            }
        }

        await next(connection);
    }
}
