extern alias simulator;

using System.Text;
using CsCheck;
using simulator::ChatHistory.VllmSimulator.Generation;
using simulator::ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.Tests.VllmSimulator.Generation;

public sealed class AnswerTests
{
    private static readonly Gen<string> s_words = Gen.String[Gen.Char[" \nabc.“é"], 0, 40];

    [Fact]
    public void FillerText_HasExactlyTheTokensAskedFor() => Gen.Select(s_words, Gen.Int[0, 300]).Sample((text, tokens) =>
        SimulatorTokenizer.Count(Filler.Resize(Encoding.UTF8.GetBytes(text), tokens).Span) == tokens);

    [Fact]
    public void CutAnswer_KeepsItsPromises() => Gen.Select(s_words, s_words, Gen.Int[0, 30]).Sample((reasoning, content, maxTokens) =>
    {
        Segment[] whole = [new(SegmentKind.Reasoning, Encoding.UTF8.GetBytes(reasoning)), new(SegmentKind.Content, Encoding.UTF8.GetBytes(content))];
        var total = whole.Sum(segment => segment.CountTokens());

        var answer = Answer.Cut(whole, maxTokens, [], includeStop: false);

        var kept = string.Concat(answer.Segments.Select(segment => Encoding.UTF8.GetString(segment.Text.Span)));
        return answer.CompletionTokens == Math.Min(total, maxTokens)
            && answer.Segments.Sum(segment => segment.CountTokens()) == answer.CompletionTokens
            && (answer.FinishReason == Answer.Length) == (total > maxTokens)
            && (reasoning + content).StartsWith(kept, StringComparison.Ordinal);
    });

    [Fact]
    public void Cursor_WalksEveryToken() => s_words.Sample(content =>
    {
        var answer = Answer.Cut([new(SegmentKind.Content, Encoding.UTF8.GetBytes(content)), new(SegmentKind.ToolCall, "{\"a\":1}"u8.ToArray(), "f", "id")], int.MaxValue, [], false);
        var cursor = new TokenCursor(answer, endless: false);
        var text = new List<byte>();
        var heads = 0;
        while (cursor.MoveNext(out var token))
        {
            text.AddRange(token.Text.ToArray());
            heads += token.IsHead ? 1 : 0;
        }

        return cursor.IsAtEnd && cursor.Count == answer.CompletionTokens && heads == 1 && Encoding.UTF8.GetString([.. text]) == content + "{\"a\":1}";
    });

    [Theory]
    [InlineData("one two three", "two", false, "one ", "two")]
    [InlineData("one two three", "two", true, "one two", "two")]
    [InlineData("one two three", "four", false, "one two three", null)]
    [InlineData("one two three", "", false, "one two three", null)]
    public void StopSequence_EndsTheContent(string content, string stop, bool include, string expected, string? stopReason)
    {
        var answer = Answer.Cut([new(SegmentKind.Content, Encoding.UTF8.GetBytes(content))], 100, [stop], include);

        Assert.Equal(expected, Encoding.UTF8.GetString(answer.Segments[0].Text.Span));
        Assert.Equal(stopReason, answer.StopReason);
        Assert.Equal("stop", answer.FinishReason);
    }

    [Fact]
    public void EndlessCursor_GoesOn()
    {
        var cursor = new TokenCursor(Answer.Cut([], 0, [], false), endless: true);

        for (var i = 0; i < 1000; i++)
        {
            Assert.True(cursor.MoveNext(out var token));
            Assert.InRange(token.Text.Length, 1, SimulatorTokenizer.MaxTokenBytes);
        }
    }
}
