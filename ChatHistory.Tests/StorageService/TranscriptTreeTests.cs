using ChatHistory.Storage.V1;
using CsCheck;
using Xunit.Abstractions;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>Whatever several clients do by sending whole conversations, the stored trees are the ones that they describe.</summary>
public sealed class TranscriptTreeTests(ITestOutputHelper output)
{
    private enum Act
    {
        Continue,
        Edit,
        Regenerate,
        Fail,
        CutAndGoOn,
    }

    // Which client does what; the number picks a place for edits and regenerations.
    private static readonly Gen<(int Client, Act Act, int Place)[]> s_acts =
        Gen.Select(Gen.Int[0, 3], Gen.Enum<Act>(), Gen.Int[0, 20]).Array[1, 40];

    [Fact]
    public async Task StoredTrees_AreTheOnesThatTheTranscriptsDescribe()
    {
        await using var storage = await StorageFixture.StartAsync();
        var runs = 0;
        await s_acts.SampleAsync(
            acts => CheckAsync(storage, $"owner {Interlocked.Increment(ref runs)}", acts),
            iter: 60, threads: 1, writeLine: output.WriteLine);
    }

    private static async Task CheckAsync(StorageFixture storage, string owner, (int Client, Act Act, int Place)[] acts)
    {
        var clients = Enumerable.Range(0, 4).Select(number => new Client(storage, owner, number)).ToArray();
        foreach (var (client, act, place) in acts)
        {
            await clients[client].DoAsync(act, place);
        }

        foreach (var client in clients.Where(client => client.Expected.Count > 0))
        {
            Assert.Single(client.Sessions);
            var messages = await storage.ListAsync(client.Sessions.Single(), owner);
            var byId = messages.ToDictionary(message => message.MessageId);
            string PathOf(Message message) => (message.HasParentId ? PathOf(byId[message.ParentId]) : "") + "/" + message.Content.Content;
            Assert.Equal(client.Expected.Order(StringComparer.Ordinal), messages.Select(PathOf).Order(StringComparer.Ordinal));
        }

        var reply = await storage.Sessions.ListAsync(new ListSessionsRequest { Scope = Owner(owner), UserId = owner });
        Assert.Equal(clients.Sum(client => client.Sessions.Count), reply.Total);
    }

    /// <summary>A client with one conversation, and the tree that it has described so far: each node as the path of its texts.</summary>
    private sealed class Client(StorageFixture storage, string owner, int number)
    {
        private readonly List<MessageContent> _transcript = [];

        // What the client holds of an answer may be shorter than what is stored: its nodes are named by what is stored.
        private readonly List<string> _stored = [];
        private int _counter;

        public HashSet<string> Sessions { get; } = [];

        public List<string> Expected { get; } = [];

        public async Task DoAsync(Act act, int place)
        {
            switch (act)
            {
                case Act.Regenerate or Act.Edit when _transcript.Count >= 4:
                    // Not the first question: a client without ids that asks another first question begins another conversation.
                    Truncate(2 + (place % ((_transcript.Count - 2) / 2) * 2));
                    await AskAsync(act == Act.Edit ? NextText("edited") : _lastQuestions[_transcript.Count / 2], TurnStatus.Completed, keep: 1.0);
                    break;
                case Act.Fail:
                    // The client shows an error and keeps its conversation as it was.
                    var failed = NextText("question");
                    await AskAsync(failed, TurnStatus.Failed, keep: 0);
                    await AskAsync(failed, TurnStatus.Completed, keep: 1.0);
                    break;
                case Act.CutAndGoOn:
                    await AskAsync(NextText("question"), TurnStatus.Cancelled, keep: place / 20.0);
                    break;
                default:
                    await AskAsync(NextText("question"), TurnStatus.Completed, keep: 1.0);
                    break;
            }
        }

        private readonly List<string> _lastQuestions = [];

        private async Task AskAsync(string question, TurnStatus status, double keep)
        {
            var turn = AskNew(NewId(), owner, [.. _transcript, Says("user", question)]);
            turn.Placement = Placement.TranscriptOfAnySession;
            var begun = (await storage.WriteOneAsync(turn.In(Owner(owner)))).TurnBegun;
            Sessions.Add(begun.SessionId);

            var answer = status == TurnStatus.Failed ? "" : NextText("a long answer");
            var end = turn.Answered(answer, status);
            end.SessionId = begun.SessionId;
            await storage.WriteOneAsync(end.In(Owner(owner)));

            var questionPath = string.Concat(_stored.Select(text => "/" + text)) + "/" + question;
            if (!Expected.Contains(questionPath))
            {
                Expected.Add(questionPath);
            }

            Expected.Add(questionPath + "/" + answer);
            if (status == TurnStatus.Failed)
            {
                return;
            }

            _lastQuestions.RemoveRange(_transcript.Count / 2, _lastQuestions.Count - (_transcript.Count / 2));
            _lastQuestions.Add(question);
            _transcript.Add(Says("user", question));
            _transcript.Add(Says("assistant", answer[..(int)(answer.Length * keep)].TrimEnd()));
            _stored.Add(question);
            _stored.Add(answer);
        }

        private void Truncate(int length)
        {
            _transcript.RemoveRange(length, _transcript.Count - length);
            _stored.RemoveRange(length, _stored.Count - length);
        }

        private string NextText(string kind) => $"{kind} {number}.{_counter++}";
    }
}
