using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>R4: the disk is full. What cannot be stored is refused as that, all that is stored can be read and deleted, and with room again everything works again.</summary>
[Trait(Promise.Trait, "R4")]
public sealed class DiskFullTests(ITestOutputHelper output)
{
    private const long Ballast = 6 * 1024 * 1024;
    private const int Page = 4096;

    // More than the log's file has room for already, so that it has to grow.
    private static readonly string s_long = new('x', 700_000);
    private static readonly TimeSpan s_recovery = TimeSpan.FromSeconds(Promise.Size(15, 5));

    [TmpfsFact]
    public async Task FullDisk_RefusesReadsDeletesAndRecovers()
    {
        var promise = new Promise("R4", output);
        var random = new Random(promise.Seed);
        using var disk = new SmallDisk(megabytes: 40);
        await using var system = await StartAsync(disk, Ballast);
        var client = system.Client;
        await Eventually.GetAsync(() => Task.FromResult(disk.BallastLength), length => length == Ballast);
        var stored = await ChatAsync(client);
        var doomed = await NewSessionAsync(client);
        Assert.InRange((int)(await AppendAsync(client, doomed, s_long)).Status, 200, 299);
        var prompt = NewPrompt();
        var slow = client.StreamAsync(Body(prompt, stream: true, """{"tokens":300,"token_ms":10}"""));
        using (var simulator = new SimulatorProbe(system.Simulator!))
        {
            await simulator.WaitForOutcomeAsync(prompt, "running");
        }

        // Rounds: the room that is left differs from page to page, so that it is another write that finds none.
        var (rounds, refusals, slowest) = (Promise.Size(3, 120), 0, TimeSpan.Zero);
        for (var round = 0; round < rounds; round++)
        {
            var large = await NewSessionAsync(client);
            disk.Fill(leave: (round + random.Next(3)) * 2 * Page);
            AssertFull(await Eventually.GetAsync(() => AppendAsync(client, large, s_long), answer => (int)answer.Status > 299));
            refusals++;
            Assert.Equal(0, disk.BallastLength);
            await AssertReadableAsync(client, stored);
            // Short messages would fit into what the ballast gave back. That is kept for deleting.
            AssertFull(await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: round % 2 == 0)));
            AssertFull(await client.PostJsonAsync("/v1/sessions", """{"user_id":"ada"}"""));
            Assert.Equal("Degraded", await HealthOfStorageAsync(system));
            Assert.True((await client.StreamAsync(Body(NewPrompt(), stream: true, more: "\"store\":false"))).IsDone);
            if (round == 0)
            {
                // What was begun may end, and is kept.
                var ended = await slow;
                Assert.True(ended.IsDone, ended.Text);
                Assert.Equal("completed", (await client.MessagesOfAsync(ended.SessionId))[1].GetProperty("status").GetString());
                await DeleteAsync(client, doomed);
                Assert.Equal(HttpStatusCode.NotFound, (await client.GetJsonAsync($"/v1/sessions/{doomed}")).Status);
            }

            if (round == 1)
            {
                // A start on a full disk.
                await system.Storage.KillAsync();
                await system.Storage.RestartAsync();
                await system.WaitUntilHealthyAsync();
                await AssertReadableAsync(client, stored);
                AssertFull(await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: true)));
            }

            disk.Free();
            var began = Stopwatch.GetTimestamp();
            await Eventually.GetAsync(() => client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false)), answer => answer.Status == HttpStatusCode.OK, s_recovery);
            slowest = Stopwatch.GetElapsedTime(began) is var took && took > slowest ? took : slowest;
            await Eventually.GetAsync(() => Task.FromResult(disk.BallastLength), length => length == Ballast);
            await DeleteAsync(client, large);
        }

        await Eventually.GetAsync(() => HealthOfStorageAsync(system), health => health == "Healthy");
        await system.Gateway.StopAsync();
        await system.Storage.StopAsync();
        AssertSound(disk.DatabasePath);
        promise.Figure($"{refusals} times full, at another page each time: 507 storage_full, reads ok, delete and the end of a turn ok by the ballast; {slowest.TotalSeconds:0.0} s to recover at most, without a restart");
    }

    [TmpfsFact]
    public async Task PurgeAlone_MakesRoom()
    {
        var promise = new Promise("R4", output);
        using var disk = new SmallDisk(megabytes: 40);
        await using var system = await StartAsync(disk, Ballast);
        var client = system.Client;
        await Eventually.GetAsync(() => Task.FromResult(disk.BallastLength), length => length == Ballast);
        var sessions = await FillWithSessionsAsync(client);
        foreach (var session in sessions.Take(sessions.Count / 2))
        {
            await DeleteAsync(client, session);
        }

        var again = await Eventually.GetAsync(() => client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false)), answer => answer.Status == HttpStatusCode.OK);
        Assert.Equal(2, (await client.MessagesOfAsync(again.SessionId)).Length);
        Assert.InRange(disk.BallastLength, Ballast / 2, Ballast);
        promise.Figure($"a disk filled by {sessions.Count} sessions took messages again after half of them were deleted, with nothing else removed");
    }

    [TmpfsFact]
    public async Task BallastUsedUpByDeleting_DeletesGoOn_OnceTheLogCanBeEmptied()
    {
        using var disk = new SmallDisk(megabytes: 40);
        await using var system = await StartAsync(disk, Ballast);
        await Eventually.GetAsync(() => Task.FromResult(disk.BallastLength), length => length == Ballast);
        var sessions = new Queue<string>(await FillWithSessionsAsync(system.Client));
        using (var reader = OtherTool.Open(disk.DatabasePath))
        {
            // As long as it reads, what is deleted stays in the log.
            reader.Execute("BEGIN");
            reader.Query("SELECT count(*) FROM sessions");
            while ((await system.Client.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{sessions.Peek()}")).Status != HttpStatusCode.InsufficientStorage)
            {
                sessions.Dequeue();
            }
        }

        await DeleteAsync(system.Client, sessions.Dequeue());
    }

    [TmpfsFact]
    public async Task WithoutBallast_RefusesReadsAndRecovers()
    {
        using var disk = new SmallDisk(megabytes: 16);
        await using var system = await StartAsync(disk, ballast: 0);
        var stored = await ChatAsync(system.Client);
        var large = await NewSessionAsync(system.Client);
        disk.Fill(leave: 10 * Page);

        AssertFull(await Eventually.GetAsync(() => AppendAsync(system.Client, large, s_long), answer => (int)answer.Status > 299));
        await AssertReadableAsync(system.Client, stored);

        disk.Free();
        await Eventually.GetAsync(() => system.Client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false)), answer => answer.Status == HttpStatusCode.OK, s_recovery);
        await Eventually.GetAsync(() => HealthOfStorageAsync(system), health => health == "Healthy");
        await system.Gateway.StopAsync();
        await system.Storage.StopAsync();
        AssertSound(disk.DatabasePath);
    }

    /// <summary>Sessions of one long message each, until there is no room for another.</summary>
    private static async Task<List<string>> FillWithSessionsAsync(HttpClient client)
    {
        var sessions = new List<string>();
        var last = await client.PostJsonAsync("/v1/sessions", """{"user_id":"ada"}""");
        while (last.Status is HttpStatusCode.OK or HttpStatusCode.Created)
        {
            sessions.Add(last.Body.GetProperty("session_id").GetString()!);
            last = await AppendAsync(client, sessions[^1], s_long);
            last = last.Status == HttpStatusCode.InsufficientStorage ? last : await client.PostJsonAsync("/v1/sessions", """{"user_id":"ada"}""");
        }

        AssertFull(last);
        return sessions;
    }

    private static Task<RunningSystem> StartAsync(SmallDisk disk, long ballast) =>
        RunningSystem.StartAsync(settings: [("Database__Path", disk.DatabasePath), ("Database__BallastBytes", $"{ballast}")]);

    private static async Task<string> ChatAsync(HttpClient client)
    {
        var answer = await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false));
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        return answer.SessionId;
    }

    private static async Task<string> NewSessionAsync(HttpClient client) =>
        (await client.PostJsonAsync("/v1/sessions", """{"user_id":"ada"}""")).Body.GetProperty("session_id").GetString()!;

    private static Task<Answer> AppendAsync(HttpClient client, string sessionId, string content) =>
        client.PostJsonAsync($"/v1/sessions/{sessionId}/messages", $$"""{"role":"user","content":"{{content}}"}""");

    private static async Task DeleteAsync(HttpClient client, string sessionId) =>
        Assert.InRange((int)(await client.SendJsonAsync(HttpMethod.Delete, $"/v1/sessions/{sessionId}")).Status, 200, 299);

    private static async Task AssertReadableAsync(HttpClient client, string sessionId)
    {
        Assert.Equal(HttpStatusCode.OK, (await client.GetJsonAsync("/v1/sessions")).Status);
        Assert.Equal(2, (await client.MessagesOfAsync(sessionId)).Length);
    }

    private static void AssertFull(Answer answer)
    {
        Assert.Equal((HttpStatusCode.InsufficientStorage, "storage_full", "server_error"), (answer.Status, answer.ErrorCode, answer.ErrorType));
        Assert.Equal("5", answer.Headers["Retry-After"]);
    }

    private static async Task<string> HealthOfStorageAsync(RunningSystem system)
    {
        using var http = new HttpClient();
        using var health = await http.GetAsync(new Uri(system.Storage.Addresses[1], "/health"));
        return await health.Content.ReadAsStringAsync();
    }

    private static void AssertSound(string databasePath)
    {
        using var database = OtherTool.Open(databasePath);
        database.AssertSound();
    }

    /// <summary>A file system in memory that is quickly full.</summary>
    private sealed class SmallDisk : IDisposable
    {
        private readonly TemporaryFolder _folder = new();

        public SmallDisk(int megabytes) => Assert.Null(TmpfsFactAttribute.Run("mount", "-t", "tmpfs", "-o", $"size={megabytes}m", "tmpfs", _folder.Path));

        public string DatabasePath => _folder.DatabasePath;

        public long BallastLength => new FileInfo(DatabasePath + ".ballast") is { Exists: true } file ? file.Length : 0;

        private string Filler => Path.Combine(_folder.Path, "filler");

        /// <summary>Lets another file take all that is free, but for some bytes.</summary>
        public void Fill(long leave)
        {
            using var file = new FileStream(Filler, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, bufferSize: 0);
            var free = new DriveInfo(_folder.Path).AvailableFreeSpace - leave;
            if (free < 0)
            {
                file.SetLength(Math.Max(0, file.Length + free));
                return;
            }

            file.Seek(0, SeekOrigin.End);
            try
            {
                for (; free >= Page; free = new DriveInfo(_folder.Path).AvailableFreeSpace - leave)
                {
                    file.Write(new byte[Math.Min(free / Page * Page, 1 << 20)]);
                }
            }
            catch (IOException)
            {
                // The service was quicker: even what was to be left is taken.
            }
        }

        public void Free() => File.Delete(Filler);

        public void Dispose()
        {
            Assert.Null(TmpfsFactAttribute.Run("umount", "-l", _folder.Path));
            _folder.Dispose();
        }
    }
}

/// <summary>A test that mounts a small file system, which only root may do, on Linux.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TmpfsFactAttribute : FactAttribute
{
    private static readonly string? s_missing = Find();

    // xunit 2 cannot skip from inside a test.
    public TmpfsFactAttribute() => Skip = s_missing;

    /// <summary>Runs a program; returns what went wrong.</summary>
    public static string? Run(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            var error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? null : error;
        }
        catch (Win32Exception exception)
        {
            return exception.Message;
        }
    }

    private static string? Find()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess)
        {
            return "A small disk is mounted by root, on Linux only.";
        }

        using var folder = new TemporaryFolder();
        return Run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.Path) is { } error ? $"A small disk cannot be mounted: {error}" : Run("umount", folder.Path);
    }
}
