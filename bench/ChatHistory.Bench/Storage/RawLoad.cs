using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using SQLitePCL;

namespace ChatHistory.Bench.Storage;

/// <summary>
/// The limit that the service is measured by: the same messages, one row each, through one writer thread that takes all that waits into one transaction.
/// No process border, no turns: a producer appends its question, waits for the commit, appends its answer, waits for the commit.
/// </summary>
/// <param name="path">The file.</param>
/// <param name="likeTheService">
/// False: one table, one row per message, nothing else. True: a file that the service made, with all its indexes, the session row
/// inserted and updated with each message. Without triggers, as the service writes turns (decision 27).
/// </param>
internal sealed class RawLoad(string path, bool likeTheService) : IDisposable
{
    private const string UpsertUser = "INSERT INTO users (user_id, created_at, last_active) VALUES (?1, ?2, ?2) ON CONFLICT (user_id) DO UPDATE SET last_active = excluded.last_active";

    private const string InsertSession = "INSERT INTO sessions (session_id, user_id, title, created_at, updated_at) VALUES (?1, ?2, 'New Conversation', ?3, ?3)";

    private const string UpdateSession =
        "UPDATE sessions SET last_seq = last_seq + 1, message_count = message_count + 1, updated_at = ?2, head_message_id = ?3 WHERE session_id = ?1";

    private const int MaxBatch = 512;
    private const int MessagesPerCheckpoint = 500;

    private readonly BlockingCollection<(RawMessage Message, TaskCompletionSource<bool> Done)> _waiting = [];
    private readonly SemaphoreSlim _due = new(0);
    private volatile bool _over;
    private long _number;

    public async Task<LoadResult> RunAsync(int producers, TimeSpan warmUp, TimeSpan duration, int turnsPerSession)
    {
        using var database = new RawDatabase(path);
        if (likeTheService)
        {
            database.DisableTriggers();
        }
        else
        {
            database.Run(RawMessage.Create);
        }

        var writer = Task.Factory.StartNew(() => Write(database), TaskCreationOptions.LongRunning);
        var checkpointer = Task.Factory.StartNew(Checkpoint, TaskCreationOptions.LongRunning);
        var load = Load.RunAsync(producers, warmUp, duration, (producer, commits) => ProduceAsync(producer, commits, turnsPerSession));
        if (await Task.WhenAny(load, writer, checkpointer) is var first && first != load)
        {
            // It ended before its time: nobody is answered any more.
            await first;
        }

        var result = await load;
        _waiting.CompleteAdding();
        await writer;
        _over = true;
        _due.Release();
        await checkpointer;
        return result;
    }

    public void Dispose()
    {
        _due.Dispose();
        _waiting.Dispose();
    }

    private async Task ProduceAsync(int producer, CommitLog commits, int turnsPerSession)
    {
        var userId = $"bench-user-{producer}";
        var (sessionId, parentId, hash, seq) = ("", (string?)null, Array.Empty<byte>(), 0);
        for (var turn = 0; !commits.IsOver; turn++)
        {
            if (turn % turnsPerSession == 0)
            {
                (sessionId, parentId, hash, seq) = (Texts.NewId(), null, SHA256.HashData(Encoding.UTF8.GetBytes(userId)), 0);
            }

            var number = Interlocked.Increment(ref _number);
            foreach (var (role, content) in new[] { ("user", Texts.Question(number)), ("assistant", Texts.Answer(number)) })
            {
                hash = Texts.Chain(hash, Texts.Digest(role, content));
                var message = new RawMessage(Texts.NewId(), sessionId, userId, parentId, ++seq, role, content, hash);
                await commits.TimeAsync(() => AppendAsync(message));
                parentId = message.MessageId;
            }
        }
    }

    private Task<bool> AppendAsync(RawMessage message)
    {
        var done = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Add((message, done));
        return done.Task;
    }

    private void Write(RawDatabase database)
    {
        using var insert = database.Prepare(RawMessage.Insert);
        using var begin = database.Prepare("BEGIN IMMEDIATE");
        using var commit = database.Prepare("COMMIT");
        sqlite3_stmt[] session = likeTheService ? [database.Prepare(UpsertUser), database.Prepare(InsertSession), database.Prepare(UpdateSession)] : [];
        var batch = new List<TaskCompletionSource<bool>>();
        foreach (var first in _waiting.GetConsumingEnumerable())
        {
            var now = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd HH:mm:ss.fff", System.Globalization.CultureInfo.InvariantCulture);
            database.Step(begin);
            for (var next = first; ;)
            {
                Append(database, insert, session, next.Message, now);
                batch.Add(next.Done);
                if (batch.Count == MaxBatch || !_waiting.TryTake(out next))
                {
                    break;
                }
            }

            database.Step(commit);
            batch.ForEach(done => done.SetResult(true));
            _due.Release(batch.Count);
            batch.Clear();
        }

        foreach (var statement in session)
        {
            statement.Dispose();
        }
    }

    private static void Append(RawDatabase database, sqlite3_stmt insert, sqlite3_stmt[] session, RawMessage message, string now)
    {
        if (session is [var upsertUser, var insertSession, _] && message.Seq == 1)
        {
            raw.sqlite3_bind_text(upsertUser, 1, message.UserId);
            raw.sqlite3_bind_text(upsertUser, 2, now);
            database.Step(upsertUser);
            raw.sqlite3_bind_text(insertSession, 1, message.SessionId);
            raw.sqlite3_bind_text(insertSession, 2, message.UserId);
            raw.sqlite3_bind_text(insertSession, 3, now);
            database.Step(insertSession);
        }

        message.Bind(insert, now);
        database.Step(insert);
        if (session is [_, _, var updateSession])
        {
            raw.sqlite3_bind_text(updateSession, 1, message.SessionId);
            raw.sqlite3_bind_text(updateSession, 2, now);
            raw.sqlite3_bind_text(updateSession, 3, message.MessageId);
            database.Step(updateSession);
        }
    }

    // On a connection of its own, as in the service: the writer never stops for it.
    private void Checkpoint()
    {
        using var database = new RawDatabase(path);
        while (!_over)
        {
            for (var messages = 0; messages < MessagesPerCheckpoint && !_over; messages++)
            {
                _due.Wait();
            }

            database.Run("PRAGMA wal_checkpoint(PASSIVE)");
        }
    }
}
