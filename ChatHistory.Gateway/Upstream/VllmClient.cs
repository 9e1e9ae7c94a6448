using System.Net.Http.Headers;
using ChatHistory.Gateway.Telemetry;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Upstream;

/// <summary>
/// Calls the model server. No call is ever repeated: a model may have begun to answer, and the caller's SDK repeats by itself.
/// </summary>
internal sealed class VllmClient(HttpClient http, IOptions<VllmOptions> options, TimeProvider time)
{
    /// <summary>The name under which others (the pass-through) get the same connections.</summary>
    public const string HttpClientName = "vllm";

    /// <summary>Registers the client with limits fit for completions that take minutes.</summary>
    public static void Add(IServiceCollection services)
    {
        services.AddSingleton<IPostConfigureOptions<VllmOptions>, VllmConnectionString>();
        services.AddOptions<VllmOptions>()
            .BindConfiguration(VllmOptions.Section)
            .ValidateDataAnnotations()
            .Validate(
                vllm => Uri.TryCreate(vllm.Endpoint, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https",
                "Vllm:Endpoint must be an absolute http or https address, e.g. http://localhost:8000.")
            .ValidateOnStart();

        services.AddHttpClient<VllmClient>(HttpClientName, (provider, http) =>
            {
                http.BaseAddress = BaseAddress(provider.GetRequiredService<IOptions<VllmOptions>>().Value.Endpoint);
                // The relay watches for silence instead: a total limit would cut long answers.
                http.Timeout = Timeout.InfiniteTimeSpan;
            })
            .UseSocketsHttpHandler((handler, provider) =>
            {
                handler.ConnectTimeout = provider.GetRequiredService<IOptions<VllmOptions>>().Value.ConnectTimeout;
                handler.AllowAutoRedirect = false;
                handler.UseCookies = false;
                handler.UseProxy = false;
                handler.PooledConnectionLifetime = TimeSpan.FromMinutes(5);
                // uvicorn closes an idle connection after 5 s: whoever uses it at that very moment gets an error in place of an answer.
                handler.PooledConnectionIdleTimeout = TimeSpan.FromSeconds(4);
                // An answer that is given up closes its connection at once instead of being read to its end first:
                // that is how vLLM learns that it can stop generating.
                handler.ResponseDrainTimeout = TimeSpan.Zero;
                handler.MaxResponseDrainSize = 0;
            })
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan)
            .RemoveAllLoggers();
    }

    /// <summary>Posts JSON and returns once the answer's headers are there, or says why they are not.</summary>
    /// <param name="path">Below the endpoint, e.g. <c>v1/chat/completions</c>.</param>
    /// <param name="requestId">vLLM takes it for its own: it is in vLLM's log and in the completion's id.</param>
    /// <param name="stop">Gives the call up, e.g. when the client has left.</param>
    public async Task<UpstreamAnswer> PostAsync(string path, ReadOnlyMemory<byte> json, string requestId, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new ReadOnlyMemoryContent(json) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
            Headers = { { RequestIds.Header, requestId } },
        };
        return await SendAsync(request, options.Value.ResponseTimeout, stop);
    }

    public async Task<UpstreamAnswer> GetAsync(string path, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        return await SendAsync(request, options.Value.ConnectTimeout, stop);
    }

    /// <summary>Both http://host:8000 and http://host:8000/v1 are in use as "the endpoint"; our paths begin with v1/.</summary>
    public static Uri BaseAddress(string endpoint)
    {
        var trimmed = endpoint.TrimEnd('/');
        return new Uri((trimmed.EndsWith("/v1", StringComparison.Ordinal) ? trimmed[..^"/v1".Length] : trimmed) + "/");
    }

    private async Task<UpstreamAnswer> SendAsync(HttpRequestMessage request, TimeSpan timeout, CancellationToken stop)
    {
        if (options.Value.ApiKey is { Length: > 0 } key)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        using var timedOut = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timedOut.Token, stop);
        try
        {
            return UpstreamAnswer.Of(await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return UpstreamAnswer.Stopped;
        }
        catch (OperationCanceledException exception) when (timedOut.IsCancellationRequested)
        {
            return UpstreamAnswer.Of(UpstreamErrors.TimedOut(timeout), exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or IOException)
        {
            return UpstreamAnswer.Of(UpstreamErrors.Of(exception), exception);
        }
    }
}
