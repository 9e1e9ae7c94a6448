using System.Net;
using System.Runtime.InteropServices;
using ChatHistory.Gateway.Admission;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using ChatHistory.Gateway.Media;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.RateLimits;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Telemetry;
using ChatHistory.Gateway.Turns;
using ChatHistory.Gateway.Upstream;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Forwarder;

namespace ChatHistory.Gateway.PassThrough;

/// <summary>
/// Passes one request to the model server and its answer back, both as streams, through YARP's forwarder. It adds what the forwarder leaves
/// open: our errors in place of bare statuses, and an end that clients can tell from a whole answer.
/// </summary>
internal sealed partial class PassThroughHandler(
    IHttpForwarder forwarder,
    IHttpMessageHandlerFactory handlers,
    AdmissionGate admission,
    RateLimiter limiter,
    ShutdownGrace shutdown,
    MediaPolicy media,
    ChatTelemetry telemetry,
    IOptions<VllmOptions> options,
    TimeProvider time,
    ILogger<PassThroughHandler> logger) : IDisposable
{
    private readonly VllmOptions _vllm = options.Value;
    private readonly Uri _server = VllmClient.BaseAddress(options.Value.Endpoint);

    // The same connections as the chat completions', which are closed at once when an answer is given up.
    private readonly HttpMessageInvoker _client = new(handlers.CreateHandler(VllmClient.HttpClientName), disposeHandler: false);

    private readonly ForwarderRequestConfig _config = new()
    {
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        // The forwarder has one limit for every wait, begun anew with each piece of either body. So it has to be the longest of ours, which is
        // the one on headers: a completion that is not streamed sends nothing before its end. Silence inside an answer has its own
        // (IdleLimitedContent), and a client that is slow to send is Kestrel's to judge.
        ActivityTimeout = options.Value.ResponseTimeout > options.Value.IdleTimeout ? options.Value.ResponseTimeout : options.Value.IdleTimeout,
    };

    public async Task ForwardAsync(HttpContext context, PassThroughRoute route)
    {
        if (context.Request.ContentLength > context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize)
        {
            // Kestrel would say so too, but only after the model server had been promised this body.
            context.Response.StatusCode = StatusCodes.Status413PayloadTooLarge;
            return;
        }

        using var place = admission.Enter(AdmissionKind.PassThrough);
        using var json = route.IsJson ? await ReadAsync(context) : null;
        var estimate = TokenEstimate.Of(json?.Root, context.Request.ContentLength ?? 0);
        using var allowance = await limiter.EnterTurnAsync(CallerIdentity.Of(context.User), estimate, context.RequestAborted);

        // The forwarder turns an upgrade into a GET of its own; none of these routes has one.
        context.Request.Headers.Remove("Upgrade");
        context.Features.Set<IHttpResetFeature>(CutLater.Instance);

        var transformer = new VllmTransformer(new Uri(_server, route.Path), _vllm, time);
        var outcome = await forwarder.SendAsync(context, _server.AbsoluteUri, _client, _config, transformer, shutdown.Token);
        var exception = context.Features.Get<IForwarderErrorFeature>()?.Exception;
        allowance.Settle(transformer.Refusal is null ? transformer.Usage?.Tokens(estimate) ?? 0 : 0);
        if (transformer.Refusal is var (refusal, body))
        {
            Log.Refused(logger, route.Path, refusal.Status, telemetry.CapturesContent ? body : $"{body.Length} characters");
            await OpenAIErrors.EndAsync(context, Named(refusal, body, route));
        }
        else if (ErrorOf(outcome, exception, context) is { } error)
        {
            Log.Failed(logger, exception, route.Path, outcome, error.Code);
            await OpenAIErrors.EndAsync(context, error);
        }
    }

    public void Dispose() => _client.Dispose();

    /// <summary>
    /// Reads the body to see what it would have fetched (<see cref="MediaPolicy"/>): these routes take messages with media, too. The very bytes that were
    /// read are passed on.
    /// </summary>
    private async Task<JsonBody> ReadAsync(HttpContext context)
    {
        var request = context.Request;
        var body = await JsonBody.ReadAsync(request, context.RequestAborted);
        try
        {
            media.Check(body.Root);
        }
        catch
        {
            body.Dispose();
            throw;
        }

        request.Headers.TransferEncoding = default;
        request.ContentLength = body.Bytes.Length;
        request.Body = new MemoryStream(MemoryMarshal.TryGetArray(body.Bytes, out var bytes) ? bytes.Array! : body.Bytes.ToArray(), 0, body.Bytes.Length, writable: false);
        return body;
    }

    // A vLLM that serves a model of another kind lacks the route; it says no more than "Not Found".
    private static OpenAIError Named(OpenAIError refusal, string body, PassThroughRoute route) =>
        refusal.Status == StatusCodes.Status404NotFound && !body.Contains("model", StringComparison.OrdinalIgnoreCase)
            ? new(StatusCodes.Status404NotFound, ErrorTypes.InvalidRequest, "unknown_url",
                $"The model server has no POST {route.Path}. vLLM offers it only for models that can do it; ask for one that can.")
            : refusal;

    /// <summary>The error to tell the client; null when there is none, or nobody to tell.</summary>
    private OpenAIError? ErrorOf(ForwarderError outcome, Exception? exception, HttpContext context) => outcome switch
    {
        ForwarderError.None => null,
        _ when context.RequestAborted.IsCancellationRequested => null,
        // The body itself was at fault: the forwarder has set Kestrel's status (413, 408, 400), which gets its envelope with the others of its kind.
        ForwarderError.RequestBodyClient => null,
        _ when shutdown.Token.IsCancellationRequested => RelayResult.ShuttingDown.Error! with { Message = "The gateway is being stopped." },
        // Connecting has its own limit; the exception of that one names a time-out inside.
        ForwarderError.RequestTimedOut when exception is not OperationCanceledException { InnerException: TimeoutException } => UpstreamErrors.TimedOut(_vllm.ResponseTimeout),
        ForwarderError.ResponseBodyDestination when exception is TimeoutException => UpstreamErrors.Idle(_vllm.IdleTimeout) with { Message = "The model server fell silent in the middle of its answer, or found no end of it (Vllm:IdleTimeout, Vllm:MaxAnswerTime)." },
        ForwarderError.ResponseBodyDestination or ForwarderError.ResponseHeaders => UpstreamErrors.EndedEarly() with { Message = "The model server ended its answer before it was complete." },
        ForwarderError.ResponseBodyClient or ForwarderError.ResponseBodyCanceled => null,
        _ => UpstreamErrors.Of(exception),
    };

    /// <summary>
    /// Where the forwarder would abort a broken answer, which resets the connection and loses what was just written (see <see cref="ResponseCut"/>),
    /// it finds this instead; <see cref="OpenAIErrors.EndAsync"/> cuts.
    /// </summary>
    private sealed class CutLater : IHttpResetFeature
    {
        public static CutLater Instance { get; } = new();

        public void Reset(int errorCode)
        {
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Passing through {Path} failed: {Outcome}, {Code}")]
        public static partial void Failed(ILogger logger, Exception? exception, string path, ForwarderError outcome, string? code);

        // The model server's words may quote the prompt: they are written only where message content in telemetry is switched on.
        [LoggerMessage(2, LogLevel.Debug, "The model server refused {Path} with {Status}: {Body}")]
        public static partial void Refused(ILogger logger, string path, int status, string body);
    }
}
