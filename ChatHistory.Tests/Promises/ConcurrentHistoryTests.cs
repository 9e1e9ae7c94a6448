using ChatHistory.Storage.V1;
using ChatHistory.Tests.StorageService;
using Grpc.Core;
using Xunit.Abstractions;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// R15: clients that append, take turns, list, switch, fork and delete at the same time in the same few sessions are told what they would be told if one came after the
/// other, in some order that respects who had finished before whom began.
/// </summary>
[Trait(Promise.Trait, "R15")]
public sealed class ConcurrentHistoryTests(ITestOutputHelper output)
{
    private const int Clients = 4;
    private const int CallsEach = 4;

    [Fact]
    public async Task ConcurrentHistories_HaveASequentialOrder()
    {
        var promise = new Promise("R15", output);
        var histories = Promise.Size(200, 10_000);
        var (calls, overlapping, damagedFound) = (0, 0, 0);
        await using var storage = await StorageFixture.StartAsync(null, null, ("Backup:Every", "00:00:00"));
        await Parallel.ForEachAsync(Enumerable.Range(0, histories), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (number, _) =>
        {
            var history = new HistoryOf(storage, number);
            var start = await history.PrepareAsync();
            var recorded = await history.RunAsync(new Random(HashCode.Combine(promise.Seed, number)), Clients, CallsEach);
            Assert.True(Linearization.Exists(start, recorded), $"history {number} has no sequential order (seed {promise.Seed}):\n{string.Join('\n', recorded.OrderBy(call => call.Began))}");

            // The control: a list that misses a message, or shows one too many, has no order.
            var damaged = recorded.Select(call => call.Name.StartsWith("final list", StringComparison.Ordinal) ? call with { Answer = Damaged(call.Answer) } : call).ToList();
            Assert.False(Linearization.Exists(start, damaged), $"history {number} was accepted with a message missing");
            Interlocked.Add(ref calls, recorded.Count);
            Interlocked.Add(ref overlapping, recorded.Count(call => recorded.Exists(other => other != call && other.Began < call.Ended && call.Began < other.Ended)));
            Interlocked.Increment(ref damagedFound);
        });

        Assert.True(overlapping > calls / 4, $"only {overlapping} of {calls} calls overlapped: nothing was tried");
        promise.Figure($"{histories} concurrent histories of {Clients} clients ({calls} calls, {overlapping} of them overlapping): {histories} have a sequential order; with a message taken from a list, {damagedFound} of {damagedFound} have none");
    }

    private static string Damaged(string list) => list.LastIndexOf(", ", StringComparison.Ordinal) is var comma and >= 0 ? list[..comma] : list + " and one more";

    /// <summary>One history: two sessions and a fork, alone in the world.</summary>
    private sealed class HistoryOf(StorageFixture storage, int number)
    {
        private readonly List<RecordedCall> _calls = [];
        private readonly string _prefix = $"h{number}-";
        private long _clock;

        /// <summary>Writes the beginning that all calls know of, without concurrency.</summary>
        public async Task<SessionModel> PrepareAsync()
        {
            var state = SessionModel.Empty;
            async Task Step(Task<string> call, Func<SessionModel, (SessionModel, string)> model)
            {
                (state, var expected) = model(state);
                Assert.Equal(expected, await call);
            }

            await Step(CreateAsync(Id("a")), model => model.Create(Id("a")));
            await Step(CreateAsync(Id("b")), model => model.Create(Id("b")));
            foreach (var (session, message) in new[] { ("a", "m1"), ("a", "m2"), ("b", "m3") })
            {
                await Step(AppendAsync(Id(session), Id(message), message), model => model.Append(Id(session), Id(message), message));
            }

            await Step(ForkAsync(Id("a"), Id("f"), Id("m2")), model => model.Fork(Id("a"), Id("f"), Id("m2")));
            return state;
        }

        public async Task<List<RecordedCall>> RunAsync(Random random, int clients, int callsEach)
        {
            // Every id is known before the first call, so that clients can mean each other's messages, whether they are there yet or not.
            var scripts = Enumerable.Range(0, clients).Select(client => Enumerable.Range(0, callsEach).Select(call => Choose(random, client, call)).ToArray()).ToArray();
            await Task.WhenAll(scripts.Select(script => Task.Run(async () =>
            {
                foreach (var call in script)
                {
                    await call();
                }
            })));
            foreach (var session in new[] { "a", "b", "f" })
            {
                await RecordAsync($"final list {session}", () => ListAsync(Id(session)), model => model.List(Id(session)));
            }

            return _calls;
        }

        private Func<Task> Choose(Random random, int client, int call)
        {
            var (session, own) = (Pick(random, "a", "a", "b", "f"), $"c{client}{call}");
            var message = random.Next(3) == 0 ? Pick(random, "m1", "m2", "m3") : $"c{random.Next(Clients)}{random.Next(CallsEach)}";
            var answer = $"c{client}{random.Next(call + 1)}-answer";
            return random.Next(20) switch
            {
                < 5 => () => RecordAsync($"append {own} to {session}", () => AppendAsync(Id(session), Id(own), own), model => model.Append(Id(session), Id(own), own)),
                < 8 => () => RecordAsync($"begin {own} in {session}", () => BeginAsync(Id(session), Id(own), Id(own + "-answer"), own), model => model.Begin(Id(session), Id(own), Id(own + "-answer"), own)),
                < 11 => () => RecordAsync($"complete {answer} in {session}", () => CompleteAsync(Id(session), Id(answer), answer), model => model.Complete(Id(session), Id(answer), answer)),
                < 13 => () => RecordAsync($"list {session}", () => ListAsync(Id(session)), model => model.List(Id(session))),
                < 15 => () => RecordAsync($"transcript {session}", () => TranscriptAsync(Id(session)), model => model.Transcript(Id(session))),
                < 16 => () => RecordAsync($"switch {session} to {message}", () => SwitchAsync(Id(session), Id(message)), model => model.Switch(Id(session), Id(message))),
                < 17 => () => RecordAsync($"fork {session} at {message}", () => ForkAsync(Id(session), Id(own), Id(message)), model => model.Fork(Id(session), Id(own), Id(message))),
                < 19 => () => RecordAsync($"delete {message}", () => DeleteAsync(Id(message)), model => model.Delete(Id(message))),
                _ => () => RecordAsync($"delete session {session}", () => DeleteSessionAsync(Id(session)), model => model.DeleteSession(Id(session))),
            };
        }

        private async Task RecordAsync(string name, Func<Task<string>> call, Func<SessionModel, (SessionModel, string)> model)
        {
            var began = Interlocked.Increment(ref _clock);
            var answer = await call();
            var ended = Interlocked.Increment(ref _clock);
            lock (_calls)
            {
                _calls.Add(new RecordedCall(name, began, ended, answer, model));
            }
        }

        private static string Pick(Random random, params string[] names) => names[random.Next(names.Length)];

        private string Id(string name) => _prefix + name;

        private Task<string> CreateAsync(string id) => AnswerAsync(async () =>
        {
            await storage.Sessions.CreateAsync(new CreateSessionRequest { Scope = Everyone, SessionId = id, Session = new NewSession { UserId = "u" } });
            return SessionModel.Done;
        });

        private async Task<string> AppendAsync(string sessionId, string id, string text)
        {
            var append = new AppendMessage { SessionId = sessionId, Message = new NewMessage { MessageId = id, Content = Says("user", text) } };
            var result = await storage.WriteOneAsync(append.In());
            return result.MessageAppended is { } message ? SessionModel.Said($"{message.Seq} behind {(message.HasParentId ? message.ParentId : null)}") : RefusalOf(result);
        }

        private async Task<string> BeginAsync(string sessionId, string id, string answerId, string text)
        {
            var turn = new BeginTurn { SessionId = sessionId, AnswerMessageId = answerId, RequestId = id, Input = { new NewMessage { MessageId = id, Content = Says("user", text) } } };
            var result = await storage.WriteOneAsync(turn.In());
            return result.TurnBegun is { } begun ? $"history {string.Join(", ", begun.History.Select(message => $"{message.Role}: {message.Content}"))}" : RefusalOf(result);
        }

        private async Task<string> CompleteAsync(string sessionId, string answerId, string text)
        {
            var end = new CompleteTurn { SessionId = sessionId, AnswerMessageId = answerId, Status = TurnStatus.Completed, Answer = new Answer { Content = Says("assistant", text) } };
            var result = await storage.WriteOneAsync(end.In());
            return result.TurnCompleted is not null ? SessionModel.Done : RefusalOf(result);
        }

        private Task<string> ListAsync(string sessionId) => AnswerAsync(async () =>
        {
            var reply = await storage.Sessions.ListMessagesAsync(new ListMessagesRequest { Scope = Everyone, SessionId = sessionId, Limit = 1000 });
            return SessionModel.Listed(
                reply.Session.HasHeadMessageId ? reply.Session.HeadMessageId : null,
                reply.Total,
                reply.Messages.Select(message => $"{message.Seq} {message.MessageId} {message.Content.Content}{(message.Status == TurnStatus.InProgress ? " (open)" : "")}"));
        });

        private Task<string> TranscriptAsync(string sessionId) => AnswerAsync(async () =>
            $"transcript {string.Join(", ", await storage.TranscriptAsync(sessionId))}");

        private Task<string> SwitchAsync(string sessionId, string id) => AnswerAsync(async () =>
        {
            await storage.MoveHeadAsync(sessionId, id);
            return SessionModel.Done;
        });

        private Task<string> ForkAsync(string sessionId, string newId, string id) => AnswerAsync(async () =>
        {
            await storage.ForkAsync(sessionId, newId, id);
            return SessionModel.Done;
        });

        private Task<string> DeleteAsync(string id) => AnswerAsync(async () =>
        {
            await storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = Everyone, MessageId = id });
            return SessionModel.Done;
        });

        private Task<string> DeleteSessionAsync(string id) => AnswerAsync(async () =>
        {
            await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = Everyone, SessionId = id });
            return SessionModel.Done;
        });

        private static async Task<string> AnswerAsync(Func<Task<string>> call)
        {
            try
            {
                return await call();
            }
            catch (RpcException exception) when (exception.StatusCode is StatusCode.NotFound or StatusCode.InvalidArgument)
            {
                return exception.StatusCode == StatusCode.NotFound ? SessionModel.NotFound : SessionModel.Refused;
            }
        }

        private static string RefusalOf(WriteResult result) =>
            result.Refusal?.Reason is Refusal.Types.Reason.SessionNotFound or Refusal.Types.Reason.MessageNotFound ? SessionModel.NotFound : $"unexpected: {result}";
    }
}
