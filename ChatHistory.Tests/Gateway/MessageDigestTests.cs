using System.Text.Json;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;
using CsCheck;
using Google.Protobuf;

namespace ChatHistory.Tests.Gateway;

/// <summary>Which messages are the same to a transcript. Pure.</summary>
public sealed class MessageDigestTests
{
    [Theory]
    [InlineData("""{"role":"assistant","content":"\n\nHello \u00c4nne.\n"}""", """{"role":"assistant","content":"Hello Änne."}""", true)]
    [InlineData("""{"role":"assistant","content":"Hello"}""", """{"content":[{"text":" Hello\t","type":"text"}],"role":"assistant"}""", true)]
    [InlineData("""{"role":"assistant","content":"Hello"}""", """{"role":"assistant","content":"Hello","reasoning_content":"hm","refusal":null,"name":"x"}""", true)]
    [InlineData("""{"role":"assistant","content":"a b"}""", """{"role":"assistant","content":"a  b"}""", false)]
    [InlineData("""{"role":"assistant","content":"a\nb"}""", """{"role":"assistant","content":"ab"}""", false)]
    [InlineData("""{"role":"user","content":"Hello\n"}""", """{"role":"user","content":"Hello"}""", false)]
    [InlineData("""{"role":"user","content":"Hello"}""", """{"role":"assistant","content":"Hello"}""", false)]
    [InlineData(
        """{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1,\"b\":[true]}"}}]}""",
        """{"role":"assistant","content":"","tool_calls":[{"index":0,"function":{"arguments":"{ \"b\": [ true ],\n \"a\": 1 }","name":"f"},"id":"c"}]}""", true)]
    [InlineData(
        """{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}""",
        """{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":2}"}}]}""", false)]
    [InlineData(
        """{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":\"\\ud800\"}"}}]}""",
        """{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\""}}]}""", false)]
    public void Digest_TellsWhatIsTheSame(string one, string other, bool same) =>
        Assert.Equal(same, Digest(one) == Digest(other));

    /// <summary>The memory in which one is put together serves the next one, too: longer or shorter, and also after one whose stored parts no parser takes.</summary>
    [Fact]
    public void Digest_DoesNotDependOnWhatCameBefore() => Gen.Select(Gen.Int[0, 40_000], Gen.Bool, Gen.Bool).Array[1, 8].Sample(messages =>
    {
        foreach (var (length, isUnreadable, isAnswer) in messages)
        {
            var message = new MessageContent { Role = isAnswer ? "assistant" : "user", Content = new string('ä', length) };
            if (isUnreadable)
            {
                message.ContentParts = """[{"type":"image_url","image_url":"data:,"},{"type":""";
                Assert.ThrowsAny<JsonException>(() => MessageDigest.Of(message));
            }
            else
            {
                Assert.Equal(InMemoryOfItsOwn(message), MessageDigest.Of(message));
            }
        }
    });

    private static ByteString InMemoryOfItsOwn(MessageContent message)
    {
        var digest = ByteString.Empty;
        var thread = new Thread(() => digest = MessageDigest.Of(message));
        thread.Start();
        thread.Join();
        return digest;
    }

    private static string Digest(string json) => WireMessage.Parse(JsonElement.Parse(json), "message").Digest.ToBase64();
}
