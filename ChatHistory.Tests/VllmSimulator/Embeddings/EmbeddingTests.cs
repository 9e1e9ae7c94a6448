extern alias simulator;

using System.Text;
using CsCheck;
using simulator::ChatHistory.VllmSimulator.Embeddings;

namespace ChatHistory.Tests.VllmSimulator.Embeddings;

public sealed class EmbeddingTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    private const string Path = "/v1/embeddings";

    [Fact]
    public async Task Answer_IsAsVllmWritesIt() => Assert.Equal(
        """{"id":"embd-1","object":"list","created":1700000000,"model":"chathistory-simulator","data":[{"index":0,"object":"embedding","embedding":[-0.36318022,0.78882647,0.4958356]}],"usage":{"prompt_tokens":3,"total_tokens":3,"completion_tokens":0,"prompt_tokens_details":null}}""",
        await server.PostForTextAsync(Path, """{"input":"a b c","dimensions":3}"""));

    [Fact]
    public async Task Base64_HoldsTheSameNumbers()
    {
        var numbers = await server.PostForJsonAsync(Path, """{"input":["a","b"]}""");
        var base64 = await server.PostForJsonAsync(Path, """{"input":["a","b"],"encoding_format":"base64"}""");

        for (var i = 0; i < 2; i++)
        {
            var bytes = base64.GetProperty("data")[i].GetProperty("embedding").GetBytesFromBase64();
            Assert.Equal(
                numbers.GetProperty("data")[i].GetProperty("embedding").EnumerateArray().Select(number => number.GetSingle()),
                Enumerable.Range(0, 384).Select(at => BitConverter.ToSingle(bytes, at * sizeof(float))));
        }
    }

    [Fact]
    public void Vector_HasLengthOne() => Gen.Select(Gen.String, Gen.Int[1, 64]).Sample((text, dimensions) =>
        Math.Abs(EmbeddingRule.Embed(Encoding.UTF8.GetBytes(text), dimensions).Sum(value => (double)value * value) - 1) < 1e-4);

    [Fact]
    public void SharedWords_BringTextsTogether()
    {
        var question = EmbeddingRule.Embed("Where does the black cat sleep?"u8, 384);

        Assert.True(Cosine(question, EmbeddingRule.Embed("The black cat does sleep here."u8, 384)) > 0.5);
        Assert.True(Cosine(question, EmbeddingRule.Embed("Interest rates rose again in May."u8, 384)) < 0.3);
    }

    [Theory]
    [InlineData("{}", "body.input")]
    [InlineData("""{"input":[]}""", "input")]
    [InlineData("""{"input":"a","dimensions":0}""", "dimensions")]
    [InlineData("""{"input":"a","encoding_format":"int8"}""", "body.encoding_format")]
    [InlineData("""{"input":"a","model":"other"}""", "model")]
    public async Task BadRequest_IsRefused(string body, string param) =>
        Assert.Equal(param, (await server.PostForJsonAsync(Path, body)).GetProperty("error").GetProperty("param").GetString());

    private static double Cosine(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();
}
