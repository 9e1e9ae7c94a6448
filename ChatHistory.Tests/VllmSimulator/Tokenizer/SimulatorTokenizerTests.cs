extern alias simulator;

using System.Text;
using CsCheck;
using simulator::ChatHistory.VllmSimulator.Tokenizer;

namespace ChatHistory.Tests.VllmSimulator.Tokenizer;

public sealed class SimulatorTokenizerTests
{
    // Half of the characters are those that the rules tell apart.
    private static readonly Gen<byte[]> s_text = Gen.OneOf(
            Gen.Char[" \t\nab_1.,{}\":é世“"].Select(character => character.ToString()),
            Gen.Const("😀"),
            Gen.Char.AlphaNumeric.Select(character => character.ToString()))
        .Array[0, 60]
        .Select(pieces => Encoding.UTF8.GetBytes(string.Concat(pieces)));

    [Theory]
    [InlineData("You said: “hi”.", "You| said|:| “hi|”|.")]
    [InlineData("wonderful", "wonder|ful")]
    [InlineData("{\"a\": 1}", "{\"|a|\":| 1|}")]
    [InlineData("你好世界", "你好|世界")]
    [InlineData("a \n b", "a| \n |b")]
    [InlineData("😀😀", "😀|😀")]
    [InlineData("", "")]
    public void Tokens_AreAsDocumented(string text, string tokens) => Assert.Equal(tokens, string.Join('|', Split(Encoding.UTF8.GetBytes(text)).Select(token => Encoding.UTF8.GetString(token))));

    [Fact]
    public void Tokens_PutTogether_AreTheText() => s_text.Sample(text => Split(text).SelectMany(token => token).SequenceEqual(text));

    [Fact]
    public void Tokens_AreWholeCharactersAndShort()
    {
        var strict = new UTF8Encoding(false, throwOnInvalidBytes: true);
        s_text.Sample(text => Split(text).All(token => token.Length is > 0 and <= SimulatorTokenizer.MaxTokenBytes && strict.GetCharCount(token) > 0));
    }

    [Fact]
    public void Ids_TurnBackIntoTheText() => s_text.Sample(text =>
    {
        var ids = new List<long>();
        SimulatorTokenizer.Encode(text, ids);
        return ids.Count == SimulatorTokenizer.Count(text)
            && ids.TrueForAll(id => id is > 0 and < 1L << 53)
            && SimulatorTokenizer.Decode(ids)!.SequenceEqual(text);
    });

    [Fact]
    public void AnyBytes_MakeProgress() => Gen.Byte.Array[0, 60].Sample(text => Split(text).SelectMany(token => token).SequenceEqual(text));

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(257)]
    [InlineData(long.MaxValue)]
    public void UnknownId_IsNoText(long id) => Assert.Null(SimulatorTokenizer.Decode([id]));

    private static List<byte[]> Split(byte[] text)
    {
        var tokens = new List<byte[]>();
        for (var at = 0; at < text.Length;)
        {
            var length = SimulatorTokenizer.NextTokenLength(text.AsSpan(at));
            tokens.Add(text[at..(at + length)]);
            at += length;
        }

        return tokens;
    }
}
