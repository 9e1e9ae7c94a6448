using ChatHistory.Gateway.Context;
using ChatHistory.Storage.V1;
using CsCheck;

namespace ChatHistory.Tests.Gateway.Context;

/// <summary>Where a history is cut, and when.</summary>
public sealed class ContextWindowTests
{
    private static readonly Gen<MessageContent> s_message = Gen.Select(Gen.OneOf("user", "user", "assistant", "calls", "tool", "system", "image"), Gen.OneOf("a", "b", "c"), Gen.Int[0, 300]).Select(
        (kind, id, length) => kind switch
        {
            "calls" => new MessageContent { Role = "assistant", Content = new string('x', length), ToolCalls = $$$"""[{"id":"{{{id}}}","type":"function","function":{"name":"f"}}]""" },
            "image" => new MessageContent { Role = "user", Content = "Look", ContentParts = """[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"data:,"}}]""" },
            "tool" => new MessageContent { Role = "tool", Content = new string('x', length), ToolCallId = id },
            _ => new MessageContent { Role = kind, Content = new string('x', length) },
        });

    private static readonly Gen<(MessageContent[] History, MessageContent[] Added)> s_chat = Gen.Select(s_message.Array[0, 30], s_message.Array[0, 4]);

    [Fact]
    public void Cuts_AreTheBeginningsOfTurns_AndPartNoPair() => s_chat.Sample(chat =>
    {
        var stored = chat.History.SkipWhile(ContextWindow.IsInstruction).ToArray();
        var all = stored.Concat(chat.Added.SkipWhile(ContextWindow.IsInstruction)).ToArray();
        var cuts = ContextWindow.Of(chat.History, chat.Added).Cuts;

        Assert.Equal(0, cuts[0]);
        Assert.Equal(cuts.Order().Distinct(), cuts);
        foreach (var cut in cuts.Skip(1))
        {
            Assert.InRange(cut, 1, stored.Length);
            Assert.True(all[cut].Role == "user" && all[cut - 1].Role != "user", $"{cut} is no beginning");
            // A result behind the cut belongs to the nearest call with its id: that call must be behind the cut, too.
            for (var i = cut; i < all.Length; i++)
            {
                if (all[i].Role == "tool")
                {
                    var call = Array.FindLastIndex(all, i, message => message.HasToolCalls && message.ToolCalls.Contains($"\"id\":\"{all[i].ToolCallId}\"", StringComparison.Ordinal));
                    Assert.True(call < 0 || call >= cut, $"{cut} parts call {call} from result {i}");
                }
            }
        }
    });

    [Fact]
    public void Sizes_AreThoseOfWhatIsLeft() => Gen.Select(s_chat, Gen.Int[0, 100]).Sample((chat, around) =>
    {
        var all = chat.History.SkipWhile(ContextWindow.IsInstruction).Concat(chat.Added.SkipWhile(ContextWindow.IsInstruction)).ToArray();
        var instructions = (chat.Added is [var first, ..] && ContextWindow.IsInstruction(first) ? chat.Added : chat.History).TakeWhile(ContextWindow.IsInstruction);
        var window = ContextWindow.Of(chat.History, chat.Added, around);

        foreach (var cut in window.Cuts)
        {
            Assert.Equal(around + instructions.Sum(MessageSize.Of) + all[cut..].Sum(MessageSize.Of), window.SizeAt(cut));
            Assert.Equal(all[cut..].Sum(MessageSize.Uncounted), window.UncountedAt(cut));
        }
    });

    // The real tokens of each message, which the window only learns as a whole, have nothing to do with its size.
    [Fact]
    public async Task Fit_LeavesOutEnough_AndNeverLessThanBefore() =>
        await Gen.Select(s_chat, Gen.Int[1, 200].Array[40], Gen.Int[0, 40], Gen.Int[1, 4000]).SampleAsync(async (chat, tokens, previous, budget) =>
        {
            var window = ContextWindow.Of(chat.History, chat.Added);
            int Tokens(int omitted) => tokens.Skip(omitted).Sum();

            var omitted = await window.FitAsync(previous, budget, cut => ValueTask.FromResult(Tokens(cut)));

            var from = window.From(previous);
            Assert.Contains(omitted, window.Cuts);
            Assert.True(omitted >= from, "less than before");
            Assert.True(omitted == from || Tokens(from) > budget, "it fitted already");
            Assert.True(Tokens(omitted) <= budget || (omitted == from && Tokens(window.Cuts[^1]) > budget), "it does not fit, though it could");
        });

    [Fact]
    public void From_IsMonotone_AndKeepsWhatIsACut() => Gen.Select(s_chat, Gen.Int[0, 40], Gen.Int[0, 40]).Sample((chat, one, other) =>
    {
        var window = ContextWindow.Of(chat.History, chat.Added);

        Assert.True(window.From(Math.Min(one, other)) <= window.From(Math.Max(one, other)));
        Assert.All(window.Cuts, cut => Assert.Equal(cut, window.From(cut)));
    });

    [Fact]
    public async Task CutStaysPut_ForSeveralTurns() => await Gen.Int[0, 280].Array[120].SampleAsync(async lengths =>
    {
        // A turn has at most a tenth of the room, so that three more fit into what a cut makes free.
        const int Budget = 6400;
        var history = new List<MessageContent> { new() { Role = "system", Content = "Be brief" } };
        var (omitted, turns, cuts) = (0, 0, 0);
        foreach (var length in lengths)
        {
            MessageContent question = new() { Role = "user", Content = new string('q', length) };
            var window = ContextWindow.Of(history, [question]);
            var now = await window.FitAsync(omitted, Budget, cut => ValueTask.FromResult((int)window.SizeAt(cut)));

            Assert.True(window.SizeAt(now) <= Budget);
            if (now != omitted)
            {
                Assert.True(turns >= 3 || cuts == 0, $"cut again after {turns} turns");
                Assert.InRange(window.SizeAt(now), Budget * 0.6, Budget * 0.7);
                (omitted, turns, cuts) = (now, 0, cuts + 1);
            }

            turns++;
            history.AddRange([question, new MessageContent { Role = "assistant", Content = new string('a', length) }]);
        }

        Assert.True(cuts > 2, "the test is about cuts");
    });

    [Fact]
    public void InstructionsAndTheNewestTurn_AreNoPlaceToCut()
    {
        MessageContent[] history =
        [
            Message("system"), Message("user"), Message("assistant"), Message("user"),
            new() { Role = "assistant", ToolCalls = """[{"id":"a","type":"function","function":{"name":"f"}}]""" },
        ];

        Assert.Equal([0, 2], ContextWindow.Of(history, [new() { Role = "tool", ToolCallId = "a" }]).Cuts);
        Assert.Equal([0, 2, 4], ContextWindow.Of(history, [Message("system"), Message("user")]).Cuts);
        Assert.Equal([0, 2], ContextWindow.Of(history, []).Cuts);
    }

    [Fact]
    public async Task TooLongForAnyCut_StaysAsItWas()
    {
        var window = ContextWindow.Of([Message("user"), Message("assistant"), Message("user"), Message("assistant")], [Message("user")]);

        Assert.Equal(2, await window.FitAsync(2, budget: 10, _ => ValueTask.FromResult(11)));
    }

    private static MessageContent Message(string role) => new() { Role = role, Content = "text" };
}
