using System.Diagnostics;
using ChatHistory.Storage.V1;
using Grpc.Net.Client;

namespace ChatHistory.Bench.Storage;

/// <summary>The reads that have to cost the same however much is stored, over gRPC.</summary>
internal sealed class HistoryReads(GrpcChannel channel, History history)
{
    private const int Page = 50;
    private static readonly Scope s_everyone = new() { Everyone = true };

    private readonly Sessions.SessionsClient _sessions = new(channel);
    private readonly Turns.TurnsClient _turns = new(channel);
    // The same reads in every run.
    private readonly Random _random = new(5);
    private int _matched;

    public IReadOnlyDictionary<string, Func<Task>> All => new Dictionary<string, Func<Task>>
    {
        ["last 50 of a session"] = LastPageAsync,
        ["sessions of a user"] = SessionListAsync,
        ["transcript of 50 found, its turn begun"] = TranscriptAsync,
        ["counters of a session"] = CountersAsync,
        ["page deep in a giant session"] = DeepPageAsync,
    };

    public async Task LastPageAsync()
    {
        var reply = await _sessions.ListMessagesAsync(new ListMessagesRequest { Scope = s_everyone, SessionId = AnySession(), Limit = Page, Descending = true });
        Expect(reply.Messages.Count == Page);
    }

    public async Task SessionListAsync()
    {
        var user = History.UserOf(_random.Next(1, history.Sessions + 1));
        var reply = await _sessions.ListAsync(new ListSessionsRequest { Scope = new Scope { Owner = user }, UserId = user, Limit = Page });
        Expect(reply.Sessions.Count > 0);
    }

    public static async Task<TimeSpan[]> TimeAsync(Func<Task> read, int times)
    {
        var result = new TimeSpan[times];
        for (var i = 0; i < times; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await read();
            result[i] = Stopwatch.GetElapsedTime(began);
        }

        return result;
    }

    // It is found by its hash, in any session of its user; what is new is committed.
    private async Task TranscriptAsync()
    {
        // Each session once: a transcript that went on already is looked for further.
        var session = (++_matched * 7919 % history.Sessions) + 1;
        var begin = Turn.Begin(History.UserOf(session), sessionId: null, number: _matched);
        var input = begin.BeginTurn.Input;
        for (var seq = Page; seq >= 1; seq--)
        {
            var (role, content) = History.Message(session, seq);
            input.Insert(0, new NewMessage { MessageId = Texts.NewId(), Content = Turn.Content(role, content) });
        }

        var reply = await _turns.WriteAsync(new WriteRequest { Commands = { begin } });
        Expect(reply.Results[0].TurnBegun?.SessionId == History.SessionId(session));
    }

    private async Task CountersAsync()
    {
        var session = await _sessions.GetAsync(new GetSessionRequest { Scope = s_everyone, SessionId = AnySession() });
        Expect(session.MessageCount > 0);
    }

    private async Task DeepPageAsync()
    {
        var after = _random.Next(0, history.GiantMessages - Page);
        var reply = await _sessions.ListMessagesAsync(
            new ListMessagesRequest { Scope = s_everyone, SessionId = History.SessionId(History.Giant), Limit = Page, AfterSeq = after });
        Expect(reply.Messages.Count == Page);
    }

    private string AnySession() => History.SessionId(_random.Next(1, history.Sessions + 1));

    private static void Expect(bool asExpected)
    {
        if (!asExpected)
        {
            throw new InvalidOperationException("Storage did not answer what is stored.");
        }
    }
}
