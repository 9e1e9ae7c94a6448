using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Context;

/// <summary>
/// Makes a model accept what storage kept. A chat is refused, by the model server or by the model's template, when a tool call has no result or
/// a result no call, and a stored one would be refused with every further turn: a client that died between call and result, or one broken answer,
/// would end the session for ever (vllm#47761, letta#3273). Pure; the stored rows stay as they are.
/// </summary>
/// <remarks>
/// What comes out satisfies the chat rule: behind an assistant message with tool calls stand tool messages only, exactly one for each of its calls,
/// and no other tool message is anywhere.
/// <code>
///   user                         user
///   assistant  calls a, b        assistant  calls a, b
///   tool       b                 tool       b
///   user                   →     tool       a            moved behind its call
///   tool       a                 user
///   tool       c                                         left out: nobody called c
///   assistant  calls d           assistant  calls d
///                                tool       d            "(no result was recorded for this call)"
/// </code>
/// </remarks>
internal static class ReplayRepair
{
    /// <summary>What the model reads where a result is missing.</summary>
    public const string NoResult = "(no result was recorded for this call)";

    /// <param name="messages">The whole chat: stored messages, then the request's own, whose leading tool messages answer the last stored calls.</param>
    /// <returns>The messages to send. Those that needed no repair are the very objects that were given.</returns>
    public static RepairedReplay Repair(IReadOnlyList<MessageContent> messages)
    {
        var fixes = new List<ReplayFix>();
        var groups = ReadCalls(messages, fixes);
        AssignResults(messages, groups, fixes);

        var repaired = new List<MessageContent>(messages.Count);
        for (var i = 0; i < messages.Count; i++)
        {
            if (groups.TryGetValue(i, out var group))
            {
                repaired.Add(group.Message);
                repaired.AddRange(group.Results);
                repaired.AddRange(group.Open().Select(call => Synthetic(call, fixes)));
            }
            else if (messages[i].Role != "tool")
            {
                repaired.Add(ReplayContent.Readable(messages[i], fixes));
            }
        }

        return new RepairedReplay(repaired, fixes);
    }

    private static SortedDictionary<int, CallGroup> ReadCalls(IReadOnlyList<MessageContent> messages, List<ReplayFix> fixes)
    {
        var groups = new SortedDictionary<int, CallGroup>();
        for (var i = 0; i < messages.Count; i++)
        {
            if (messages[i] is { Role: "assistant", HasToolCalls: true } message)
            {
                var (repaired, calls) = ToolCalls.Read(message, fixes);
                groups[i] = new CallGroup(i, ReplayContent.Readable(repaired, fixes), calls);
            }
        }

        return groups;
    }

    private static void AssignResults(IReadOnlyList<MessageContent> messages, SortedDictionary<int, CallGroup> groups, List<ReplayFix> fixes)
    {
        var byId = groups.Values
            .SelectMany(group => group.Calls.Select(call => (call.StoredId, Group: group)))
            .ToLookup(pair => pair.StoredId, pair => pair.Group);
        var waiting = new List<int>();
        CallGroup? above = null;
        for (var i = 0; i < messages.Count; i++)
        {
            if (messages[i].Role != "tool")
            {
                above = groups.GetValueOrDefault(i);
                continue;
            }

            var id = messages[i].ToolCallId;
            if (id.Length == 0 && above?.Open().OrderBy(call => call.StoredId.Length).FirstOrDefault() is { } unnamed)
            {
                // It names no call, but stands where only a result can stand.
                fixes.Add(new ReplayFix(ReplayFixKind.UnnamedResult, unnamed.Id));
                above.Answer(unnamed, messages[i], fixes);
            }
            else if (byId[id].LastOrDefault(group => group.Index < i) is { } asked)
            {
                // The nearest call above it: ids are used again by some models.
                Answer(asked, messages[i], isMoved: asked != above, fixes);
            }
            else
            {
                waiting.Add(i);
            }
        }

        // Only now, so that a result in its place is preferred to one that came before its call.
        foreach (var i in waiting)
        {
            var id = messages[i].ToolCallId;
            if (byId[id].FirstOrDefault(group => group.Open().Any(call => call.StoredId == id)) is { } asked)
            {
                Answer(asked, messages[i], isMoved: true, fixes);
            }
            else
            {
                fixes.Add(new ReplayFix(ReplayFixKind.OrphanResult, id));
            }
        }
    }

    private static void Answer(CallGroup group, MessageContent result, bool isMoved, List<ReplayFix> fixes)
    {
        if (group.Open().FirstOrDefault(call => call.StoredId == result.ToolCallId) is not { } call)
        {
            fixes.Add(new ReplayFix(ReplayFixKind.DuplicateResult, result.ToolCallId));
            return;
        }

        if (isMoved)
        {
            fixes.Add(new ReplayFix(ReplayFixKind.MovedResult, call.Id));
        }

        group.Answer(call, result, fixes);
    }

    private static MessageContent Synthetic(ToolCall call, List<ReplayFix> fixes)
    {
        fixes.Add(new ReplayFix(ReplayFixKind.MissingResult, call.Id));
        return new MessageContent { Role = "tool", ToolCallId = call.Id, Content = NoResult };
    }

    /// <summary>An assistant message with its calls, and the results found for them in the order in which they stood.</summary>
    private sealed record CallGroup(int Index, MessageContent Message, IReadOnlyList<ToolCall> Calls)
    {
        public List<MessageContent> Results { get; } = [];

        public IEnumerable<ToolCall> Open() => Calls.Where(call => !call.IsAnswered);

        public void Answer(ToolCall call, MessageContent result, List<ReplayFix> fixes)
        {
            call.IsAnswered = true;
            result = ReplayContent.Readable(result, fixes);
            if (result.ToolCallId != call.Id)
            {
                result = result.Clone();
                result.ToolCallId = call.Id;
            }

            Results.Add(result);
        }
    }
}

/// <summary>The messages to send, and what had to be done to them.</summary>
internal sealed record RepairedReplay(IReadOnlyList<MessageContent> Messages, IReadOnlyList<ReplayFix> Fixes);

/// <param name="ToolCallId">The call's id, where there is one.</param>
internal sealed record ReplayFix(ReplayFixKind Kind, string? ToolCallId);

/// <summary>What was wrong, and what was done about it.</summary>
internal enum ReplayFixKind
{
    /// <summary>A call without a result got one that says so.</summary>
    MissingResult,

    /// <summary>A result that answers no call was left out.</summary>
    OrphanResult,

    /// <summary>A second result of one call was left out.</summary>
    DuplicateResult,

    /// <summary>A result that stood elsewhere was put behind its call.</summary>
    MovedResult,

    /// <summary>A result without an id was taken for that of the call above it.</summary>
    UnnamedResult,

    /// <summary>A call without an id, with the id of another or without a type got one.</summary>
    IncompleteCall,

    /// <summary>Something among the calls that is no call was left out.</summary>
    UnreadableCall,

    /// <summary>Arguments that are no JSON object were put into one, as text.</summary>
    UnreadableArguments,

    /// <summary>Stored content parts or other members that are no JSON were left out; the message's text stays.</summary>
    UnreadableContent,

    /// <summary>A stored part names media by an address that is not allowed; a text stands in its place (<see cref="Media.MediaPolicy"/>).</summary>
    RefusedMedia,
}

internal static class ReplayFixes
{
    public static string ToWire(this ReplayFixKind kind) => kind switch
    {
        ReplayFixKind.MissingResult => "missing_result",
        ReplayFixKind.OrphanResult => "orphan_result",
        ReplayFixKind.DuplicateResult => "duplicate_result",
        ReplayFixKind.MovedResult => "moved_result",
        ReplayFixKind.UnnamedResult => "unnamed_result",
        ReplayFixKind.IncompleteCall => "incomplete_call",
        ReplayFixKind.UnreadableCall => "unreadable_call",
        ReplayFixKind.UnreadableArguments => "unreadable_arguments",
        ReplayFixKind.RefusedMedia => "refused_media",
        _ => "unreadable_content",
    };
}
