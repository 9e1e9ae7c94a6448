using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using ChatHistory.Storage.V1;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Grpc.Core;
using Xunit.Abstractions;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// R5: the Nth write or fsync of the database's files fails. Nothing is acknowledged that is not stored; a disk that stays broken makes the service
/// unhealthy, and one that works again makes it well, without a restart.
/// </summary>
[Trait(Promise.Trait, "R5")]
public sealed class IoErrorTests(ITestOutputHelper output)
{
    private const int Clients = 4;

    [StraceFact]
    public async Task NthCallThatFails_IsNeverAcknowledged_AndIsRecoveredFrom()
    {
        var promise = new Promise("R5", output);
        var random = new Random(promise.Seed);
        // Counted for each thread from the moment on at which strace comes: the short form takes some, the long one each.
        int[] faults = Promise.IsLong ? [.. Enumerable.Range(1, 300)] : [1, 1 + random.Next(8), 10 + random.Next(30)];
        using var folder = new TemporaryFolder();
        var stored = new ConcurrentDictionary<string, string>();
        var (injected, refused, slowest) = (0, 0, TimeSpan.Zero);
        await using (var service = await DatabaseStartTests.StartProcessAsync(folder))
        {
            await DatabaseStartTests.WaitUntilHealthyAsync(service);
            foreach (var (n, call) in faults.SelectMany(n => new[] { (n, "pwrite64"), (n, "fsync") }))
            {
                await using var strace = await AttachedStrace.StartAsync(service.Id, Path.Combine(folder.Path, "strace.txt"), $"{call}:error=EIO:when={n}", FilesOf(folder));
                var load = Enumerable.Range(0, Clients).Select(_ => WriteAsync(service, stored, () => strace.Injected > 0)).ToArray();
                var refusals = await Task.WhenAll(load).WaitAsync(TimeSpan.FromSeconds(120));
                refused += refusals.Sum();
                injected += strace.Injected;
                await strace.DetachAsync();

                var began = Stopwatch.GetTimestamp();
                await DatabaseStartTests.WaitUntilHealthyAsync(service);
                slowest = Stopwatch.GetElapsedTime(began) is var took && took > slowest ? took : slowest;
            }

            await service.StopAsync();
        }

        Assert.InRange(injected, faults.Length * 2, int.MaxValue);
        Check(folder, stored);
        promise.Figure($"the Nth write and fsync failed for {faults.Length} values of N (up to {faults.Max()}): {injected} errors, {refused} writes refused and sent again, {stored.Count} acknowledged, 0 lost; well again after {slowest.TotalSeconds:0.0} s at most");
    }

    [StraceFact]
    public async Task DiskThatStaysBroken_MakesTheServiceUnhealthy_UntilItWorksAgain()
    {
        var promise = new Promise("R5", output);
        using var folder = new TemporaryFolder();
        var stored = new ConcurrentDictionary<string, string>();
        await using (var service = await DatabaseStartTests.StartProcessAsync(folder))
        {
            await DatabaseStartTests.WaitUntilHealthyAsync(service);
            using var client = new StorageClient(service.Addresses[0]);
            var session = AskNew(NewId(), "alice", Says("user", "before"));
            await client.WriteAsync(session.In(), session.Answered("before").In());
            var acknowledged = 0;
            await using (var strace = await AttachedStrace.StartAsync(service.Id, Path.Combine(folder.Path, "strace.txt"), "fsync:error=EIO:when=1+", FilesOf(folder)))
            {
                for (var i = 0; i < Promise.Size(20, 200); i++)
                {
                    var turn = Ask(session.SessionId, Says("user", $"{i}"));
                    acknowledged += (await client.WriteAsync(turn.In()))[0].TurnBegun is null ? 0 : 1;
                }

                Assert.Equal(0, acknowledged);
                Assert.True(strace.Injected > 0);
                Assert.Equal(HttpStatusCode.ServiceUnavailable, await HealthAsync(service));
                // What is stored can be read all the same.
                Assert.Equal(["before", "before"], (await client.ListAsync(session.SessionId)).Select(message => message.Content.Content));
                await strace.DetachAsync();
            }

            // Nobody has to write for it to find out.
            var began = Stopwatch.GetTimestamp();
            await DatabaseStartTests.WaitUntilHealthyAsync(service);
            var took = Stopwatch.GetElapsedTime(began);
            Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(Promise.Size(15, 5)));
            await WriteAsync(service, stored, () => true);
            await service.StopAsync();
            promise.Figure($"every fsync failed: 0 of {Promise.Size(20, 200)} writes acknowledged, unhealthy, reads ok; well again {took.TotalSeconds:0.0} s after the disk was");
        }

        Check(folder, stored);
    }

    private static string[] FilesOf(TemporaryFolder folder) => [folder.DatabasePath, folder.DatabasePath + "-wal"];

    /// <summary>Writes turn after turn, each as often as it is refused, as the gateway does; returns how often that was.</summary>
    private static async Task<int> WriteAsync(ServiceProcess service, ConcurrentDictionary<string, string> stored, Func<bool> enough)
    {
        using var client = new StorageClient(service.Addresses[0]);
        var refused = 0;
        do
        {
            var turn = AskNew(NewId(), "alice", Says("user", $"{NewId()} {new string('x', 20_000)}"));
            refused += await UntilTakenAsync(client, turn.In());
            stored[turn.Input[0].MessageId] = turn.Input[0].Content.Content;
            var answer = NewId();
            refused += await UntilTakenAsync(client, turn.Answered(answer).In());
            stored[turn.AnswerMessageId] = answer;
        }
        while (!enough());
        return refused;
    }

    private static async Task<int> UntilTakenAsync(StorageClient client, WriteCommand command)
    {
        var refused = 0;
        await Eventually.GetAsync(
            async () =>
            {
                try
                {
                    var result = (await client.WriteAsync(command))[0];
                    Assert.True(result.Refusal is null or { Reason: Refusal.Types.Reason.NotWritten }, $"{result}");
                    refused += result.Refusal is null ? 0 : 1;
                    return result.Refusal is null;
                }
                catch (RpcException exception) when (exception.StatusCode == StatusCode.Unavailable)
                {
                    // A read of the command's place met the fault.
                    refused++;
                    return false;
                }
            },
            taken => taken);
        return refused;
    }

    private static async Task<HttpStatusCode> HealthAsync(ServiceProcess service)
    {
        using var http = new HttpClient();
        using var health = await http.GetAsync(new Uri(service.Addresses[1], "/health"));
        return health.StatusCode;
    }

    private static void Check(TemporaryFolder folder, ConcurrentDictionary<string, string> stored)
    {
        using var database = OtherTool.Open(folder.DatabasePath);
        database.AssertSound();
        var rows = database.Query("SELECT message_id, content FROM messages").Select(row => row.Split('|', 2)).ToDictionary(row => row[0], row => row[1]);
        Assert.All(stored, message => Assert.Equal(message.Value, rows[message.Key]));
        Assert.Empty(database.Query("SELECT content FROM messages WHERE role = 'user' GROUP BY content HAVING count(*) > 1 AND content <> 'before'"));
    }

    /// <summary>strace at a running process, whose calls it makes fail until it is detached.</summary>
    private sealed class AttachedStrace : IAsyncDisposable
    {
        private readonly Process _process;
        private readonly string _file;

        private AttachedStrace(Process process, string file) => (_process, _file) = (process, file);

        /// <summary>How many calls it has made fail so far.</summary>
        public int Injected => File.Exists(_file) ? ReadLines().Count(line => line.EndsWith("(INJECTED)", StringComparison.Ordinal)) : 0;

        public static async Task<AttachedStrace> StartAsync(int processId, string file, string inject, string[] paths)
        {
            File.Delete(file);
            var process = Process.Start(new ProcessStartInfo("strace", Strace.Attaching(processId, file, inject, paths)) { RedirectStandardError = true })!;
            // "strace: Process 311 attached with 27 threads"
            var line = await process.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30));
            Assert.Contains("attached", line, StringComparison.Ordinal);
            _ = process.StandardError.ReadToEndAsync();
            return new AttachedStrace(process, file);
        }

        public async Task DetachAsync()
        {
            if (!_process.HasExited)
            {
                ServiceProcess.Terminate(_process.Id);
                await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
            }
        }

        public async ValueTask DisposeAsync()
        {
            await DetachAsync();
            _process.Dispose();
        }

        private List<string> ReadLines()
        {
            using var file = new StreamReader(new FileStream(_file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            return [.. file.ReadToEnd().Split('\n')];
        }
    }
}
