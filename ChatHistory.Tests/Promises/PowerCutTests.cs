using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using ChatHistory.Storage.V1;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.Promises.Tracing;
using ChatHistory.Tests.StorageService;
using Microsoft.Data.Sqlite;
using Xunit.Abstractions;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// R3: what the storage service acknowledged is there after a power cut, whenever it comes and whatever the disk makes of what was not synced. The
/// service runs below strace; from its system calls the disk is rebuilt as it would be found after a cut at any moment.
/// </summary>
/// <remarks>A SIGKILL cannot show this: the operating system still writes what a killed process left to it.</remarks>
[Trait(Promise.Trait, "R3")]
public sealed partial class PowerCutTests(ITestOutputHelper output)
{
    private const int Clients = 8;
    private static readonly int s_turnsAlone = Promise.Size(15, 100);
    private static readonly int s_turnsOfEachClient = Promise.Size(10, 60);
    private static readonly int s_cuts = Promise.Size(50, 700);

    [StraceFact]
    public async Task WhatWasAcknowledged_SurvivesAPowerCut()
    {
        var promise = new Promise("R3", output);
        var random = new Random(promise.Seed);
        using var folder = new TemporaryFolder();
        var ledger = new Ledger();
        var began = Stopwatch.GetTimestamp();
        var trace = await RecordAsync(folder, ledger, promise.Seed);
        output.WriteLine($"{trace.Count} events recorded and read after {Stopwatch.GetElapsedTime(began)}");
        var known = new KnownAt(trace, ledger);
        output.WriteLine($"searched after {Stopwatch.GetElapsedTime(began)}");

        // One commit for each acknowledgement, where nobody else writes: so there is one sync for each.
        var writers = trace.OfType<TraceEvent.Written>().Where(written => IsLog(written.Path)).Select(written => written.Thread).ToHashSet();
        var alone = trace.Take(known.EndOfPartAlone).OfType<TraceEvent.SyncEnded>().Count(sync => IsLog(sync.Path) && writers.Contains(sync.Thread));
        Assert.InRange(alone, 2 * s_turnsAlone, int.MaxValue);
        Assert.Contains(trace.Skip(known.EndOfPartAlone), next => next is TraceEvent.Written { Path: var path } && path == folder.DatabasePath);

        var cuts = Enumerable.Range(0, s_cuts).Select(_ => random.Next(trace.Count)).Order().ToArray();
        var disk = new CrashedDisk(IsOfInterest);
        // As with PRAGMA synchronous=NORMAL: only what a checkpoint and the start of a log need is synced, not the commits.
        var starts = StartsOfTheLog(trace);
        var normal = new CrashedDisk(IsOfInterest, sync => !(IsLog(sync.Path) && writers.Contains(sync.Thread)) || starts.Contains(sync));
        var (applied, most, lostByNormal, started) = (0, 0, 0, 0);
        foreach (var cut in cuts)
        {
            for (; applied < cut; applied++)
            {
                disk.Apply(trace[applied]);
                normal.Apply(trace[applied]);
            }

            var expected = known.Before(cut);
            most = Math.Max(most, expected.Present.Count);
            foreach (var unsynced in Enum.GetValues<Unsynced>())
            {
                using var clone = TemporaryFolder.InMemory();
                disk.WriteTo(clone.Path, unsynced, random);
                var wrong = Faults(clone.DatabasePath, expected);
                Assert.True(wrong.Count == 0, $"Cut before event {cut} of {trace.Count}, unsynced {unsynced}: {string.Join("; ", wrong.Take(5))}");
            }

            using var ofNormal = TemporaryFolder.InMemory();
            normal.WriteTo(ofNormal.Path, Unsynced.Lost, random);
            lostByNormal += Faults(ofNormal.DatabasePath, expected).Count > 0 ? 1 : 0;

            // Now and then the service itself has to start on it.
            if (expected.Present.Count > 0 && random.Next(s_cuts) < Promise.Size(2, 10))
            {
                using var clone = TemporaryFolder.InMemory();
                disk.WriteTo(clone.Path, Unsynced.Torn, random);
                await using (var storage = await StorageFixture.StartAsync(clone.DatabasePath, settings: ("Database:BallastBytes", "0")))
                {
                    Assert.Equal("First Conversation", (await storage.GetSessionAsync("session_001")).Title);
                }

                Assert.Empty(Faults(clone.DatabasePath, expected));
                started++;
            }
        }

        Assert.True(lostByNormal > 0, "The negative control lost nothing: this test cannot see a loss.");
        promise.Figure(
            $"{s_cuts} power cuts x {Enum.GetValues<Unsynced>().Length} disks, up to {most} acknowledged writes each: 0 lost, integrity ok; {started} of them started again. "
            + $"{alone} syncs for {2 * s_turnsAlone} lone commits. With synchronous=NORMAL {lostByNormal} of the cuts would have lost some.");
    }

    /// <summary>Runs the service below strace, with one client at first and then many.</summary>
    private static async Task<List<TraceEvent>> RecordAsync(TemporaryFolder folder, Ledger ledger, int seed)
    {
        var file = Path.Combine(folder.Path, "trace.txt");
        await using (var service = await DatabaseStartTests.StartProcessAsync(folder, Strace.Recording(file)))
        {
            await DatabaseStartTests.WaitUntilHealthyAsync(service);
            await ChatAsync(service, ledger, new Random(seed), s_turnsAlone, deletes: false);
            ledger.LastAlone = await EndAsync(service);
            await Task.WhenAll(Enumerable.Range(1, Clients).Select(i => ChatAsync(service, ledger, new Random(seed + i), s_turnsOfEachClient, deletes: true)));
            await service.StopAsync();
        }

        // strace writes its last lines after the service is gone.
        await Eventually.GetAsync(() => Task.FromResult(LastLine(file)), line => line.Contains("+++ exited with 0 +++", StringComparison.Ordinal));
        var trace = SyscallTrace.Read(file);
        File.Delete(file);
        return trace;
    }

    private static string LastLine(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        stream.Seek(-Math.Min(stream.Length, 100), SeekOrigin.End);
        return new StreamReader(stream).ReadToEnd().TrimEnd().Split('\n')[^1];
    }

    private static async Task ChatAsync(ServiceProcess service, Ledger ledger, Random random, int turns, bool deletes)
    {
        using var client = new StorageClient(service.Addresses[0]);
        BeginTurn? turn = null;
        var sessions = new Queue<string>();
        for (var i = 0; i < turns; i++)
        {
            // Now and then a long one, so that checkpoints come.
            var text = $"{NewId()} {new string('x', random.Next(10) == 0 ? 100_000 : random.Next(3000))}";
            var last = turn;
            turn = last is null || random.Next(3) == 0 ? AskNew(NewId(), "alice", Says("user", text)) : Ask(last.SessionId, Says("user", text));
            if (turn.NewSession is not null)
            {
                sessions.Enqueue(turn.SessionId);
            }

            ledger.Texts[turn.Input[0].MessageId] = text;
            ledger.Begun[turn.AnswerMessageId] = (turn.Input[0].MessageId, turn.SessionId);
            Assert.NotNull((await client.WriteAsync(turn.In()))[0].TurnBegun);
            if (random.Next(2) == 0)
            {
                await client.WriteAsync(turn.SoFar("so far").In());
            }

            var answer = $"answer {NewId()}";
            Assert.NotNull((await client.WriteAsync(turn.Answered(answer).In()))[0].TurnCompleted);
            ledger.Texts[turn.AnswerMessageId] = answer;
            string? deleted = null;
            if (deletes && sessions.Count > 2 && random.Next(3) == 0)
            {
                deleted = sessions.Dequeue();
                ledger.Doomed[deleted] = true;
                await client.DeleteSessionAsync(deleted);
            }

            // The next request that this client sends says that it knew of these.
            var next = NewId();
            ledger.KnownBy[next] = (turn.AnswerMessageId, turn.SessionId, deleted);
            await client.WriteAsync(Append(turn.SessionId, new MessageContent { Role = "user", Content = next, Digest = turn.Input[0].Content.Digest }).In());
        }
    }

    /// <summary>Sends an id that has not been sent before, to find this moment in the trace.</summary>
    private static async Task<string> EndAsync(ServiceProcess service)
    {
        using var client = new StorageClient(service.Addresses[0]);
        var id = NewId();
        await client.WriteAsync(Append(id, Says("user", "no such session")).In());
        return id;
    }

    /// <summary>The syncs of the log's new header, when it is written over from its beginning.</summary>
    private static HashSet<TraceEvent.SyncEnded> StartsOfTheLog(List<TraceEvent> trace)
    {
        var starts = new HashSet<TraceEvent.SyncEnded>(ReferenceEqualityComparer.Instance);
        var (written, begun) = (new Dictionary<int, long>(), new Dictionary<int, bool>());
        foreach (var next in trace)
        {
            switch (next)
            {
                case TraceEvent.Written(var path, var offset, _, var thread) when IsLog(path):
                    written[thread] = offset;
                    break;
                case TraceEvent.SyncBegun(var path, var thread) when IsLog(path):
                    begun[thread] = written.GetValueOrDefault(thread, -1) == 0;
                    break;
                case TraceEvent.SyncEnded(var path, var thread) ended when IsLog(path) && begun.GetValueOrDefault(thread):
                    starts.Add(ended);
                    break;
            }
        }

        return starts;
    }

    private static bool IsOfInterest(string path) => Path.GetFileName(path) is "chat.db" or "chat.db-wal" or "chat.db-journal";

    private static bool IsLog(string path) => path.EndsWith("chat.db-wal", StringComparison.Ordinal);

    /// <summary>What is wrong with a database that was found after a cut.</summary>
    private static List<string> Faults(string databasePath, Expected expected)
    {
        if (!File.Exists(databasePath))
        {
            return expected.Present.Count == 0 ? [] : ["no database"];
        }

        try
        {
            using var database = OtherTool.Open(databasePath);
            List<string> wrong = [.. database.Query("PRAGMA integrity_check").Where(row => row != "ok"), .. database.Query("PRAGMA foreign_key_check")];
            if (expected.Present.Count == 0)
            {
                return wrong;
            }

            var rows = database.Query("SELECT message_id, session_id, status, content FROM messages").Select(row => row.Split('|', 4))
                // A damaged table may give a row twice.
                .DistinctBy(row => row[0]).ToDictionary(row => row[0]);
            wrong.AddRange(expected.Present.Where(message => !rows.TryGetValue(message.Key, out var row) || row[2] != "completed" || row[3] != message.Value)
                .Select(message => $"{message.Key} is lost"));
            wrong.AddRange(rows.Values.Where(row => expected.DeletedSessions.Contains(row[1])).Select(row => $"{row[0]} is back"));
            return wrong;
        }
        catch (SqliteException exception)
        {
            return [exception.Message];
        }
    }

    [GeneratedRegex("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")]
    private static partial Regex Ids();

    /// <summary>What the clients asked for.</summary>
    private sealed class Ledger
    {
        /// <summary>Of each message, by its id: its text when it is finished.</summary>
        public ConcurrentDictionary<string, string> Texts { get; } = new();

        /// <summary>By the answer's id, which the acknowledgement repeats: the question's.</summary>
        public ConcurrentDictionary<string, (string QuestionId, string SessionId)> Begun { get; } = new();

        /// <summary>By a text that a client sent: the answer that it knew to be finished by then, and the session that it knew to be deleted.</summary>
        public ConcurrentDictionary<string, (string AnswerId, string SessionId, string? Deleted)> KnownBy { get; } = new();

        /// <summary>Sessions that are deleted sooner or later: of these nothing is expected to be there.</summary>
        public ConcurrentDictionary<string, bool> Doomed { get; } = new();

        public string LastAlone { get; set; } = "";
    }

    private sealed record Expected(Dictionary<string, string> Present, HashSet<string> DeletedSessions);

    /// <summary>From when on each acknowledgement was out, in the order of the trace.</summary>
    private sealed class KnownAt
    {
        private readonly List<(int At, string MessageId, string Text)> _present = [];
        private readonly List<(int At, string SessionId)> _deleted = [];

        public KnownAt(List<TraceEvent> trace, Ledger ledger)
        {
            var (sent, received) = (new Dictionary<string, int>(), new Dictionary<string, int>());
            for (var i = 0; i < trace.Count; i++)
            {
                var (data, first) = trace[i] switch
                {
                    TraceEvent.Sent(var bytes) => (bytes, sent),
                    TraceEvent.Received(var bytes) => (bytes, received),
                    _ => ([], sent),
                };
                foreach (var id in Ids().EnumerateMatches(Encoding.Latin1.GetString(data)))
                {
                    first.TryAdd(Encoding.Latin1.GetString(data, id.Index, id.Length), i);
                }
            }

            // One that is not found would be one that is not checked.
            foreach (var (answerId, (questionId, sessionId)) in ledger.Begun)
            {
                Add(sent[answerId], questionId, sessionId, ledger);
            }

            foreach (var (text, (answerId, sessionId, deleted)) in ledger.KnownBy)
            {
                Add(received[text], answerId, sessionId, ledger);
                if (deleted is not null)
                {
                    _deleted.Add((received[text], deleted));
                }
            }

            EndOfPartAlone = received[ledger.LastAlone];
        }

        public int EndOfPartAlone { get; }

        public Expected Before(int cut) => new(
            _present.Where(message => message.At < cut).ToDictionary(message => message.MessageId, message => message.Text),
            [.. _deleted.Where(session => session.At < cut).Select(session => session.SessionId)]);

        private void Add(int at, string messageId, string sessionId, Ledger ledger)
        {
            if (!ledger.Doomed.ContainsKey(sessionId))
            {
                _present.Add((at, messageId, ledger.Texts[messageId]));
            }
        }
    }
}
