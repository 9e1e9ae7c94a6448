using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.Generation;

/// <summary>What a part of an answer is.</summary>
internal enum SegmentKind
{
    Reasoning,
    Content,
    ToolCall,
}

/// <summary>A part of an answer. <paramref name="Text"/> is UTF-8: the text, or the arguments of the tool call.</summary>
internal sealed record Segment(SegmentKind Kind, ReadOnlyMemory<byte> Text, string? ToolName = null, string? ToolCallId = null)
{
    /// <summary>A tool call's name comes first and counts as one token.</summary>
    public int HeadTokens => Kind is SegmentKind.ToolCall ? 1 : 0;

    public int CountTokens() => HeadTokens + SimulatorTokenizer.Count(Text.Span);
}
