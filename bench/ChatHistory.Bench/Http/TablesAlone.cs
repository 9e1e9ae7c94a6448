using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ChatHistory.Bench.Load;
using ChatHistory.Bench.Storage;
using ChatHistory.Bench.Targets;
using SQLitePCL;

namespace ChatHistory.Bench.Http;

/// <summary>
/// About what SQLite takes for a turn in the product's tables when there is nothing else, checkpoints included. One thread of the load
/// generator writes first turns, as the JSON workloads make them, into a file with the product's tables and indexes and its settings: the session, the question
/// and the answer, each row once and in its final form, and the owner's counters. No triggers, nothing read, nobody asked, nobody waiting. Another thread copies
/// the log into the file, as in the product. The product writes the question before the model is asked and the answer after it, so it commits twice.
/// </summary>
internal sealed class TablesAlone : IDisposable
{
    public const string Name = "SQLite alone, first turns";

    private const string UserId = "bench";
    private const int TurnsPerCheckpoint = 250;

    private const string CountForUser =
        """
        INSERT INTO users (user_id, created_at, last_active, session_count, stored_bytes) VALUES (?1, ?2, ?2, 1, 1200)
        ON CONFLICT (user_id) DO UPDATE SET session_count = session_count + 1, stored_bytes = stored_bytes + excluded.stored_bytes
        """;

    private const string InsertSession =
        """
        INSERT INTO sessions (session_id, user_id, title, created_at, updated_at, message_count, last_seq, prompt_tokens, completion_tokens, head_message_id)
        VALUES (?1, ?2, 'New Conversation', ?3, ?3, 2, 2, 40, 200, ?4)
        """;

    // A lone client's; about as many as share a commit when 64 ask, and 256; all of 256; and more than any client waits for.
    private static readonly int[] s_turnsPerCommit = [1, 16, 64, 256, 1000];

    private readonly RawDatabase _database;
    private readonly RawDatabase _checkpointer;
    private readonly sqlite3_stmt _begin, _commit, _user, _session, _message;
    private long _number;

    /// <param name="path">A file that is not there yet.</param>
    /// <param name="product">The product's database: its tables and indexes are made in the new file.</param>
    public TablesAlone(string path, string product)
    {
        _database = new RawDatabase(path);
        using (var made = new RawDatabase(product))
        {
            made.Texts("SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY type DESC").ForEach(_database.Run);
        }

        (_begin, _commit) = (_database.Prepare("BEGIN IMMEDIATE"), _database.Prepare("COMMIT"));
        (_user, _session, _message) = (_database.Prepare(CountForUser), _database.Prepare(InsertSession), _database.Prepare(RawMessage.InsertInPlace));
        _checkpointer = new RawDatabase(path);
    }

    public static IEnumerable<string> Kinds => s_turnsPerCommit.Select(Kind);

    /// <summary>A slice of each kind, and YARP's of the same round once more, so that both can be compared.</summary>
    public async Task RoundAsync(Results results, TimeSpan time)
    {
        foreach (var turns in s_turnsPerCommit)
        {
            // A thread of its own: its processor time is what is asked for.
            var slice = await Task.Factory.StartNew(() => Run(turns, time), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            results.Add(Name, Kind(turns), slice);
        }

        if (results.Of(Workload.Json64.Name, Target.Yarp) is [.., var yarp])
        {
            results.Add(Name, Target.Yarp, yarp);
        }
    }

    public void Dispose()
    {
        foreach (var statement in (sqlite3_stmt[])[_begin, _commit, _user, _session, _message])
        {
            statement.Dispose();
        }

        _checkpointer.Dispose();
        _database.Dispose();
    }

    private static string Kind(int turns) => string.Create(CultureInfo.InvariantCulture, $"{turns} in a commit");

    private Slice Run(int turnsPerCommit, TimeSpan time)
    {
        var (turns, due, commits) = (0L, 0, new List<double>());
        using var checkpoint = new SemaphoreSlim(0);
        using var over = new CancellationTokenSource();
        var checkpoints = Task.Factory.StartNew(() => Checkpoint(checkpoint, over.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var (started, cpu) = (Stopwatch.GetTimestamp(), CpuOfThisThread());
        while (Stopwatch.GetElapsedTime(started) < time)
        {
            var began = Stopwatch.GetTimestamp();
            var now = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture);
            _database.Step(_begin);
            for (var i = 0; i < turnsPerCommit; i++)
            {
                Write(++_number, now);
            }

            _database.Step(_commit);
            commits.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
            turns += turnsPerCommit;
            if ((due += turnsPerCommit) >= TurnsPerCheckpoint)
            {
                due = 0;
                checkpoint.Release();
            }
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        cpu = CpuOfThisThread() - cpu;
        over.Cancel();
        cpu += checkpoints.Result;
        commits.Sort();
        return new Slice
        {
            Answers = turns,
            Errors = 0,
            Seconds = seconds,
            P50 = Percentiles.At(commits, 0.5),
            P99 = Percentiles.At(commits, 0.99),
            Cpu = cpu.TotalMicroseconds / turns,
        };
    }

    /// <returns>The processor time that it took.</returns>
    private TimeSpan Checkpoint(SemaphoreSlim due, CancellationToken over)
    {
        var cpu = CpuOfThisThread();
        try
        {
            while (true)
            {
                due.Wait(over);
                _checkpointer.Run("PRAGMA wal_checkpoint(PASSIVE)");
            }
        }
        catch (OperationCanceledException)
        {
            return CpuOfThisThread() - cpu;
        }
    }

    private void Write(long number, string now)
    {
        var (sessionId, question, answer) = (Texts.NewId(), Texts.Question(number), Texts.Answer(number));
        var asked = Texts.Chain(SHA256.HashData(Encoding.UTF8.GetBytes(UserId)), Texts.Digest("user", question));
        var user = new RawMessage(Texts.NewId(), sessionId, UserId, null, 1, "user", question, asked);
        var assistant = new RawMessage(Texts.NewId(), sessionId, UserId, user.MessageId, 2, "assistant", answer, Texts.Chain(asked, Texts.Digest("assistant", answer)));

        raw.sqlite3_bind_text(_user, 1, UserId);
        raw.sqlite3_bind_text(_user, 2, now);
        _database.Step(_user);
        raw.sqlite3_bind_text(_session, 1, sessionId);
        raw.sqlite3_bind_text(_session, 2, UserId);
        raw.sqlite3_bind_text(_session, 3, now);
        raw.sqlite3_bind_text(_session, 4, assistant.MessageId);
        _database.Step(_session);
        foreach (var message in (RawMessage[])[user, assistant])
        {
            message.Bind(_message, now);
            raw.sqlite3_bind_int64(_message, 21, number);
            _database.Step(_message);
        }
    }

    // proc(5): nanoseconds on a processor, nanoseconds of waiting for one, time slices.
    private static TimeSpan CpuOfThisThread() =>
        TimeSpan.FromMicroseconds(long.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[0], CultureInfo.InvariantCulture) / 1000.0);
}
