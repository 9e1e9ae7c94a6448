using System.Text;
using System.Text.Json;
using ChatHistory.Gateway.Relay;
using CsCheck;

namespace ChatHistory.Tests.Gateway;

/// <summary>Chunks that are alike are read by what they have in common: nothing must be understood otherwise than by a JSON reader.</summary>
public sealed class ChunkTemplateTests
{
    private const string Hello = """{"id":"c","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}""";

    private static readonly Gen<string> s_text = Gen.OneOf(
        Gen.String,
        Gen.OneOf("", " ", "\n", "\"", "\\", "},\"finish_reason\":\"stop\"", "北京", "😀", "\u0001", "\ud800", "a\"},\"logprobs\":null,\"finish_reason\":null}]}"));

    // Some are written as a server would, some as nobody should.
    private static readonly Gen<string> s_value = Gen.OneOf(
        s_text.Select(text => JsonSerializer.Serialize(text)),
        s_text.Select(text => $"\"{text}\""),
        Gen.OneOf("null", "7", "{}"));

    private static readonly Gen<string> s_delta = Gen.Select(
        Often(8, """{"NAME":VALUE}""", """{"role":"assistant","NAME":VALUE}""", """{"content":"twice","NAME":VALUE}""", """{"NAME":VALUE,"reasoning":"and more"}"""),
        Gen.OneOf("content", "content", "content", "reasoning_content", "reasoning", "refusal", "cont\\u0065nt"),
        s_value,
        (delta, name, value) => delta.Replace("NAME", name, StringComparison.Ordinal).Replace("VALUE", value, StringComparison.Ordinal));

    private static readonly Gen<string> s_chunk = Gen.Select(
        Often(
            9,
            """{"id":"c","choices":[{"index":0,"delta":DELTA,"logprobs":null,"finish_reason":null}]}""",
            """{"choices":[{"index":0,"delta":DELTA,"finish_reason":"stop"}]}""",
            """{"choices":[{"index":1,"delta":DELTA}]}""",
            """{"choices":[{"index":0,"delta":DELTA},{"index":1,"delta":{"content":"b"}}]}""",
            """{"choices":[{"index":0,"delta":DELTA}],"usage":{"prompt_tokens":3,"completion_tokens":4}}""",
            """{"choices":[{"index":0,"delta":DELTA}],"usage":{"prompt_tokens":3,"completion_tokens":5}}""",
            """{"choices":[{"index":0,"delta":DELTA,"logprobs":{"\ud800x":1}}]}""",
            """{"choices":[{"index":0,"also":{"content":"elsewhere"},"delta":DELTA}]}""",
            """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"x"}}]}}]}""",
            """{"error":{"message":"boom"},"choices":[{"index":0,"delta":DELTA}]}"""),
        s_delta,
        (chunk, delta) => chunk.Replace("DELTA", delta, StringComparison.Ordinal));

    /// <summary>A member that is another one in each chunk leaves nothing in common.</summary>
    [Fact]
    public void ChunksAlike_AreUnderstoodAsIfNoneWas() => s_chunk.List[1, 40].Sample(chunks =>
    {
        var (alike, different) = (new CompletionObserver(choices: 2), new CompletionObserver(choices: 2));
        foreach (var (chunk, i) in chunks.Select((chunk, i) => (chunk, i)))
        {
            Assert.Equal(different.Observe(Encoding.UTF8.GetBytes("{\"n\":" + i + "," + chunk[1..])), alike.Observe(Encoding.UTF8.GetBytes(chunk)));
        }

        Assert.Equal(Told(different), Told(alike));
    });

    [Fact]
    public void Template_TakesTheTextBetweenHeadAndTail()
    {
        var template = TemplateOf(Hello)!;

        Assert.Equal((0, false), (template.Choice, template.IsReasoning));
        Assert.Equal(" 世界", TextOf(template, Hello.Replace("Hello", " 世界", StringComparison.Ordinal)));
        Assert.Equal("", TextOf(template, Hello.Replace("Hello", "", StringComparison.Ordinal)));
        Assert.Null(TextOf(template, Hello.Replace("Hello", "\\n", StringComparison.Ordinal)));
        Assert.Null(TextOf(template, Hello.Replace("null", "\"stop\"", StringComparison.Ordinal)));
        Assert.Null(TextOf(template, Hello.Replace("\"c\"", "\"d\"", StringComparison.Ordinal)));
        Assert.Null(TextOf(template, Hello.Replace("Hello\"}", "Hello\",\"content\":\"again\"}", StringComparison.Ordinal)));
        Assert.False(template.TryRead([.. Encoding.UTF8.GetBytes(Hello[..Hello.IndexOf("Hello", StringComparison.Ordinal)]), 0xFF, .. Encoding.UTF8.GetBytes(Hello[(Hello.IndexOf("Hello", StringComparison.Ordinal) + 5)..])], out _));
    }

    [Theory]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}""")]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"a","reasoning":"b"}}]}""")]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"a","content":"b"}}]}""")]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"a","tool_calls":[]}}]}""")]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":null}}]}""")]
    [InlineData("""{"choices":[{"index":0,"message":{"content":"a"}}]}""")]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3}}""")]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"\ud800x":1}}]}""")]
    [InlineData("""{"choices":[]}""")]
    public void ChunkWithMoreThanAPieceOfText_IsNoTemplate(string chunk) => Assert.Null(TemplateOf(chunk));

    private static Gen<string> Often(int weight, string first, params string[] others) => Gen.OneOf([.. Enumerable.Repeat(first, weight), .. others]);

    private static ChunkTemplate? TemplateOf(string chunk) =>
        ChunkTemplate.Of(Encoding.UTF8.GetBytes(chunk), JsonSerializer.Deserialize(chunk, ChatCompletionsJsonContext.Default.ChatCompletionWire)!);

    private static string? TextOf(ChunkTemplate template, string chunk) => template.TryRead(Encoding.UTF8.GetBytes(chunk), out var text) ? Encoding.UTF8.GetString(text) : null;

    private static string Told(CompletionObserver observer) => string.Join(
        '\n',
        observer.Choices.Select(choice => $"{choice.ToMessage()} {choice.FinishReason}").Append($"{observer.Chunks} {observer.CompletionId} {observer.PromptTokens} {observer.CompletionTokens} {observer.Finished} {observer.Complete}"));
}
