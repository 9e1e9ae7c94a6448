using ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.VllmSimulator.Generation;

/// <summary>One generated token.</summary>
/// <param name="Segment">The part it belongs to.</param>
/// <param name="ToolIndex">The position of its tool call among the tool calls.</param>
/// <param name="IsHead">True for a tool call's name; <paramref name="Text"/> is empty then.</param>
/// <param name="Text">Its bytes.</param>
internal readonly record struct Token(Segment Segment, int ToolIndex, bool IsHead, ReadOnlyMemory<byte> Text);

/// <summary>Walks an answer token by token, without a list of tokens.</summary>
internal sealed class TokenCursor(Answer answer, bool endless)
{
    private static readonly Segment s_fillerSegment = new(SegmentKind.Content, Filler.Text);

    private int _segment;
    private int _offset;
    private int _toolIndex = -1;
    private bool _headSent;

    public Answer Answer => answer;

    /// <summary>Tokens walked so far.</summary>
    public int Count { get; private set; }

    public bool IsAtEnd => !endless && Count == answer.CompletionTokens;

    /// <summary>The next token; false at the end.</summary>
    public bool MoveNext(out Token token)
    {
        while (_segment < answer.Segments.Count)
        {
            var segment = answer.Segments[_segment];
            if (segment.HeadTokens > 0 && !_headSent)
            {
                _headSent = true;
                _toolIndex++;
                Count++;
                token = new(segment, _toolIndex, true, default);
                return true;
            }

            if (_offset < segment.Text.Length)
            {
                return Take(segment, out token);
            }

            (_segment, _offset, _headSent) = (_segment + 1, 0, false);
        }

        if (endless)
        {
            _offset = _offset < Filler.Text.Length ? _offset : 0;
            return Take(s_fillerSegment, out token);
        }

        token = default;
        return false;
    }

    private bool Take(Segment segment, out Token token)
    {
        var rest = segment.Text[_offset..];
        var length = SimulatorTokenizer.NextTokenLength(rest.Span);
        token = new(segment, _toolIndex, false, rest[..length]);
        _offset += length;
        Count++;
        return true;
    }
}
