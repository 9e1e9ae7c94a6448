namespace ChatHistory.Gateway.Errors;

/// <summary>
/// Ends a response whose first bytes are out already, so that its client can tell that something went wrong: all that was written arrives,
/// then the connection closes without the chunked terminator.
/// </summary>
/// <remarks>
/// Kestrel does that only for an application that throws. What looks simpler is no way: <c>HttpContext.Abort</c> and
/// <c>BodyWriter.Complete(exception)</c> reset the connection at once, and what was just written is lost on the way;
/// <c>BodyWriter.CompleteAsync(exception)</c> forgets the exception and ends the body as if all were well.
/// </remarks>
internal static class ResponseCut
{
    private const string ItemKey = "chathistory.cut";

    /// <summary>Cuts the response when its handler has returned.</summary>
    public static void Cut(this HttpContext context, OpenAIError error) => context.Items[ItemKey] = error;

    /// <summary>True for the exception that Kestrel is given for a cut: to it an unhandled one, to us an end that was meant and recorded.</summary>
    public static bool IsCut(Exception exception) => exception is ResponseCutException;

    /// <summary>The outermost middleware: everything inside it sees a request that ended in order, and has recorded it so.</summary>
    public static WebApplication UseResponseCuts(this WebApplication app)
    {
        app.Use(async (context, next) =>
        {
            await next(context);
            if (context.Items[ItemKey] is OpenAIError error)
            {
                throw new ResponseCutException(error);
            }
        });
        return app;
    }

    private sealed class ResponseCutException(OpenAIError error) : Exception($"The response was cut after its error was sent: {error.Code}");
}
