using System.Security.Claims;
using System.Text.Json;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Identity;
using CsCheck;
using Microsoft.AspNetCore.Http;

namespace ChatHistory.Tests.Gateway;

/// <summary>What is read of a UI's headers, and of its prompts. Pure.</summary>
public sealed class UiHeadersTests
{
    private const string ChatId = "0d6f9f0a-2a2b-4f6e-9f50-5e9b8a1b2c3d";

    [Fact]
    public void OpenWebUI_NamesItsChat()
    {
        var ui = Read(Trusted("alice"), ("X-OpenWebUI-User-Id", "alice"), ("X-OpenWebUI-User-Name", "Alice%20A"), ("X-OpenWebUI-Chat-Id", ChatId), ("X-OpenWebUI-Message-Id", "m-1"), ("X-OpenWebUI-Task", ""));

        Assert.Equal((UiHeaders.OpenWebUI, ChatId, "m-1", false), (ui.Client, ui.ChatId, ui.MessageId, ui.IsTask));
        Assert.Equal($$"""{"client":"open-webui","chat_id":"{{ChatId}}"}""", ui.Metadata);
        Assert.Equal((8, 0x80), (Guid.Parse(ui.SessionId!).Version, Guid.Parse(ui.SessionId!).ToByteArray(bigEndian: true)[8] & 0xC0));
    }

    [Fact]
    public void LibreChat_NamesItsConversation()
    {
        var ui = Read(Trusted("alice"), ("X-User-Id", "alice"), ("X-Conversation-Id", ChatId));

        Assert.Equal((UiHeaders.LibreChat, ChatId, null, false), (ui.Client, ui.ChatId, ui.MessageId, ui.IsTask));
        Assert.NotEqual(Read(Trusted("alice"), ("X-OpenWebUI-Chat-Id", ChatId)).SessionId, ui.SessionId);
    }

    // The id is stored: another rule would part every chat from its history.
    [Fact]
    public void SessionId_IsTheSameForEver() =>
        Assert.Equal("01acd0f0-e4ec-80c3-97e3-26796c927795", Read(Trusted("alice"), ("X-OpenWebUI-Chat-Id", ChatId)).SessionId);

    [Fact]
    public void SessionId_IsOneOwnersAlone()
    {
        var name = Gen.Char['a', 'c'].Array[1, 4].Select(characters => new string(characters));
        Gen.Select(name, name, name, name).Sample((owner, chat, otherOwner, otherChat) =>
            (Read(Trusted(owner), ("X-OpenWebUI-Chat-Id", chat)).SessionId == Read(Trusted(otherOwner), ("X-OpenWebUI-Chat-Id", otherChat)).SessionId)
            == ((owner, chat) == (otherOwner, otherChat)));
    }

    [Theory]
    [InlineData("X-OpenWebUI-Chat-Id", "")]
    [InlineData("X-OpenWebUI-Chat-Id", " ")]
    [InlineData("X-OpenWebUI-Chat-Id", "{{CHAT_ID}}")]
    [InlineData("X-OpenWebUI-Chat-Id", "local:vRk9QeY1rKpXbkTAAAAB")]
    [InlineData("X-Conversation-Id", "")]
    [InlineData("X-Conversation-Id", "new")]
    [InlineData("X-Conversation-Id", "PENDING")]
    [InlineData("X-Conversation-Id", "{{LIBRECHAT_BODY_CONVERSATIONID}}")]
    public void ChatWithoutALastingId_HasNoSession(string header, string value)
    {
        var ui = Read(Trusted("alice"), (header, value), ("X-OpenWebUI-User-Id", "alice"));

        Assert.Equal((null, null, null), (ui.ChatId, ui.SessionId, ui.Metadata));
        Assert.NotNull(ui.Client);
    }

    [Theory]
    [InlineData("title_generation", true)]
    [InlineData("tags_generation", true)]
    [InlineData("", false)]
    [InlineData("{{TASK}}", false)]
    public void Task_IsMarkedWithAndWithoutAChat(string task, bool isTask)
    {
        Assert.Equal(isTask, Read(Trusted("alice"), ("X-OpenWebUI-Chat-Id", ChatId), ("X-OpenWebUI-Task", task)).IsTask);
        Assert.Equal(isTask, Read(Trusted("alice"), ("X-OpenWebUI-Task", task)).IsTask);
    }

    [Fact]
    public void CallerWhoIsNotTrusted_SaysNothing()
    {
        var plain = Caller.From(Principal(new Claim(ClaimTypes.NameIdentifier, "bob")));

        Assert.Same(UiHeaders.None, Read(plain, ("X-OpenWebUI-User-Id", "alice"), ("X-OpenWebUI-Chat-Id", ChatId), ("X-OpenWebUI-Task", "title_generation"), ("X-Conversation-Id", ChatId)));
        Assert.Equal("bob", plain.UserNamed("alice"));
    }

    [Fact]
    public void PersonalMode_IsTrusted_AndTheBodysUserComesFirst()
    {
        var named = Caller.From(Principal(new Claim(ApiKeyAuthentication.PersonalModeClaim, "true"), new Claim(ApiKeyAuthentication.UiUserClaim, "alice")));
        var unnamed = Caller.From(Principal(new Claim(ApiKeyAuthentication.PersonalModeClaim, "true")));

        Assert.Equal(("alice", "bob", Caller.DefaultUser), (named.UserNamed(null), named.UserNamed("bob"), unnamed.UserNamed("")));
        Assert.Equal(Read(Trusted("alice"), ("X-Conversation-Id", ChatId)).SessionId, Read(named, ("X-Conversation-Id", ChatId)).SessionId);
        Assert.Same(UiHeaders.None, Read(unnamed));
    }

    [Theory]
    [InlineData("X-OpenWebUI-Chat-Id")]
    [InlineData("X-OpenWebUI-User-Id")]
    [InlineData("X-Conversation-Id")]
    public void HeaderThatCannotBeMeant_IsRefused(string header)
    {
        foreach (var value in new[] { new Microsoft.Extensions.Primitives.StringValues(["alice", "bob"]), new(new string('x', 257)) })
        {
            var request = new DefaultHttpContext().Request;
            request.Headers[header] = value;

            var refused = Assert.Throws<OpenAIErrorException>(() => _ = header == "X-OpenWebUI-User-Id" ? UiHeaders.UserOf(request) : UiHeaders.From(request, Trusted("alice")).ChatId);

            Assert.Equal((400, header), (refused.Error.Status, refused.Error.Param));
        }
    }

    [Theory]
    [InlineData("### Task:\nGenerate a title.\n### Output:\nJSON\n### Chat History:\n<chat_history>\nUSER: Hi\n</chat_history>")]
    [InlineData("### Task:\nYou are an autocompletion system. Continue the text.\n<text>\nHow do\n</text>")]
    [InlineData("Provide a concise, 5-word-or-less title for the conversation, using title case conventions. Only return the title itself.\n\nConversation:\nUser: Hi\nAI: Hello")]
    [InlineData("Analyze this conversation and provide:\n1. The detected language of the conversation\n2. A concise title in the detected language (5 words or less, no punctuation or quotation)\n\nUser: Hi")]
    public void TaskPrompt_IsRecognised(string prompt)
    {
        var text = JsonSerializer.Serialize(prompt);

        Assert.True(IsTask($$"""{"messages":[{"role":"user","content":{{text}}}]}"""));
        Assert.True(IsTask($$"""{"stream":false,"messages":[{"role":"user","content":[{"type":"text","text":{{text}}}]}]}"""));
        Assert.False(IsTask($$"""{"stream":true,"messages":[{"role":"user","content":{{text}}}]}"""));
        Assert.False(IsTask($$"""{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":{{text}}}]}"""));
        Assert.False(IsTask($$"""{"messages":[{"role":"system","content":{{text}}}]}"""));
        Assert.False(IsTask($$"""{"messages":[{"role":"user","content":{{JsonSerializer.Serialize("Explain: " + prompt)}}}]}"""));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"messages":[]}""")]
    [InlineData("""{"messages":[7]}""")]
    [InlineData("""{"messages":[{"role":7,"content":"### Task:\n<chat_history>"}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":null}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":"### Task: write a title"}]}""")]
    [InlineData("""{"messages":"### Task:\n<chat_history>"}""")]
    public void OtherBody_IsNone(string body) => Assert.False(IsTask(body));

    private static bool IsTask(string body) => UiTaskPrompts.IsTask(JsonElement.Parse(body));

    private static UiHeaders Read(Caller caller, params (string Name, string Value)[] headers)
    {
        var request = new DefaultHttpContext().Request;
        foreach (var (name, value) in headers)
        {
            request.Headers[name] = value;
        }

        return UiHeaders.From(request, caller);
    }

    private static Caller Trusted(string user) =>
        Caller.From(Principal(new Claim(ClaimTypes.NameIdentifier, user), new Claim(ApiKeyAuthentication.TrustedProxyClaim, "true")));

    private static ClaimsPrincipal Principal(params Claim[] claims) => new(new ClaimsIdentity(claims, ApiKeyAuthentication.SchemeName));
}
