using System.Text.Json;
using ChatHistory.Tests.Gateway.UiTraffic;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>Twenty turns of each UI, as they come over the wire, are one session of forty messages; what a UI asks for itself is answered and not kept.</summary>
public sealed class UiTrafficTests(KeyedSystem system) : IClassFixture<KeyedSystem>
{
    private const int Turns = 20;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task OpenWebUI_IsOneSession(bool configured)
    {
        var user = $"alice-{Guid.NewGuid():N}";
        using var proxy = await system.Running.TrustedClientOfAsync("open-webui");
        var ui = new OpenWebUI(proxy, user, Guid.NewGuid().ToString(), configured);
        for (var turn = 1; turn <= Turns; turn++)
        {
            await ui.AskAsync(Question(turn), Answer(turn));
            await (turn == 1 ? ui.WriteTitleAndTagsAsync() : ui.SuggestFollowUpsAsync());
            await ChangeAsync(ui, turn);
        }

        await AssertOneSessionAsync(ui, user);
    }

    [Fact]
    public async Task LibreChat_IsOneSession()
    {
        var user = Guid.NewGuid().ToString("N")[..24];
        using var proxy = await system.Running.TrustedClientOfAsync("librechat");
        var ui = new LibreChat(proxy, user, Guid.NewGuid().ToString());
        for (var turn = 1; turn <= Turns; turn++)
        {
            await ui.AskAsync(Question(turn), turn == 7 ? Reasoning : null);
            if (turn == 1)
            {
                await ui.WriteTitleAsync();
            }

            await ChangeAsync(ui, turn);
        }

        await AssertOneSessionAsync(ui, user);
    }

    [Fact]
    public async Task SameWordsInTwoChats_AreTwoSessions()
    {
        var user = $"alice-{Guid.NewGuid():N}";
        using var proxy = await system.Running.TrustedClientOfAsync("open-webui");
        string[] chats = [Guid.NewGuid().ToString(), Guid.NewGuid().ToString()];
        var uis = chats.Select(chat => new OpenWebUI(proxy, user, chat, configured: false)).ToArray();
        foreach (var question in new[] { "Hello", "And now?" })
        {
            foreach (var ui in uis)
            {
                await ui.AskAsync(question);
            }
        }

        using var herself = await system.Running.ClientOfAsync(user);
        var sessions = (await herself.GetJsonAsync("/v1/sessions")).Body.GetProperty("sessions").EnumerateArray().ToArray();
        Assert.Equal(
            chats.Order(StringComparer.Ordinal),
            sessions.Select(session => session.GetProperty("metadata").GetProperty("chat_id").GetString()!).Order(StringComparer.Ordinal));
        Assert.All(sessions, session => Assert.Equal(4, session.GetProperty("message_count").GetInt32()));
    }

    // The model server streams the reasoning apart from the answer; no UI sends it back.
    private const string Reasoning = """{"reasoning":true}""";

    // An answer that begins as those of reasoning models do. Open WebUI keeps it without the white space.
    private static string? Answer(int turn) => turn switch
    {
        5 => """{"text":"\n\nHello, \u00c4nne.\n"}""",
        7 => Reasoning,
        _ => null,
    };

    private static string Question(int turn) => turn switch
    {
        3 => "Was heißt “naïve” auf 中文? 🙂",
        4 => "```csharp\nvar path = \"C:\\\\temp\";\t// <a href='x'>&amp;</a>\n```\n\nWhat does it print?",
        _ => $"Question {turn}",
    };

    /// <summary>On two turns the user changes their mind.</summary>
    private static Task ChangeAsync(SimulatedUi ui, int turn) => turn switch
    {
        10 => ui.EditAsync(turnsBack: 0, "Question 10, put better"),
        15 => ui.RegenerateAsync("""{"seed":15}"""),
        _ => Task.CompletedTask,
    };

    private async Task AssertOneSessionAsync(SimulatedUi ui, string user)
    {
        using var herself = await system.Running.ClientOfAsync(user);
        var session = Assert.Single((await herself.GetJsonAsync("/v1/sessions")).Body.GetProperty("sessions").EnumerateArray()).GetProperty("session_id").GetString()!;
        Assert.Equal([session], ui.Sessions);

        // 20 turns, the turn that was edited away, and the answer that was regenerated away.
        var messages = (await herself.MessagesOfAsync(session)).ToDictionary(message => message.GetProperty("message_id").GetString()!);
        Assert.Equal((2 * Turns) + 3, messages.Count);

        var path = new List<JsonElement>();
        for (var id = (string?)ui.Kept.MessageId; id is not null; id = messages[id].TryGetProperty("parent_id", out var parent) ? parent.GetString() : null)
        {
            path.Insert(0, messages[id]);
        }

        Assert.Equal(2 * Turns, path.Count);
        Assert.Equal(ui.Path, path.Select(message => (message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()!.Trim())));
        Assert.All(path, message => Assert.Equal("completed", message.GetProperty("status").GetString()));
    }
}
