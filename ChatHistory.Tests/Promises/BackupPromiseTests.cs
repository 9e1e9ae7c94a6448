using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using ChatHistory.Storage.V1;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Grpc.Core;
using Xunit.Abstractions;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.Promises;

/// <summary>R14: a backup that was listed can be restored, and holds a beginning of what was acknowledged, whatever is killed meanwhile.</summary>
[Trait(Promise.Trait, "R14")]
public sealed class BackupPromiseTests(ITestOutputHelper output)
{
    private const int Clients = 8;

    [Fact]
    public async Task BackupsUnderLoad_AreRestorable_AlsoWhenBackupsAreKilled()
    {
        var promise = new Promise("R14", output);
        var random = new Random(promise.Seed);
        var (backups, kills) = (Promise.Size(4, 120), Promise.Size(1, 60));
        using var folder = new TemporaryFolder();
        var history = new History();
        var startedAt = new Dictionary<string, long>();
        var longest = TimeSpan.FromMilliseconds(300);
        await using (var service = await StartAsync(folder))
        {
            await DatabaseStartTests.WaitUntilHealthyAsync(service);
            using var client = new StorageClient(service.Addresses[0]);
            using var enough = new CancellationTokenSource();
            var load = Enumerable.Range(0, Clients).Select(_ => history.WriteAsync(client, enough.Token)).ToArray();
            for (var i = 0; i < backups + kills; i++)
            {
                await history.GrowAsync(20);
                var began = Stopwatch.GetTimestamp();
                var making = client.Backups.CreateAsync(new CreateBackupRequest()).ResponseAsync;
                if (i % ((backups + kills) / kills) == 1)
                {
                    // Not to wait for anything: the moment of the kill is what is tried out.
                    await Task.Delay(random.Next((int)longest.TotalMilliseconds));
                    await service.KillAsync();
                    await making.ContinueWith(_ => { }, TaskScheduler.Default);
                    await service.RestartAsync();
                    await DatabaseStartTests.WaitUntilHealthyAsync(service);
                    continue;
                }

                startedAt[(await making).Name] = began;
                longest = Stopwatch.GetElapsedTime(began);
            }

            await enough.CancelAsync();
            await Task.WhenAll(load).WaitAsync(TimeSpan.FromSeconds(60));
            var listed = (await client.Backups.ListAsync(new ListBackupsRequest())).Backups;
            Assert.Superset(startedAt.Keys.ToHashSet(), listed.Select(backup => backup.Name).ToHashSet());
            Assert.Equal(
                listed.SelectMany(backup => new[] { backup.Name, backup.Name + ".json" }).Order(StringComparer.Ordinal),
                Directory.GetFiles(Path.Combine(folder.Path, "backups")).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
            foreach (var backup in listed)
            {
                // A backup whose answer the kill swallowed is good as well; when it began nobody knows.
                startedAt.TryAdd(backup.Name, 0);
                Assert.Equal(backup, await client.Backups.VerifyAsync(new VerifyBackupRequest { Name = backup.Name }));
            }

            await service.StopAsync();
        }

        foreach (var (name, began) in startedAt)
        {
            var (exitCode, said) = await BackupTests.RestoreAsync(folder, name);
            Assert.True(exitCode == 0, said);
            history.CheckBeginning(folder.DatabasePath, began);
        }

        promise.Figure($"{startedAt.Count} of {startedAt.Count} backups under load restored, {kills} kills in the middle of a backup, {history.Acknowledged} writes acknowledged, 0 missing");
    }

    [Fact]
    public async Task KilledRestores_LeaveTheOldOrTheNewDatabase()
    {
        var promise = new Promise("R14", output);
        var random = new Random(promise.Seed);
        var kills = Promise.Size(4, 200);
        using var folder = new TemporaryFolder();
        var (restored, stayed) = (0, 0);
        await using var service = await StartAsync(folder);
        await DatabaseStartTests.WaitUntilHealthyAsync(service);
        using var client = new StorageClient(service.Addresses[0]);
        var before = await SayAsync(client, "before", 100);
        var backup = await client.Backups.CreateAsync(new CreateBackupRequest());
        var after = await SayAsync(client, "after", 20);
        var began = Stopwatch.GetTimestamp();
        await client.Backups.RestoreAsync(new RestoreBackupRequest { Name = backup.Name });
        var duration = Stopwatch.GetElapsedTime(began);
        after = await SayAsync(client, "after", 20);
        for (var kill = 0; kill < kills; kill++)
        {
            var restoring = client.Backups.RestoreAsync(new RestoreBackupRequest { Name = backup.Name }).ResponseAsync;
            await Task.Delay(random.Next((int)(duration.TotalMilliseconds * 1.3) + 20));
            await service.KillAsync();
            var answered = await restoring.ContinueWith(call => call.IsCompletedSuccessfully, TaskScheduler.Default);
            await service.RestartAsync();
            await DatabaseStartTests.WaitUntilHealthyAsync(service);

            using (var database = OtherTool.Open(folder.DatabasePath))
            {
                Assert.Equal(["ok"], database.Query("PRAGMA integrity_check"));
                var said = database.Query("SELECT message_id FROM messages").ToHashSet();
                Assert.Superset(before, said);
                var isOld = said.Overlaps(after);
                Assert.Equal(isOld ? after.Count : 0, said.Intersect(after).Count());
                Assert.False(isOld && answered, "a restore that was answered is not there");
                (stayed, restored) = isOld ? (stayed + 1, restored) : (stayed, restored + 1);
                if (isOld)
                {
                    continue;
                }
            }

            after = await SayAsync(client, "after", 20);
        }

        // Whatever was replaced is listed in the end, and nothing is left over.
        await Eventually.GetAsync(
            () => Task.FromResult(Directory.GetFiles(folder.Path).Select(path => Path.GetFileName(path)).ToArray()), files => !files.Any(file => file.Contains(".re", StringComparison.Ordinal)));
        foreach (var listed in (await client.Backups.ListAsync(new ListBackupsRequest())).Backups)
        {
            await client.Backups.VerifyAsync(new VerifyBackupRequest { Name = listed.Name });
        }

        promise.Figure($"{kills} kills in the middle of a restore: {stayed} times the old database, {restored} times the restored one, 0 times anything else");
    }

    /// <summary>The long form is beyond SQLite's lock page, at 1 GiB.</summary>
    [Fact]
    public async Task LargeDatabase_IsCopiedWithoutHoldingUpTheWriterOrTheLog()
    {
        var promise = new Promise("R14", output);
        using var folder = new TemporaryFolder();
        await using var service = await StartAsync(folder);
        await DatabaseStartTests.WaitUntilHealthyAsync(service);
        await service.StopAsync();
        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            var megabytes = Promise.Size(40, 1200);
            database.Execute(
                $"INSERT INTO messages (message_id, session_id, role, content) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {megabytes}) SELECT 'large-' || i, 'session_001', 'user', hex(randomblob(512 * 1024)) FROM n");
        }

        await service.RestartAsync();
        await DatabaseStartTests.WaitUntilHealthyAsync(service);
        using var client = new StorageClient(service.Addresses[0]);
        var history = new History();
        using var enough = new CancellationTokenSource();
        var load = Enumerable.Range(0, Clients).Select(_ => history.WriteAsync(client, enough.Token)).ToArray();
        var largestLog = 0L;
        var watching = WatchAsync(() => largestLog = Math.Max(largestLog, new FileInfo(folder.DatabasePath + "-wal") is { Exists: true } log ? log.Length : 0), enough.Token);
        await history.GrowAsync(100);
        var began = Stopwatch.GetTimestamp();
        var acknowledgedBefore = history.Acknowledged;
        var backup = await client.Backups.CreateAsync(new CreateBackupRequest());
        var duration = Stopwatch.GetElapsedTime(began);
        var during = history.Acknowledged - acknowledgedBefore;
        await enough.CancelAsync();
        await Task.WhenAll([.. load, watching]).WaitAsync(TimeSpan.FromSeconds(60));

        Assert.True(during > 0, "nothing was written while the backup was made");
        Assert.InRange(largestLog, 0, 64L * 1024 * 1024);
        var restoring = Stopwatch.GetTimestamp();
        await client.Backups.RestoreAsync(new RestoreBackupRequest { Name = backup.Name });
        var restored = Stopwatch.GetElapsedTime(restoring);
        await service.StopAsync();
        history.CheckBeginning(folder.DatabasePath, began);
        promise.Figure(string.Create(
            CultureInfo.InvariantCulture,
            $"{backup.Size / 1024 / 1024} MiB copied and verified in {duration.TotalSeconds:0.0} s beside {during / duration.TotalSeconds:0} writes/s (longest {history.Longest.TotalMilliseconds:0} ms), log at most {largestLog / 1024 / 1024} MiB; restored in {restored.TotalSeconds:0.0} s"));
    }

    private static Task<ServiceProcess> StartAsync(TemporaryFolder folder) =>
        ServiceProcess.StartAsync("ChatHistory.StorageService", new Dictionary<string, string>
        {
            ["Kestrel__Endpoints__grpc__Url"] = "http://127.0.0.1:0",
            ["Kestrel__Endpoints__http__Url"] = "http://127.0.0.1:0",
            ["Database__Path"] = folder.DatabasePath,
            ["Logs__Directory"] = Path.Combine(folder.Path, "logs"),
            ["Backup__Every"] = "00:00:00",
            ["Backup__Keep"] = "10000",
        });

    private static async Task<HashSet<string>> SayAsync(StorageClient client, string text, int count)
    {
        var ids = new HashSet<string>();
        for (var i = 0; i < count; i++)
        {
            var turn = AskNew(NewId(), "alice", Says("user", string.Concat(Enumerable.Repeat($"{text} {i} ", 1000))));
            Assert.NotNull((await client.WriteAsync(turn.In()))[0].TurnBegun);
            Assert.NotNull((await client.WriteAsync(turn.Answered("yes").In()))[0].TurnCompleted);
            ids.Add(turn.Input[0].MessageId);
        }

        return ids;
    }

    private static async Task WatchAsync(Action look, CancellationToken enough)
    {
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!enough.IsCancellationRequested)
        {
            look();
            await pause.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    /// <summary>Every write, with the moments of its call and of its acknowledgement.</summary>
    private sealed class History
    {
        private readonly ConcurrentDictionary<string, Write> _writes = new();
        private int _acknowledged;
        private long _longest;

        public int Acknowledged => _acknowledged;

        public TimeSpan Longest => TimeSpan.FromTicks(_longest);

        /// <summary>Turn after turn, two in each session; goes on when the service comes back.</summary>
        public async Task WriteAsync(StorageClient client, CancellationToken enough)
        {
            using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            while (!enough.IsCancellationRequested)
            {
                try
                {
                    var first = AskNew(NewId(), "alice", Says("user", NewId()));
                    foreach (var turn in new[] { first, Ask(first.SessionId, Says("user", NewId())) })
                    {
                        await NoteAsync(turn.Input[0].MessageId, turn.Input[0].Content.Content, () => client.WriteAsync(turn.In()), result => result.TurnBegun is not null);
                        var answer = NewId();
                        await NoteAsync(turn.AnswerMessageId, answer, () => client.WriteAsync(turn.Answered(answer).In()), result => result.TurnCompleted is not null);
                    }
                }
                catch (RpcException)
                {
                    await pause.WaitForNextTickAsync(CancellationToken.None);
                }
            }
        }

        public Task<int> GrowAsync(int by)
        {
            var goal = _acknowledged + by;
            return Eventually.GetAsync(() => Task.FromResult(_acknowledged), count => count >= goal);
        }

        /// <summary>
        /// What a database holds is a beginning of the history: all that was acknowledged before <paramref name="began"/>; and with a write, all that was
        /// acknowledged before that was called. Each of them is whole.
        /// </summary>
        public void CheckBeginning(string databasePath, long began)
        {
            using var database = OtherTool.Open(databasePath);
            database.AssertSound();
            var rows = database.Query("SELECT message_id, content FROM messages WHERE status = 'completed'").Select(row => row.Split('|')).ToDictionary(row => row[0], row => row[1]);
            var (there, missing) = (_writes.Where(write => rows.ContainsKey(write.Key)).ToList(), _writes.Where(write => !rows.ContainsKey(write.Key)).ToList());
            Assert.All(there, write => Assert.Equal(write.Value.Content, rows[write.Key]));
            var end = Math.Max(began, there.Select(write => write.Value.Called).DefaultIfEmpty(0).Max());
            Assert.DoesNotContain(missing, write => write.Value.Acknowledged < end);
            Assert.Empty(database.Query("SELECT session_id FROM sessions s WHERE message_count <> (SELECT count(*) FROM messages m WHERE m.session_id = s.session_id) AND session_id <> 'session_001'"));
        }

        private async Task NoteAsync(string id, string content, Func<Task<IReadOnlyList<WriteResult>>> write, Func<WriteResult, bool> isDone)
        {
            var noted = _writes[id] = new Write(content, Stopwatch.GetTimestamp());
            Assert.True(isDone((await write())[0]));
            noted.Acknowledged = Stopwatch.GetTimestamp();
            Interlocked.Increment(ref _acknowledged);
            var took = Stopwatch.GetElapsedTime(noted.Called, noted.Acknowledged).Ticks;
            if (took > Volatile.Read(ref _longest))
            {
                Volatile.Write(ref _longest, took);
            }
        }

        private sealed class Write(string content, long called)
        {
            public string Content => content;

            public long Called => called;

            /// <summary>When it was; never while it is not.</summary>
            public long Acknowledged { get; set; } = long.MaxValue;
        }
    }
}
