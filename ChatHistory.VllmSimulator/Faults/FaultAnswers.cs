using System.Globalization;
using System.Text;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Streaming;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace ChatHistory.VllmSimulator.Faults;

/// <summary>The faults that replace the whole answer.</summary>
internal static class FaultAnswers
{
    private const string Page = """
        <html>
        <head><title>502 Bad Gateway</title></head>
        <body><center><h1>502 Bad Gateway</h1></center><hr><center>simulated</center></body>
        </html>

        """;

    /// <summary>Answers in place of the model if the script says so; false when the request goes on.</summary>
    public static async ValueTask<bool> TryAnswerAsync(HttpContext context, Script script, TimeProvider time, CancellationToken cancellationToken)
    {
        switch (script.Fault)
        {
            case FaultKind.Error400:
                return await AnswerAsync(VllmError.BadRequest("Simulated fault: bad request."));
            case FaultKind.Error401:
                return await AnswerAsync(VllmError.Unauthorized);
            case FaultKind.Error422:
                return await AnswerAsync(VllmError.FromStatus(StatusCodes.Status422UnprocessableEntity, "Simulated fault: unprocessable."));
            case FaultKind.Error429:
                return await RetryLaterAsync(VllmError.FromStatus(StatusCodes.Status429TooManyRequests, "Simulated fault: too many requests."));
            case FaultKind.Error500:
                return await AnswerAsync(VllmError.Internal);
            case FaultKind.Error503:
                return await RetryLaterAsync(VllmError.FromStatus(StatusCodes.Status503ServiceUnavailable, "Simulated fault: overloaded."));
            case FaultKind.Html:
                context.Response.StatusCode = StatusCodes.Status502BadGateway;
                return await PageAsync();
            case FaultKind.Html200:
                return await PageAsync();
            case FaultKind.OkWithError:
                await VllmError.Internal.WriteAsync(context, StatusCodes.Status200OK);
                return true;
            case FaultKind.ResetBeforeHeaders:
                context.Abort();
                return true;
            case FaultKind.GarbageHeaders:
                return await RawAsync("HTTP/1.1 fine thanks\r\nContent-Length: many\r\n: \r\n\r\n\0\u0001\u0002");
            case FaultKind.HugeHeaders:
                return await RawAsync("HTTP/1.1 200 OK\r\n" + string.Concat(Enumerable.Range(0, 1024).Select(i => $"X-{i}: {new string('x', 1024)}\r\n")));
            case FaultKind.HangInError:
                var error = VllmError.Internal.ToBytes();
                context.Response.StatusCode = StatusCodes.Status500InternalServerError;
                context.Response.ContentType = "application/json";
                context.Response.ContentLength = error.Length;
                await context.Response.Body.WriteAsync(error[..(error.Length / 2)], cancellationToken);
                await context.Response.Body.FlushAsync(cancellationToken);
                await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
                return true;
            case FaultKind.HangBeforeHeaders:
                await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
                return true;
            default:
                return false;
        }

        async ValueTask<bool> AnswerAsync(VllmError error)
        {
            await error.WriteAsync(context);
            return true;
        }

        ValueTask<bool> RetryLaterAsync(VllmError error)
        {
            context.Response.Headers.RetryAfter = script.RetryAfter.ToString(CultureInfo.InvariantCulture);
            return AnswerAsync(error);
        }

        // Past Kestrel, which would send only what is HTTP.
        async ValueTask<bool> RawAsync(string text)
        {
            await context.Features.GetRequiredFeature<IConnectionTransportFeature>().Transport.Output.WriteAsync(Encoding.Latin1.GetBytes(text), cancellationToken);
            await EventStream.AbortSoonAsync(context, cancellationToken);
            return true;
        }

        async ValueTask<bool> PageAsync()
        {
            context.Response.ContentType = "text/html";
            await context.Response.WriteAsync(Page, cancellationToken);
            return true;
        }
    }
}
