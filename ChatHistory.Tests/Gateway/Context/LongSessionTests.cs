using System.Globalization;
using System.Net;
using System.Text.Json;
using ChatHistory.Gateway.Messages;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Gateway.Context;

/// <summary>Sessions that outgrow the model's window, and sessions that hold what no model takes: they go on.</summary>
public sealed class LongSessionTests(SmallWindowSystem system) : IClassFixture<SmallWindowSystem>
{
    private const string Limit = "\"max_tokens\":100";
    private const string Tools = """[{"type":"function","function":{"name":"look_up","parameters":{"type":"object","properties":{"what":{"type":"string"}},"required":["what"]}}}]""";

    private HttpClient Client => system.Client;

    [Fact]
    public async Task ManyTurns_NeverFail_AndTheCutStaysPutBetweenCuts()
    {
        var marker = NewPrompt();
        var session = (await CompleteAsync($$"""{"messages":[{"role":"system","content":"Be brief about {{marker}}"},{"role":"user","content":"Turn 0"}],{{Limit}}}""")).SessionId;
        var omitted = new List<int>();
        for (var turn = 1; turn < 36; turn++)
        {
            var answer = await CompleteAsync(Turn(session, $"Turn {turn} of a long talk about the sea, the wind and the weather"));
            omitted.Add(answer.Headers.TryGetValue("X-Context-Omitted-Messages", out var count) ? int.Parse(count, CultureInfo.InvariantCulture) : 0);
        }

        // The last cut may have been made just before the end.
        var cuts = omitted.CountBy(count => count).ToArray();
        Assert.Equal(omitted.Order(), omitted);
        Assert.True(cuts.Length > 3, "the test is about cuts");
        Assert.All(cuts.SkipLast(1), cut => Assert.True(cut.Value >= 3, $"{cut.Key} messages were left out for {cut.Value} turns only"));

        // What reached the model: the instructions, then whole turns from the cut on, word for word.
        var stored = await Client.MessagesOfAsync(session);
        Assert.Equal(73, stored.Length);
        var requests = (await RequestsAsync(marker)).Skip(1).ToArray();
        Assert.Equal(35, requests.Length);
        for (var i = 0; i < requests.Length; i++)
        {
            // Before turn i + 1 there are 2 (i + 1) messages behind the instructions, and then comes its question.
            var expected = stored.Take(1).Concat(stored[(1 + omitted[i])..((2 * i) + 4)]);
            Assert.Equal(expected.Select(RoleAndContent), requests[i].GetProperty("messages").EnumerateArray().Select(RoleAndContent));
        }

        // Counting is for the turns near the limit.
        Assert.InRange(await system.Simulator.CountsWithAsync(marker), cuts.Length - 1, 30);
    }

    [Fact]
    public async Task ChainOfResponses_AndATurnThatIsNotStored_AreCutAsWell()
    {
        var (previous, headers) = ("", new Dictionary<string, string>());
        for (var turn = 0; turn < 20; turn++)
        {
            var chain = previous.Length == 0 ? "" : $"\"previous_response_id\":\"{previous}\",";
            var answer = await Client.PostJsonAsync("/v1/responses", $$"""{{{chain}}"input":"Turn {{turn}} of a long talk about the sea, the wind and the weather","max_output_tokens":60}""");
            Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
            (previous, headers) = (answer.Body.GetProperty("id").GetString()!, answer.Headers);
        }

        Assert.True(headers.ContainsKey("X-Context-Omitted-Messages"), "the test is about cuts");
        var unstored = await CompleteAsync($$"""{"store":false,"session_id":"{{headers["X-Session-Id"]}}","messages":[{"role":"user","content":"And now?"}],{{Limit}}}""");
        Assert.Equal(headers["X-Context-Omitted-Messages"], unstored.Headers["X-Context-Omitted-Messages"]);
    }

    [Fact]
    public async Task ToolCallsAndResults_StayTogether()
    {
        var marker = NewPrompt();
        var session = (await CompleteAsync($$"""{"messages":[{"role":"user","content":"Say hello to {{marker}}"}],{{Limit}}}""")).SessionId;
        for (var turn = 0; turn < 12; turn++)
        {
            var asked = await CompleteAsync($$"""{"session_id":"{{session}}","messages":[{"role":"user","content":"Please look_up the {{marker}} of {{turn}}"}],"tools":{{Tools}},{{Limit}}}""");
            var id = asked.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls")[0].GetProperty("id").GetString();
            await CompleteAsync($$"""{"session_id":"{{session}}","messages":[{"role":"tool","tool_call_id":"{{id}}","content":"Found {{turn}}"}],"tools":{{Tools}},{{Limit}}}""");
        }

        var requests = await RequestsAsync(marker);
        Assert.All(requests, request => Assert.Null(Violation(request)));
        Assert.True(requests[^1].GetProperty("messages").GetArrayLength() < 45, "the test is about cuts");
    }

    [Theory]
    [InlineData("""{"role":"assistant","content":null,"tool_calls":[{"id":"lost","type":"function","function":{"name":"f","arguments":"{}"}}]}""", "missing_result")]
    [InlineData("""{"role":"tool","tool_call_id":"nobody","content":"a result"}""", "orphan_result")]
    [InlineData("""{"role":"assistant","content":null,"tool_calls":[{"id":"half","type":"function","function":{"name":"f","arguments":"{\"text\": \"half a"}}]}""", "unreadable_arguments,missing_result")]
    [InlineData("""{"role":"assistant","content":"Hm","tool_calls":[{"id":"a","function":{"name":"f"}},{"type":"function"},null]}""", "unreadable_call,unreadable_call,incomplete_call,missing_result")]
    public async Task PoisonedSession_StillAnswers(string poison, string kinds)
    {
        var marker = NewPrompt();
        var session = (await CompleteAsync($$"""{"messages":[{"role":"user","content":"{{marker}}"}],{{Limit}}}""")).SessionId;
        Assert.Equal(HttpStatusCode.Created, (await Client.PostJsonAsync($"/v1/sessions/{session}/messages", poison)).Status);
        var before = (await Client.MessagesOfAsync(session))[2].GetRawText();

        var preview = await PreviewAsync(session, """{"messages":[{"role":"user","content":"And now?"}]}""");
        var answer = await CompleteAsync(Turn(session, "And now?"));
        var again = await CompleteAsync(Turn(session, "And then?"));

        Assert.Equal(kinds, string.Join(',', preview.GetProperty("repaired").EnumerateArray().Select(fix => fix.GetProperty("kind").GetString())));
        var count = kinds.Split(',').Length.ToString(CultureInfo.InvariantCulture);
        Assert.Equal((count, count), (answer.Headers["X-Context-Repaired"], again.Headers["X-Context-Repaired"]));
        Assert.All(await RequestsAsync(marker), request => Assert.Null(Violation(request)));
        // What is stored stays what it was.
        Assert.Equal(before, (await Client.MessagesOfAsync(session))[2].GetRawText());
    }

    [Fact]
    public async Task Preview_IsWhatTheTurnThenSends_AndStoresNothing()
    {
        var marker = NewPrompt();
        var session = (await CompleteAsync($$"""{"messages":[{"role":"system","content":"{{marker}}"},{"role":"user","content":"Turn 0"}],{{Limit}}}""")).SessionId;
        for (var turn = 1; turn < 16; turn++)
        {
            await CompleteAsync(Turn(session, $"Turn {turn} of a long talk about the sea, the wind and the weather"));
        }

        var next = $$"""{"messages":[{"role":"user","content":"What was said?"}],"tools":{{Tools}},{{Limit}}}""";
        var preview = await PreviewAsync(session, next);
        var alone = await PreviewAsync(session, "{}");
        Assert.Equal(33, (await Client.MessagesOfAsync(session)).Length);
        var answer = await CompleteAsync(next.Replace("{\"messages\"", $"{{\"session_id\":\"{session}\",\"messages\"", StringComparison.Ordinal));

        var sent = (await RequestsAsync(marker))[^1].GetProperty("messages");
        Assert.Equal(sent.GetRawText(), preview.GetProperty("messages").GetRawText());
        Assert.Equal(answer.Body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), preview.GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(answer.Headers["X-Context-Omitted-Messages"], preview.GetProperty("omitted_messages").GetInt32().ToString(CultureInfo.InvariantCulture));
        Assert.Equal(("context.preview", SmallWindowSystem.Window, 0), (preview.GetProperty("object").GetString(), preview.GetProperty("max_model_len").GetInt32(), preview.GetProperty("repaired").GetArrayLength()));
        Assert.Equal("assistant", alone.GetProperty("messages")[alone.GetProperty("messages").GetArrayLength() - 1].GetProperty("role").GetString());
    }

    [Fact]
    public async Task Preview_OfNoSession_IsNotFound()
    {
        var answer = await Client.PostJsonAsync("/v1/sessions/none/context/preview", "{}");

        Assert.Equal((HttpStatusCode.NotFound, "session_not_found"), (answer.Status, answer.ErrorCode));
    }

    [Fact]
    public async Task TooLongQuestion_IsRefused_AndTheSessionGoesOn()
    {
        var session = (await CompleteAsync($$"""{"messages":[{"role":"user","content":"{{NewPrompt()}}"}],{{Limit}}}""")).SessionId;

        var refused = await Client.PostJsonAsync(Completions, Turn(session, string.Concat(Enumerable.Repeat("word ", 1200))));
        var answer = await CompleteAsync(Turn(session, "And now?"));

        Assert.Equal((HttpStatusCode.BadRequest, "context_length_exceeded"), (refused.Status, refused.ErrorCode));
        Assert.False(answer.Headers.ContainsKey("X-Context-Omitted-Messages"));
    }

    [Fact]
    public async Task TranscriptOfTheClient_ReachesTheModelAsItCame()
    {
        var marker = NewPrompt();
        var messages = $$"""[{"role":"user","content":"{{marker}}"},{"role":"tool","tool_call_id":"nobody","content":"x"},{"role":"user","content":"?"}]""";

        var answer = await CompleteAsync($$"""{"messages":{{messages}},{{Limit}}}""");

        Assert.Equal(messages, (await RequestsAsync(marker)).Single().GetProperty("messages").GetRawText());
        Assert.False(answer.Headers.ContainsKey("X-Context-Repaired"));
    }

    private static string Turn(string session, string text) => $$"""{"session_id":"{{session}}","messages":[{"role":"user","content":"{{text}}"}],"simulator":{"tokens":30},{{Limit}}}""";

    private async Task<Answer> CompleteAsync(string body)
    {
        var answer = await Client.PostJsonAsync(Completions, body);
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
        return answer;
    }

    private async Task<JsonElement> PreviewAsync(string session, string body)
    {
        var answer = await Client.PostJsonAsync($"/v1/sessions/{session}/context/preview", body);
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
        return answer.Body;
    }

    /// <summary>The bodies with a marker in them that reached the model, in order.</summary>
    private async Task<JsonElement[]> RequestsAsync(string marker) => [.. (await system.Simulator.RequestsWithAsync(marker)).Select(request => request.GetProperty("body"))];

    private static string? Violation(JsonElement request) =>
        ChatRule.Violation(request.GetProperty("messages").EnumerateArray().Select((message, index) => WireMessage.Parse(message, $"messages[{index}]")));

    private static (string?, string?) RoleAndContent(JsonElement message) => (message.GetProperty("role").GetString(), message.GetProperty("content").GetString());
}
