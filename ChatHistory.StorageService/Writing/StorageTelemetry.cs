using System.Diagnostics;

namespace ChatHistory.StorageService.Writing;

/// <summary>The spans of this service.</summary>
internal static class StorageTelemetry
{
    public const string Name = "ChatHistory.Storage";

    public static readonly ActivitySource Source = new(Name);

    /// <summary>
    /// Records a command's span after the fact. One call carries the commands of many turns, so no span is current while they run; each
    /// command brought the trace context of its turn.
    /// </summary>
    /// <param name="operation">Such as <c>begin_turn</c>.</param>
    /// <param name="traceparent">W3C trace context of the turn; may be empty.</param>
    /// <param name="started">When the call came in.</param>
    /// <param name="failure">Why it was not written, or was refused; null for success. Never content.</param>
    public static void RecordCommand(string operation, string traceparent, DateTimeOffset started, string? failure)
    {
        if (!Source.HasListeners())
        {
            return;
        }

        ActivityContext.TryParse(traceparent, traceState: null, isRemote: true, out var parent);
        using var activity = Source.StartActivity($"storage {operation}", ActivityKind.Server, parent, startTime: started);
        activity?.SetTag("db.system.name", "sqlite");
        activity?.SetTag("db.operation.name", operation);
        if (failure is not null)
        {
            activity?.SetTag("error.type", failure);
            activity?.SetStatus(ActivityStatusCode.Error);
        }
    }
}
