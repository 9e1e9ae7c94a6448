using System.Collections.Frozen;
using System.Collections.Immutable;

namespace ChatHistory.VllmSimulator.Faults;

/// <summary>One fault: its stable name, and what it does to a streamed and to a whole answer.</summary>
internal sealed record FaultDefinition(string Name, FaultKind Kind, string Streamed, string Whole);

/// <summary>
/// The table of faults. It is the code's look-up, the documentation, and what <c>GET /simulator/faults</c> answers.
/// "k" is the directive's <c>fault_after</c>: so many chunks are sent first.
/// </summary>
internal static class FaultCatalog
{
    private const string Same = "the same";
    private const string Nothing = "nothing: there is no stream";

    public static ImmutableArray<FaultDefinition> All { get; } =
    [
        new("error-400", FaultKind.Error400, "400 BadRequestError before anything else", Same),
        new("error-401", FaultKind.Error401, "401 as vLLM's --api-key sends it: {\"error\":\"Unauthorized\"}", Same),
        new("error-422", FaultKind.Error422, "422 before anything else", Same),
        new("error-429", FaultKind.Error429, "429 with Retry-After", Same),
        new("error-500", FaultKind.Error500, "500 InternalServerError", Same),
        new("error-503", FaultKind.Error503, "503 with Retry-After", Same),
        new("html", FaultKind.Html, "502 with an HTML page, as a proxy in between sends it", Same),
        new("html-200", FaultKind.Html200, "200 with an HTML page", Same),
        new("ok-with-error", FaultKind.OkWithError, "200 with {\"error\":{…}} as JSON, not as a stream", Same),
        new("hang-before-headers", FaultKind.HangBeforeHeaders, "no byte until the client leaves", Same),
        new("hang-mid-stream", FaultKind.HangMidStream, "k chunks, then silence until the client leaves", "half of the body, then silence"),
        new("reset", FaultKind.Reset, "k chunks and half of the next, then a TCP reset", "half of the body, then a TCP reset"),
        new("close", FaultKind.Close, "k chunks, then a clean end: no finish_reason, no [DONE]", "half of the body, then a clean end"),
        new("no-done", FaultKind.NoDone, "everything but [DONE]", Nothing),
        new("no-usage", FaultKind.NoUsage, "no usage although asked for", "no usage"),
        new("error-chunk", FaultKind.ErrorChunk, "k chunks, then vLLM's error chunk and [DONE]", "500 InternalServerError"),
        new("invalid-json", FaultKind.InvalidJson, "k chunks, one chunk that is no JSON, then the rest", "a body that is no JSON"),
        new("huge-line", FaultKind.HugeLine, "k chunks, one chunk of fault_bytes on one line, then the rest", "an answer of fault_bytes"),
        new("split-utf8", FaultKind.SplitUtf8, "every write ends inside a character, a field name or a line end", "writes that end inside characters"),
        new("crlf", FaultKind.Crlf, "lines end in CR LF", Nothing),
        new("comments", FaultKind.Comments, "an SSE comment before every chunk", Nothing),
        new("reset-before-headers", FaultKind.ResetBeforeHeaders, "a TCP reset before any byte, as a crash", Same),
        new("garbage-headers", FaultKind.GarbageHeaders, "a status line and headers that are no HTTP", Same),
        new("huge-headers", FaultKind.HugeHeaders, "a megabyte of headers", Same),
        new("hang-in-error", FaultKind.HangInError, "500 and half of its body, then silence until the client leaves", Same),
        new("comments-forever", FaultKind.CommentsForever, "k chunks, then SSE comments until the client leaves", Nothing),
        new("endless", FaultKind.Endless, "tokens until the client leaves", "no answer until the client leaves"),
    ];

    private static readonly FrozenDictionary<string, FaultKind> s_kinds = All.ToFrozenDictionary(fault => fault.Name, fault => fault.Kind);

    public static string Names { get; } = string.Join(", ", All.Select(fault => fault.Name));

    /// <summary>The fault of that name; no name is no fault. False when there is a name and no such fault.</summary>
    public static bool TryFind(string? name, out FaultKind kind)
    {
        kind = FaultKind.None;
        return string.IsNullOrEmpty(name) || s_kinds.TryGetValue(name, out kind);
    }
}
