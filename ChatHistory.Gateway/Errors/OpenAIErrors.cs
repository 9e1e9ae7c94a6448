using System.Buffers;
using System.Globalization;
using System.Net.Mime;
using System.Text.Json;
using ChatHistory.Gateway.RateLimits;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Storage;
using ChatHistory.Gateway.Telemetry;
using Grpc.Core;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http.Features;

namespace ChatHistory.Gateway.Errors;

/// <summary>
/// The one place where failures become responses. Everything this service answers with a status of 400 or more has OpenAI's envelope:
/// what handlers throw, what storage refuses, what Kestrel rejects, and what routing finds no endpoint for. Never problem+json, which the
/// official .NET SDK shows as a bare status, and never a stack trace.
/// </summary>
internal static partial class OpenAIErrors
{
    /// <summary>What storage says of a message that is not in the session, or not there at all; a session that is not there comes first.</summary>
    public const string NoSuchMessage = "No such message.";

    public static WebApplication UseOpenAIErrors(this WebApplication app)
    {
        app.UseExceptionHandler(new ExceptionHandlerOptions
        {
            AllowStatusCode404Response = true,
            SuppressDiagnosticsCallback = _ => true,
            ExceptionHandler = async context =>
            {
                var failure = context.Features.Get<IExceptionHandlerFeature>()!;
                await WriteAsync(context, Report(failure.Error, failure.RouteValues, context, app.Logger));
            },
        });
        // What ASP.NET Core leaves to others: a failure when the first bytes are out, such as of a run that is deleted while it is read.
        app.Use(async (context, next) =>
        {
            try
            {
                await next(context);
            }
            catch (Exception exception) when (context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
            {
                await EndAsync(context, Report(exception, context.Request.RouteValues, context, app.Logger));
            }
        });
        // Statuses without a body: unknown routes, wrong methods, challenges.
        app.UseStatusCodePages(pages => WriteAsync(pages.HttpContext, FromStatus(pages.HttpContext)));
        return app;
    }

    public static async Task WriteAsync(HttpContext context, OpenAIError error)
    {
        var response = context.Response;
        response.StatusCode = error.Status;
        if (error.RetryAfterSeconds is { } seconds)
        {
            response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        if (error.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
            response.Headers["retry-after-ms"] = Math.Max(1, (long)Math.Ceiling(wait.TotalMilliseconds)).ToString(CultureInfo.InvariantCulture);
        }

        if (error.ShouldRetry is { } retry)
        {
            response.Headers["x-should-retry"] = retry ? "true" : "false";
        }

        if (error.EndsConnection)
        {
            response.Headers.Connection = "close";
        }

        // Without a token: to write to a client that has left is no error.
        await response.WriteAsJsonAsync(error.ToEnvelope(), ErrorsJsonContext.Wire.ErrorEnvelope);
    }

    /// <summary>Ends a response that failed, wherever it is: with the error, as its last event when it is a stream, or broken off.</summary>
    public static async Task EndAsync(HttpContext context, OpenAIError error)
    {
        if (!context.Response.HasStarted)
        {
            // Status, reason and headers may be the model server's.
            context.Response.Clear();
            await WriteAsync(context, error);
            return;
        }

        if (context.Response.ContentType?.StartsWith(MediaTypeNames.Text.EventStream, StringComparison.Ordinal) == true)
        {
            // Bytes may have passed uncut, so the last frame may be half of one: the blank line ends it.
            var client = context.Response.BodyWriter;
            client.Write("\n\n"u8);
            EventStream.WriteError(client, error);
            await client.FlushAsync(CancellationToken.None);
        }

        context.Cut(error);
    }

    private static OpenAIError Report(Exception exception, RouteValueDictionary? route, HttpContext context, ILogger logger)
    {
        var error = FromException(exception, route, context);
        if (error.Status >= StatusCodes.Status500InternalServerError)
        {
            Log.Failed(logger, exception, context.Request.Method, context.Request.Path, error.Status);
        }

        return error;
    }

    private static OpenAIError FromException(Exception exception, RouteValueDictionary? route, HttpContext context) => exception switch
    {
        OpenAIErrorException known => known.Error,
        StorageUnavailableException unavailable => unavailable.Error,
        RpcException storage => FromStorage(storage, route, context),
        BadHttpRequestException bad => FromBadRequest(bad, context),
        _ => OpenAIError.Internal(RequestIds.Of(context)),
    };

    private static OpenAIError FromStorage(RpcException exception, RouteValueDictionary? route, HttpContext context) => exception.StatusCode switch
    {
        // The details are sentences for the operator (backups.proto), but for those of a connection that failed.
        not StatusCode.Unavailable and not StatusCode.Cancelled when context.Request.Path.StartsWithSegments("/admin/backups") =>
            OpenAIError.Backup(exception.StatusCode, exception.Status.Detail, RequestIds.Of(context)),
        StatusCode.NotFound when exception.Status.Detail == NoSuchMessage && route?["item_id"] is string itemId => OpenAIError.ItemNotFound(itemId),
        StatusCode.NotFound when route?["conversation_id"] is string conversationId => OpenAIError.ConversationNotFound(conversationId),
        StatusCode.NotFound when route?["completion_id"] is string completionId => OpenAIError.CompletionNotFound(completionId),
        StatusCode.NotFound when exception.Status.Detail == NoSuchMessage && context.Request.Query["branch"].ToString() is { Length: > 0 } branch =>
            OpenAIError.MessageNotFound(branch, "branch"),
        StatusCode.NotFound when exception.Status.Detail == NoSuchMessage => OpenAIError.MessageNotFound(route?["message_id"] as string ?? ""),
        StatusCode.NotFound when route?["session_id"] is string sessionId => OpenAIError.SessionNotFound(sessionId),
        StatusCode.NotFound when route?["user_id"] is string userId => OpenAIError.UserNotFound(userId),
        StatusCode.NotFound when route?["key_id"] is string keyId => new(404, ErrorTypes.InvalidRequest, "key_not_found", $"No API key '{keyId}'.", "key_id"),
        // The detail begins with the field's name (storage.proto).
        StatusCode.InvalidArgument => OpenAIError.InvalidRequest(exception.Status.Detail, exception.Status.Detail.Split(' ')[0]),
        StatusCode.AlreadyExists => new(StatusCodes.Status409Conflict, ErrorTypes.InvalidRequest, "already_exists", exception.Status.Detail) { ShouldRetry = false },
        StatusCode.FailedPrecondition => OpenAIError.StorageFull(),
        StatusCode.PermissionDenied => RateLimitErrors.StoredBytes(),
        // Nobody reads this; but it is no failure either, and no error in the log.
        StatusCode.Cancelled when context.RequestAborted.IsCancellationRequested =>
            new(StatusCodes.Status499ClientClosedRequest, ErrorTypes.InvalidRequest, "client_left", "The client has left."),
        StatusCode.ResourceExhausted or StatusCode.Unavailable or StatusCode.DeadlineExceeded or StatusCode.Cancelled => OpenAIError.StorageUnavailable(),
        _ => OpenAIError.Internal(RequestIds.Of(context)),
    };

    private static OpenAIError FromBadRequest(BadHttpRequestException exception, HttpContext context) => exception.StatusCode switch
    {
        StatusCodes.Status413PayloadTooLarge => TooLarge(context),
        StatusCodes.Status415UnsupportedMediaType => OpenAIError.UnsupportedMediaType(),
        _ when exception.InnerException is JsonException json => FromJson(json),
        StatusCodes.Status400BadRequest when context.Request.ContentLength is null or 0 && exception.Message.Contains("body", StringComparison.Ordinal) =>
            OpenAIError.InvalidRequest("The request needs a JSON object as its body.", code: "invalid_json"),
        _ => OpenAIError.InvalidRequest(exception.Message) with { Status = exception.StatusCode },
    };

    // A value of the wrong type has the path of its member ("$.user_id"); JSON that is none has a place in the text only.
    private static OpenAIError FromJson(JsonException exception) => exception.Path is { Length: > 2 } path && exception.InnerException is null or InvalidOperationException
        ? OpenAIError.InvalidRequest($"{path[2..]} does not have the type that is expected there.", path[2..])
        : OpenAIError.InvalidRequest($"The body could not be read as JSON: {exception.InnerException?.Message ?? exception.Message}", code: "invalid_json");

    private static OpenAIError FromStatus(HttpContext context)
    {
        var request = context.Request;
        return context.Response.StatusCode switch
        {
            StatusCodes.Status404NotFound => new(404, ErrorTypes.InvalidRequest, "unknown_url",
                $"Unknown request URL: {request.Method} {request.Path}. The routes are listed at /scalar and in /openapi/v1.json."),
            StatusCodes.Status405MethodNotAllowed => new(405, ErrorTypes.InvalidRequest, "method_not_allowed",
                $"{request.Method} is not supported on {request.Path}. Supported: {context.Response.Headers.Allow}."),
            // A body that is read for a handler's parameter ends so; one that a handler reads itself, in an exception.
            StatusCodes.Status413PayloadTooLarge => TooLarge(context),
            StatusCodes.Status415UnsupportedMediaType => OpenAIError.UnsupportedMediaType(),
            var status when status >= 500 => OpenAIError.Internal(RequestIds.Of(context)) with { Status = status },
            var status => new(status, ErrorTypes.InvalidRequest, null, $"The request was refused with status {status}."),
        };
    }

    private static OpenAIError TooLarge(HttpContext context)
    {
        var limit = context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize?.ToString(CultureInfo.InvariantCulture) ?? "unlimited";
        return new OpenAIError(StatusCodes.Status413PayloadTooLarge, ErrorTypes.InvalidRequest, "request_too_large",
            $"The request body is larger than this gateway accepts ({limit} bytes). Send less, or raise Limits:MaxRequestBodyBytes.")
        {
            // What is left of it is not read.
            EndsConnection = true,
        };
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Method} {Path} failed with {Status}")]
        public static partial void Failed(ILogger logger, Exception exception, string method, string path, int status);
    }
}
