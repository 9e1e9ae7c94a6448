using System.Net.Http.Headers;
using System.Net.Mime;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Telemetry;
using ChatHistory.Gateway.Upstream;
using Microsoft.Net.Http.Headers;
using Yarp.ReverseProxy.Forwarder;

namespace ChatHistory.Gateway.PassThrough;

/// <summary>
/// What of one request and its answer passes, beside the bodies. Headers go by a list of those that the model server needs, not by one of those
/// that it must not see: the caller's key, cookies and identity stay here, whatever they are called. <c>traceparent</c> is added by the HTTP client.
/// </summary>
/// <param name="target">The whole address. The caller's own path and query are never part of it.</param>
internal sealed class VllmTransformer(Uri target, VllmOptions options, TimeProvider time) : HttpTransformer
{
    private static readonly string[] s_contentHeaders = [HeaderNames.ContentType, HeaderNames.ContentEncoding, HeaderNames.ContentLanguage];

    // They would tell what stands behind the gateway, or speak for it.
    private static readonly string[] s_keptBack = [HeaderNames.Server, HeaderNames.Date, HeaderNames.SetCookie, RequestIds.Header];

    /// <summary>The model server's own error, when it answered with one.</summary>
    public (OpenAIError Error, string Body)? Refusal { get; private set; }

    /// <summary>What the answer says that it took, once it has passed.</summary>
    public UsageTail? Usage { get; private set; }

    public override ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        var incoming = httpContext.Request;
        proxyRequest.RequestUri = target;
        proxyRequest.Headers.TryAddWithoutValidation(RequestIds.Header, RequestIds.Of(httpContext));
        if (incoming.Headers.Accept is { Count: > 0 } accept)
        {
            proxyRequest.Headers.TryAddWithoutValidation(HeaderNames.Accept, accept.AsEnumerable());
        }

        if (options.ApiKey is { Length: > 0 } key)
        {
            proxyRequest.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        if (proxyRequest.Content is { } content)
        {
            // Without it the body would travel in chunks.
            content.Headers.ContentLength = incoming.ContentLength;
            foreach (var name in s_contentHeaders)
            {
                if (incoming.Headers.TryGetValue(name, out var values))
                {
                    content.Headers.TryAddWithoutValidation(name, values.AsEnumerable());
                }
            }
        }

        return ValueTask.CompletedTask;
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null)
        {
            return false;
        }

        if (!proxyResponse.IsSuccessStatusCode)
        {
            Refusal = await UpstreamErrors.ReadAsync(proxyResponse, options.IdleTimeout, time, cancellationToken);
            return false;
        }

        await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        var response = httpContext.Response;
        foreach (var name in s_keptBack)
        {
            response.Headers.Remove(name);
        }

        var isStream = proxyResponse.Content.Headers.ContentType?.MediaType == MediaTypeNames.Text.EventStream;
        proxyResponse.Content = new IdleLimitedContent(proxyResponse.Content, options.IdleTimeout, options.MaxAnswerTime, Usage = new UsageTail(), time);
        if (isStream)
        {
            response.Headers.CacheControl = "no-cache";
            // Tells nginx in front of us not to gather frames.
            response.Headers["X-Accel-Buffering"] = "no";
            // The forwarder would send the headers with the first bytes; a client's timeout for headers must not wait for the first token.
            await response.BodyWriter.FlushAsync(cancellationToken);
        }

        return true;
    }
}
