extern alias storage;

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using ChatHistory.Storage.V1;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using storage::ChatHistory.StorageService.Database;
using storage::ChatHistory.StorageService.Sessions;
using storage::ChatHistory.StorageService.Users;
using storage::ChatHistory.StorageService.Writing;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

public sealed class DatabaseWriterTests
{
    [Fact]
    public async Task ManyTurnsAtOnce_ShareTransactionsAndAreAllThere()
    {
        using var folder = new TemporaryFolder();
        List<BeginTurn> turns = [.. Enumerable.Range(0, 300).Select(i => AskNew(NewId(), $"user{i % 7}", Says("user", $"question {i}")))];
        var batches = new ConcurrentBag<int>();
        await using (var storage = await StorageFixture.StartAsync(folder.DatabasePath))
        {
            using var meters = new MeterListener();
            var factory = storage.Services.GetRequiredService<IMeterFactory>();
            meters.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "chathistory.storage.batch.size" && ReferenceEquals(instrument.Meter.Scope, factory))
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            meters.SetMeasurementEventCallback<int>((_, size, _, _) => batches.Add(size));
            meters.Start();

            await Task.WhenAll(turns.Select(async turn =>
            {
                Assert.NotNull((await storage.WriteOneAsync(turn.In())).TurnBegun);
                Assert.NotNull((await storage.WriteOneAsync(turn.Answered($"answer to {turn.Input[0].Content.Content}").In())).TurnCompleted);
            }));
        }

        using var database = OtherTool.Open(folder.DatabasePath);
        Assert.Equal(600, batches.Sum());
        Assert.True(batches.Count < 600, "No two commands shared a transaction.");
        Assert.Equal(["300|300"], database.Query("SELECT count(*), sum(status = 'completed' AND content LIKE 'answer to question %') FROM messages WHERE role = 'assistant'"));
        Assert.Equal(["300"], database.Query("SELECT sum(session_count) FROM users WHERE user_id LIKE 'user%'"));
        Assert.Equal(["ok"], database.Query("PRAGMA integrity_check"));
    }

    [Fact]
    public void TextsInAnotherEncoding_AreRefusedWithARemedy()
    {
        using var folder = new TemporaryFolder();
        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            database.Execute("PRAGMA encoding = 'UTF-16le'");
            database.Execute("CREATE TABLE notes (text TEXT)");
        }

        using var file = new DatabaseFile(Options.Create(new DatabaseOptions { Path = folder.DatabasePath }));
        var refused = Assert.Throws<DatabaseStartException>(file.OpenWriter);

        Assert.Contains("texts in UTF-16le; this service needs UTF-8", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WriterConnection_IsDurable()
    {
        using var folder = new TemporaryFolder();
        using var file = new DatabaseFile(Options.Create(new DatabaseOptions { Path = folder.DatabasePath }));
        using var connection = file.OpenWriter();

        string[] settings = ["journal_mode", "synchronous", "foreign_keys", "secure_delete", "temp_store", "wal_autocheckpoint", "mmap_size", "page_size"];
        Assert.Equal(["wal", "2", "1", "1", "2", "0", "0", "4096"], settings.Select(Read));

        string Read(string setting)
        {
            using var reader = connection.Query($"PRAGMA {setting}");
            Assert.True(reader.Read());
            return reader.GetString(0);
        }
    }

    [Fact]
    public async Task Acknowledged_IsCommitted()
    {
        await using var storage = await StorageFixture.StartAsync();
        var writer = storage.Services.GetRequiredService<DatabaseWriter>();
        using var database = storage.OpenAsOtherTool();

        for (var i = 0; i < 300; i++)
        {
            var rename = new storage::ChatHistory.Storage.V1.UpdateSessionRequest { SessionId = "session_001", Title = $"{i}" };
            await writer.RunAsync(new UpdateSessionCommand(rename, new UserScope(Owner: null)), CancellationToken.None);
            Assert.Equal([$"{i}"], database.Query("SELECT title FROM sessions WHERE session_id = 'session_001'"));
        }
    }

    [Fact]
    public async Task WhoFindsNobodyWriting_WritesAndHoldsUpNobody()
    {
        await using var storage = await StorageFixture.StartAsync();
        var writer = storage.Services.GetRequiredService<DatabaseWriter>();
        // Whatever fails below, the writer is let go.
        using var first = new HeldCommand();
        using var second = new HeldCommand();
        second.Release();

        var writing = Task.Factory.StartNew(
            () => (ThreadId: Environment.CurrentManagedThreadId, IsDurable: writer.RunTurnsAsync([first], CancellationToken.None).IsCompletedSuccessfully),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await first.Begun.Task;
        var waiting = writer.RunTurnsAsync([second], CancellationToken.None);
        var stopping = writer.StopAsync();
        var after = Assert.Throws<RpcException>(() => { _ = writer.RunTurnsAsync([second], CancellationToken.None); });

        Assert.False(waiting.IsCompleted || stopping.IsCompleted, "Two wrote at the same time, or the writer stopped before what it had accepted was written.");
        first.Release();
        var caller = await writing;
        await waiting;
        await stopping;

        Assert.True(caller.IsDurable);
        Assert.Equal(caller.ThreadId, first.ThreadId);
        Assert.NotEqual(caller.ThreadId, second.ThreadId);
        Assert.Equal(StatusCode.Unavailable, after.StatusCode);
    }

    [Fact]
    public async Task GuiltyCommand_FailsAlone()
    {
        await using var storage = await StorageFixture.StartAsync();
        var first = AskNew(NewId(), "alice", Says("user", "one"));
        var guilty = AskNew(NewId(), "alice", Says("user", "two"), Says("user", "three"));
        guilty.Input[1].MessageId = first.Input[0].MessageId;
        var last = AskNew(NewId(), "alice", Says("user", "four"));

        var results = await storage.WriteAsync(first.In(), guilty.In(), first.Answered("1").In(), last.In());

        Assert.Equal(
            [WriteResult.ResultOneofCase.TurnBegun, WriteResult.ResultOneofCase.Refusal, WriteResult.ResultOneofCase.TurnCompleted, WriteResult.ResultOneofCase.TurnBegun],
            results.Select(result => result.ResultCase));
        Assert.Equal(Refusal.Types.Reason.Invalid, results[1].Refusal.Reason);
        using var database = storage.OpenAsOtherTool();
        Assert.Equal(["2|4"], database.Query("SELECT count(DISTINCT session_id), count(*) FROM messages"));
        Assert.Equal(["0"], database.Query($"SELECT count(*) FROM sessions WHERE session_id = '{guilty.SessionId}'"));
    }

    [Fact]
    public async Task LockedDatabase_RefusesTheWriteAndRecovers()
    {
        await using var storage = await StorageFixture.StartAsync(settings: ("Database:BusyTimeout", "00:00:00.2"));
        var turn = AskNew(NewId(), "alice", Says("user", "one"));
        using var other = storage.OpenAsOtherTool();
        other.Execute("BEGIN IMMEDIATE");

        var whileLocked = await storage.WriteOneAsync(turn.In());
        var unary = await Assert.ThrowsAsync<RpcException>(async () => await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = Everyone, SessionId = "session_001" }));
        var read = await storage.GetSessionAsync("session_001");
        other.Execute("ROLLBACK");
        var after = await storage.WriteOneAsync(turn.In());

        Assert.Equal(Refusal.Types.Reason.NotWritten, whileLocked.Refusal.Reason);
        Assert.Equal(StatusCode.Unavailable, unary.StatusCode);
        Assert.Equal("First Conversation", read.Title);
        Assert.NotNull(after.TurnBegun);
    }

    [Fact]
    public async Task TooMuchWaiting_IsRefusedAtOnce()
    {
        await using var storage = await StorageFixture.StartAsync(settings: ("Writer:MaxQueuedBytes", "2048"));

        var refused = await Assert.ThrowsAsync<RpcException>(
            () => storage.WriteOneAsync(AskNew(NewId(), "alice", Says("user", new string('x', 4096))).In()));
        var small = await storage.WriteOneAsync(AskNew(NewId(), "alice", Says("user", "x")).In());

        Assert.Equal(StatusCode.ResourceExhausted, refused.StatusCode);
        Assert.NotNull(small.TurnBegun);
    }

    [Fact]
    public async Task LargeMessage_IsStored()
    {
        await using var storage = await StorageFixture.StartAsync();
        var image = new string('A', 20 * 1024 * 1024);
        var turn = AskNew(NewId(), "alice", Says("user", "look"));
        turn.Input[0].Content.ContentParts = image;

        await storage.WriteOneAsync(turn.In());

        using var database = storage.OpenAsOtherTool();
        Assert.Equal([$"{image.Length}"], database.Query("SELECT length(content_parts) FROM messages WHERE role = 'user'"));
    }

    [Fact]
    public async Task EachCommand_HasASpanInTheTraceOfItsTurn()
    {
        await using var storage = await StorageFixture.StartAsync();
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "ChatHistory.Storage",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        var turn = AskNew(NewId(), "alice", Says("user", "private words"));
        var begin = turn.In();
        begin.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        var refused = Ask(NewId(), Says("user", "x")).In();
        refused.Traceparent = "00-5bf92f3577b34da6a3ce929d0e0e4736-10f067aa0ba902b7-01";

        await storage.WriteAsync(begin, refused);

        var span = Assert.Single(spans, span => span.TraceId.ToHexString() == "4bf92f3577b34da6a3ce929d0e0e4736");
        Assert.Equal(("storage begin_turn", "00f067aa0ba902b7", ActivityStatusCode.Unset), (span.DisplayName, span.ParentSpanId.ToHexString(), span.Status));
        Assert.DoesNotContain(span.TagObjects, tag => tag.Value is string text && text.Contains("private", StringComparison.Ordinal));
        var failed = Assert.Single(spans, span => span.TraceId.ToHexString() == "5bf92f3577b34da6a3ce929d0e0e4736");
        Assert.Equal(("SessionNotFound", ActivityStatusCode.Error), (failed.GetTagItem("error.type"), failed.Status));
    }

    /// <summary>Changes nothing, and does not end before it is released.</summary>
    private sealed class HeldCommand : storage::ChatHistory.StorageService.Writing.WriteCommand, IDisposable
    {
        private readonly TaskCompletionSource _released = new();

        public TaskCompletionSource Begun { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int ThreadId { get; private set; }

        public override void Execute(PreparedConnection database, string now)
        {
            ThreadId = Environment.CurrentManagedThreadId;
            Begun.TrySetResult();
            _released.Task.Wait();
        }

        public void Release() => _released.TrySetResult();

        public void Dispose() => Release();
    }
}
