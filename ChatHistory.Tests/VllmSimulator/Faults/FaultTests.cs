extern alias simulator;

using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using simulator::ChatHistory.VllmSimulator.Faults;

namespace ChatHistory.Tests.VllmSimulator.Faults;

public sealed class FaultTests(SimulatorServer server) : IClassFixture<SimulatorServer>
{
    private const string Path = "/v1/chat/completions";
    private const string Done = "data: [DONE]\n\n";

    [Theory]
    [InlineData("error-400", 400, "BadRequestError")]
    [InlineData("error-429", 429, "Too Many Requests")]
    [InlineData("error-500", 500, "InternalServerError")]
    [InlineData("error-503", 503, "Service Unavailable")]
    public async Task ErrorBeforeHeaders_IsVllmsEnvelope(string fault, int status, string type)
    {
        foreach (var stream in new[] { true, false })
        {
            using var response = await server.PostAsync(Path, Request(fault, stream, "\"retry_after\":7"));

            Assert.Equal(status, (int)response.StatusCode);
            Assert.Equal(type, JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error").GetProperty("type").GetString());
            Assert.Equal(status is 429 or 503 ? TimeSpan.FromSeconds(7) : null, response.Headers.RetryAfter?.Delta);
        }
    }

    [Theory]
    [InlineData("error-401", HttpStatusCode.Unauthorized, "application/json", """{"error":"Unauthorized"}""")]
    [InlineData("ok-with-error", HttpStatusCode.OK, "application/json", """{"error":{"message":"Internal server error","type":"InternalServerError","param":null,"code":500}}""")]
    [InlineData("html", HttpStatusCode.BadGateway, "text/html", "<html>")]
    [InlineData("html-200", HttpStatusCode.OK, "text/html", "<html>")]
    public async Task OtherAnswer_ReplacesTheCompletion(string fault, HttpStatusCode status, string mediaType, string begin)
    {
        using var response = await server.PostAsync(Path, Request(fault, stream: true));

        Assert.Equal(status, response.StatusCode);
        Assert.Equal(mediaType, response.Content.Headers.ContentType!.MediaType);
        Assert.StartsWith(begin, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task HangBeforeHeaders_LastsUntilTheClientLeaves()
    {
        using var leaving = new CancellationTokenSource();
        var asked = server.PostAsync(Path, Request("hang-before-headers", stream: true), HttpCompletionOption.ResponseHeadersRead, leaving.Token);
        await server.WaitForRequestsAsync(requests => Last(requests) is "running");

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        await server.WaitForRequestsAsync(requests => Last(requests) is "aborted");
    }

    [Theory]
    [InlineData("hang-mid-stream")]
    [InlineData("endless")]
    public async Task StreamWithoutEnd_StopsWhenTheClientLeaves(string fault)
    {
        using (var response = await server.PostAsync(Path, Request(fault, stream: true), HttpCompletionOption.ResponseHeadersRead))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            for (var chunk = 0; chunk < 3; chunk++)
            {
                Assert.StartsWith("data: {", await reader.ReadLineAsync(), StringComparison.Ordinal);
                Assert.Equal("", await reader.ReadLineAsync());
            }
        }

        await server.WaitForRequestsAsync(requests => Last(requests) is "aborted");
        Assert.Equal("""{"server_load":0}""", await server.Client.GetStringAsync("/load"));
    }

    [Fact]
    public async Task Reset_IsATcpResetInTheMiddleOfAChunk()
    {
        using var response = await server.PostAsync(Path, Request("reset", stream: true, "\"fault_after\":2"), HttpCompletionOption.ResponseHeadersRead);
        var (text, error) = await ReadToTheBitterEndAsync(response);

        Assert.Equal(2, text.Split("\n\n").Length - 1);
        Assert.StartsWith("data: {", text.Split("\n\n")[2], StringComparison.Ordinal);
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(error!.GetBaseException()).SocketErrorCode);
    }

    [Fact]
    public async Task ResetBody_StopsShortOfItsLength()
    {
        using var response = await server.PostAsync(Path, Request("reset", stream: false), HttpCompletionOption.ResponseHeadersRead);
        var (text, error) = await ReadToTheBitterEndAsync(response);

        Assert.Equal(response.Content.Headers.ContentLength / 2, Encoding.UTF8.GetByteCount(text));
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(error!.GetBaseException()).SocketErrorCode);
    }

    [Fact]
    public async Task Close_EndsCleanlyWithoutFinishReason()
    {
        var stream = await server.PostForTextAsync(Path, Request("close", stream: true));
        var body = await server.PostForTextAsync(Path, Request("close", stream: false));

        Assert.Equal(3, stream.Split("\n\n").Length - 1);
        Assert.DoesNotContain("stop", stream, StringComparison.Ordinal);
        Assert.ThrowsAny<JsonException>(() => JsonElement.Parse(body));
    }

    [Fact]
    public async Task NoDone_LacksNothingElse()
    {
        var stream = await server.PostForTextAsync(Path, Request("no-done", stream: true));

        Assert.EndsWith("\"system_fingerprint\":\"chathistory-simulator\"}\n\n", stream, StringComparison.Ordinal);
        Assert.Equal(await WithoutFaultAsync(), stream + Done);
    }

    [Fact]
    public async Task NoUsage_LacksItEverywhere()
    {
        const string Options = "\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true}";

        var stream = await server.PostForTextAsync(Path, $$$"""{"messages":[{"role":"user","content":"Hi"}],"stream":true,{{{Options}}},"simulator":{"fault":"no-usage"}}""");
        var body = await server.PostForTextAsync(Path, Request("no-usage", stream: false));

        Assert.DoesNotContain("usage", stream + body, StringComparison.Ordinal);
        Assert.EndsWith(Done, stream, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ErrorChunk_IsVllms()
    {
        var stream = await server.PostForTextAsync(Path, Request("error-chunk", stream: true, "\"fault_after\":1"));
        using var response = await server.PostAsync(Path, Request("error-chunk", stream: false));

        Assert.EndsWith($$$"""data: {"error":{"message":"Internal server error","type":"InternalServerError","param":null,"code":500}}{{{"\n\n"}}}{{{Done}}}""", stream, StringComparison.Ordinal);
        Assert.Equal(3, stream.Split("\n\n").Length - 1);
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
    }

    [Fact]
    public async Task InvalidJson_IsOneChunkAmongGoodOnes()
    {
        var good = (await WithoutFaultAsync()).Split("\n\n");
        var stream = (await server.PostForTextAsync(Path, Request("invalid-json", stream: true))).Split("\n\n");

        Assert.Equal(good, stream.Where((_, index) => index != 3));
        Assert.StartsWith(stream[3], stream[4], StringComparison.Ordinal);
        Assert.ThrowsAny<JsonException>(() => JsonElement.Parse(stream[3]["data: ".Length..]));
    }

    [Fact]
    public async Task HugeLine_IsOneValidChunk()
    {
        var stream = (await server.PostForTextAsync(Path, Request("huge-line", stream: true))).Split("\n\n");
        var body = await server.PostForJsonAsync(Path, Request("huge-line", stream: false));

        var padding = JsonElement.Parse(stream[3]["data: ".Length..]).GetProperty("padding").GetString()!;
        Assert.Equal(10 * 1024 * 1024, padding.Length);
        Assert.Equal((await WithoutFaultAsync()).Split("\n\n"), stream.Where((_, index) => index != 3));
        Assert.Equal(10 * 1024 * 1024, body.GetProperty("padding").GetString()!.Length);
    }

    [Fact]
    public async Task SplitUtf8_ChangesNoByte()
    {
        var stream = await server.PostForTextAsync(Path, Request("split-utf8", stream: true));
        var body = await server.PostForJsonAsync(Path, Request("split-utf8", stream: false));

        Assert.Equal(await WithoutFaultAsync(), stream);
        Assert.Contains("“Hi”", body.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Crlf_EndsEveryLine() =>
        Assert.Equal((await WithoutFaultAsync()).Replace("\n", "\r\n", StringComparison.Ordinal), await server.PostForTextAsync(Path, Request("crlf", stream: true)));

    [Fact]
    public async Task Comments_StandBeforeEveryChunk() =>
        Assert.Equal((await WithoutFaultAsync()).Replace("data: ", ": simulated comment\n\ndata: ", StringComparison.Ordinal), await server.PostForTextAsync(Path, Request("comments", stream: true)));

    [Theory]
    [InlineData("hang-mid-stream", "the end")]
    [InlineData("close", "")]
    [InlineData("error-chunk", "error")]
    public async Task FaultBeyondTheLastChunk_StrikesBeforeDone(string fault, string sign)
    {
        using var response = await server.PostAsync(Path, Request(fault, stream: true, "\"fault_after\":1000000"), HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        string? line;
        do
        {
            line = await reader.ReadLineAsync();
        }
        while (line?.Contains("\"finish_reason\":\"stop\"", StringComparison.Ordinal) is false);

        Assert.Equal("", await reader.ReadLineAsync());
        if (sign != "the end")
        {
            Assert.StartsWith(sign.Length == 0 ? sign : $"data: {{\"{sign}\"", await reader.ReadToEndAsync(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"[[simulator: fault=error-500]]"}]}""", null, 500)]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}]}""", "fault = error-503; retry_after=1", 503)]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"simulator":{"fault":"error-400"}}""", "fault=error-503", 400)]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"simulator":{"fault":""}}""", "fault=error-503", 200)]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}]}""", "what=ever", 400)]
    public async Task Directive_ComesInThreeForms(string body, string? header, int status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (header is not null)
        {
            request.Headers.Add("X-Simulator", header);
        }

        using var response = await server.Client.SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task ConfiguredFault_MeetsEveryRequest()
    {
        await using var broken = new AsyncServer(await SimulatorServer.StartAsync("--Simulator:Fault=error-503"));

        using var response = await broken.Server.PostAsync("/v1/embeddings", """{"input":"x"}""");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
    }

    [Fact]
    public async Task ConfiguredNonsense_StopsTheStart()
    {
        var error = await Assert.ThrowsAnyAsync<Exception>(() => SimulatorServer.StartAsync("--Simulator:Fault=earthquake"));

        Assert.StartsWith("Simulator:Fault is 'earthquake', which is no fault. Known: error-400,", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Table_ListsEveryKindOnce()
    {
        var rows = JsonElement.Parse(await server.Client.GetStringAsync("/simulator/faults"));

        Assert.Equal(Enum.GetValues<FaultKind>().Length - 1, rows.GetArrayLength());
        Assert.Equal(FaultCatalog.All.Length, FaultCatalog.All.Select(fault => fault.Kind).Distinct().Count());
    }

    private static string Request(string fault, bool stream, string more = "\"tokens\":20") =>
        $$$"""{"messages":[{"role":"user","content":"Hi"}],"stream":{{{(stream ? "true" : "false")}}},"simulator":{"fault":"{{{fault}}}",{{{more}}} }}""";

    private Task<string> WithoutFaultAsync() => server.PostForTextAsync(Path, Request("", stream: true));

    private static string? Last(JsonElement requests) => requests.GetProperty("data").EnumerateArray().LastOrDefault() is { ValueKind: JsonValueKind.Object } last ? last.GetProperty("outcome").GetString() : null;

    private static async Task<(string Text, Exception? Error)> ReadToTheBitterEndAsync(HttpResponseMessage response)
    {
        using var received = new MemoryStream();
        try
        {
            await (await response.Content.ReadAsStreamAsync()).CopyToAsync(received);
            return (Encoding.UTF8.GetString(received.ToArray()), null);
        }
        catch (Exception error) when (error is IOException or HttpRequestException)
        {
            return (Encoding.UTF8.GetString(received.ToArray()), error);
        }
    }
}
