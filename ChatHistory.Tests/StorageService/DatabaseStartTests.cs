extern alias storage;

using System.Globalization;
using System.Net;
using ChatHistory.Storage.V1;
using ChatHistory.Tests.Processes;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using storage::ChatHistory.StorageService.Backups;
using storage::ChatHistory.StorageService.Database;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

public sealed class DatabaseStartTests
{
    private const string OrphanRow =
        """
        CREATE TABLE IF NOT EXISTS __EFMigrationsLock (Id INTEGER NOT NULL PRIMARY KEY, Timestamp TEXT NOT NULL);
        INSERT INTO __EFMigrationsLock (Id, Timestamp) VALUES (1, '2026-01-01 00:00:00');
        """;

    [Fact]
    public async Task KilledMigration_DoesNotBlockTheNextStart()
    {
        using var folder = new TemporaryFolder();
        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            database.Execute(OrphanRow);
        }

        await using var storage = await StorageFixture.StartAsync(folder.DatabasePath).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal("First Conversation", (await storage.GetSessionAsync("session_001")).Title);
    }

    [Fact]
    public async Task KilledMigration_WithNothingPending_DoesNotBlockTheNextStart()
    {
        using var folder = new TemporaryFolder();
        await using (await StorageFixture.StartAsync(folder.DatabasePath))
        {
        }

        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            database.Execute(OrphanRow);
        }

        await using var storage = await StorageFixture.StartAsync(folder.DatabasePath).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal("First Conversation", (await storage.GetSessionAsync("session_001")).Title);
    }

    [Fact]
    public void SecondOwner_IsToldWhatToDo()
    {
        using var folder = new TemporaryFolder();
        using (DatabaseLock.Take(folder.DatabasePath))
        {
            var refused = Assert.Throws<DatabaseStartException>(() => DatabaseLock.Take(folder.DatabasePath));

            Assert.Equal(
                $"The lock {folder.DatabasePath}.lock is taken: another storage service owns {folder.DatabasePath}. "
                + "Stop that one, or give this one a file of its own with Database:Path.",
                refused.Message);
        }

        DatabaseLock.Take(folder.DatabasePath).Dispose();
    }

    [Fact]
    public void SecondOwner_ByAnotherWayToTheSameFile_IsRefused()
    {
        using var folder = new TemporaryFolder();
        var (linkToFile, linkToFolder) = (Path.Combine(folder.Path, "link.db"), Path.Combine(folder.Path, "elsewhere"));
        Directory.CreateDirectory(Path.Combine(folder.Path, "real"));
        var real = Path.Combine(folder.Path, "real", "chat.db");
        // The file itself is not there yet.
        File.CreateSymbolicLink(linkToFile, real);
        Directory.CreateSymbolicLink(linkToFolder, Path.Combine(folder.Path, "real"));
        using var first = DatabaseLock.Take(real);

        foreach (var other in new[] { linkToFile, Path.Combine(linkToFolder, "chat.db"), Path.Combine(folder.Path, "real", "..", "real", "chat.db") })
        {
            var refused = Assert.Throws<DatabaseStartException>(() => DatabaseLock.Take(other));
            Assert.Contains("another storage service owns", refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void OldSqlite_IsRefusedAndTheLoadedOneIsNot()
    {
        var refused = Assert.Throws<DatabaseStartException>(() => SqliteFloor.Require(new Version(3, 51, 2)));

        Assert.Equal(
            "SQLite 3.51.2 is loaded, but versions before 3.51.3 can corrupt a database in WAL mode. Update the package SQLitePCLRaw.lib.e_sqlite3.",
            refused.Message);
        using var folder = new TemporaryFolder();
        using var database = OtherTool.Open(folder.DatabasePath);
        SqliteFloor.Require(Version.Parse(database.ServerVersion));
    }

    [Theory]
    [InlineData("/data", "nfs4")]
    [InlineData("/data/local/db", "ext4")]
    [InlineData("/data/localities", "nfs4")]
    [InlineData("/mnt/c/Users/ada", "9p")]
    [InlineData("/home/ada/remote", "fuse.sshfs")]
    [InlineData("/srv/my share/db", "cifs")]
    [InlineData("/opt", "overlay")]
    public void FileSystem_IsTheOneThatIsMountedNearest(string folder, string fileSystem)
    {
        string[] mounts =
        [
            "22 1 0:21 / / rw,relatime - ext3 /dev/root rw",
            "23 1 0:22 / / rw,relatime master:1 shared:2 - overlay overlay rw,lowerdir=/a - b",
            "30 23 0:45 / /data rw,relatime shared:3 - nfs4 server:/export rw,vers=4.2",
            "31 30 8:1 / /data/local rw - ext4 /dev/sda1 rw",
            "32 23 0:50 / /mnt/c rw,noatime - 9p C:\\134 rw,aname=drvfs",
            "33 23 0:51 / /home/ada/remote rw - fuse.sshfs ada@host:/ rw,user_id=1000",
            "34 23 0:52 / /srv/my\\040share rw - cifs //host/share rw",
            "nonsense",
        ];

        Assert.Equal(fileSystem, FileSystem.Find(mounts, folder));
    }

    [Theory]
    [InlineData("nfs", true)]
    [InlineData("NFS4", true)]
    [InlineData("cifs", true)]
    [InlineData("smb3", true)]
    [InlineData("9p", true)]
    [InlineData("fuse.sshfs", true)]
    [InlineData("ceph", true)]
    [InlineData("ext4", false)]
    [InlineData("overlay", false)]
    [InlineData("virtiofs", false)]
    public void NetworkShare_IsRefusedWithARemedy(string fileSystem, bool refused)
    {
        var failure = Record.Exception(() => DatabaseLock.RequireLocal(fileSystem, "/data/db/chat.db"));

        var expected = $"The database's directory /data/db is a network share ({fileSystem}). SQLite's write-ahead log needs a local disk: set Database:Path (now /data/db/chat.db) to a file on one.";
        Assert.Equal(refused ? expected : null, failure?.Message);
    }

    [Fact]
    public void FileSystemOfThisMachine_IsKnownAndLocal()
    {
        using var folder = new TemporaryFolder();

        var name = FileSystem.Of(folder.Path);

        Assert.NotEqual("", name);
        Assert.False(FileSystem.IsNetwork(name), name);
    }

    [Fact]
    public void UnusableDirectory_IsNamedWithUserAndRemedy()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "file");
        File.WriteAllText(file, "");

        var refused = Assert.Throws<DatabaseStartException>(() => DatabaseLock.Take(Path.Combine(file, "db", "chat.db")));

        Assert.Contains($"{file}/db cannot be written by uid ", refused.Message, StringComparison.Ordinal);
        Assert.Contains("chown", refused.Message, StringComparison.Ordinal);
        Assert.Contains($"Database:Path (now {file}/db/chat.db)", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DatabaseOfANewerVersion_IsRefused()
    {
        using var folder = new TemporaryFolder();
        await using (await StorageFixture.StartAsync(folder.DatabasePath))
        {
        }

        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            database.Execute("INSERT INTO __EFMigrationsHistory VALUES ('29990101000000_Future', '99.0.0')");
        }

        var refused = await Assert.ThrowsAsync<DatabaseStartException>(
            () => DatabaseMigrator.ApplyAsync($"Data Source={folder.DatabasePath}", CancellationToken.None));

        Assert.Equal(
            $"The database ({folder.DatabasePath}) has the migration '29990101000000_Future', which this version of the service does not know. It was written by a newer "
            + "version: start that one, or put a backup from before the update in its place, such as the copy beside it whose name ends in '.before-' and a migration.",
            refused.Message);
    }

    [Fact]
    public void Model_HasNoChangeWithoutAMigration()
    {
        using var context = new ChatHistoryDbContextFactory().CreateDbContext([]);

        Assert.False(context.Database.HasPendingModelChanges());
    }

    [Fact]
    public async Task SecondProcess_EndsWithAnErrorAndLeavesTheFirstAlone()
    {
        using var folder = new TemporaryFolder();
        await using var first = await StorageFixture.StartAsync(folder.DatabasePath);

        Assert.Equal(1, (await RunToItsEndAsync(folder)).ExitCode);

        var log = await File.ReadAllTextAsync(Directory.GetFiles(Path.Combine(folder.Path, "logs")).Single());
        Assert.Contains("another storage service owns", log, StringComparison.Ordinal);
        Assert.Equal("First Conversation", (await first.GetSessionAsync("session_001")).Title);
    }

    [Fact]
    public async Task DamagedDatabase_IsSaidInASentenceWithItsRemedy()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder.DatabasePath, "this is no database" + new string(' ', 100_000));

        Assert.Equal(1, (await RunToItsEndAsync(folder)).ExitCode);

        var log = await File.ReadAllTextAsync(Directory.GetFiles(Path.Combine(folder.Path, "logs")).Single());
        Assert.Contains($"{folder.DatabasePath} is damaged or is no database: SQLite Error 26", log, StringComparison.Ordinal);
        Assert.Contains("--restore latest", log, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", log, StringComparison.Ordinal);
        Assert.DoesNotContain("checkpoint", log, StringComparison.Ordinal);
    }

    /// <summary>What the start itself looks at is sound here.</summary>
    [Fact]
    public async Task DamagedTable_IsSaidWhenItIsReadFirst()
    {
        using var folder = new TemporaryFolder();
        await using (await StorageFixture.StartAsync(folder.DatabasePath))
        {
        }

        IReadOnlyList<string> pages;
        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            pages = [.. database.Query("SELECT rootpage || '' FROM sqlite_master WHERE tbl_name = 'sessions' AND rootpage > 0")];
        }

        using (var file = File.OpenWrite(folder.DatabasePath))
        {
            foreach (var page in pages)
            {
                file.Position = (int.Parse(page, CultureInfo.InvariantCulture) - 1) * 4096L;
                file.Write(Enumerable.Repeat((byte)0xAA, 4096).ToArray());
            }
        }

        var (exitCode, output) = await RunToItsEndAsync(folder);
        Assert.Equal((1, true), (exitCode, output.Contains("--restore latest", StringComparison.Ordinal)));
    }

    /// <summary>As a restore does that comes while the service still starts.</summary>
    [Fact]
    public async Task FirstRead_ThatIsShutOut_EndsNothing()
    {
        DatabaseFile? file = null;
        await using var storage = await StorageFixture.StartPreparedAsync(services =>
        {
            file = services.GetRequiredService<DatabaseFile>();
            _ = file.Readers.CloseAsync("A backup is being restored.", TimeSpan.Zero, TimeProvider.System);
        });
        // What the backups' scheduler does once, as soon as the service is ready.
        storage.Services.GetRequiredService<RevokedKeys>().Note();
        Assert.False(storage.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested);

        file!.Readers.Open();
        Assert.Equal("First Conversation", (await storage.GetSessionAsync("session_001")).Title);
    }

    [Fact]
    public async Task Terminated_EndsCleanlyWithAnEmptyLog()
    {
        using var folder = new TemporaryFolder();
        await using var service = await StartProcessAsync(folder);
        using var client = new StorageClient(service.Addresses[0]);
        await WaitUntilHealthyAsync(service);
        await client.WriteAsync(AskNew(NewId(), "alice", Says("user", "Hi")).In());

        await service.StopAsync();

        Assert.Equal(["chat.db", "chat.db.lock"], Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task TurnsOfTheLastProcess_AreInterruptedAndCanGoOn()
    {
        using var folder = new TemporaryFolder();
        var silent = AskNew(NewId(), "alice", Says("user", "one"));
        var talking = AskNew(NewId(), "alice", Says("user", "one"));
        var followUp = Ask(talking.SessionId, Says("user", "two"));
        await using (var before = await StorageFixture.StartAsync(folder.DatabasePath))
        {
            await before.WriteAsync(silent.In(), talking.In(), talking.Answered("1").In(), followUp.In(), followUp.SoFar("2, so f").In());
        }

        await using var storage = await StorageFixture.StartAsync(folder.DatabasePath);
        var silentAnswer = (await storage.ListAsync(silent.SessionId))[1];
        var followUpAnswer = (await storage.ListAsync(talking.SessionId))[3];

        Assert.Equal((TurnStatus.Interrupted, ""), (silentAnswer.Status, silentAnswer.Content.Content));
        Assert.Equal((TurnStatus.Interrupted, "2, so f"), (followUpAnswer.Status, followUpAnswer.Content.Content));
        Assert.Empty(await storage.TranscriptAsync(silent.SessionId));
        Assert.Equal(["user: one", "assistant: 1", "user: two", "assistant: 2, so f"], await storage.TranscriptAsync(talking.SessionId));

        // The gateway lived on and goes on writing.
        await storage.WriteOneAsync(followUp.SoFar("2, so far").In());
        Assert.Equal(TurnStatus.InProgress, (await storage.ListAsync(talking.SessionId))[3].Status);
        Assert.Equal(["user: one", "assistant: 1"], await storage.TranscriptAsync(talking.SessionId));

        await storage.WriteOneAsync(followUp.Answered("2, so far so good").In());
        Assert.Equal(["user: one", "assistant: 1", "user: two", "assistant: 2, so far so good"], await storage.TranscriptAsync(talking.SessionId));
    }

    internal static Task<ServiceProcess> StartProcessAsync(TemporaryFolder folder, params string[] launcher) =>
        ServiceProcess.StartAsync("ChatHistory.StorageService", SettingsOf(folder), launcher);

    private static Task<(int ExitCode, string Output)> RunToItsEndAsync(TemporaryFolder folder) =>
        ServiceProcess.RunToItsEndAsync("ChatHistory.StorageService", SettingsOf(folder));

    internal static Dictionary<string, string> SettingsOf(TemporaryFolder folder) => new()
    {
        ["Kestrel__Endpoints__grpc__Url"] = "http://127.0.0.1:0",
        ["Kestrel__Endpoints__http__Url"] = "http://127.0.0.1:0",
        ["Database__Path"] = folder.DatabasePath,
        ["Logs__Directory"] = Path.Combine(folder.Path, "logs"),
        // Tests look at what lies beside the database.
        ["Database__BallastBytes"] = "0",
    };

    internal static async Task WaitUntilHealthyAsync(ServiceProcess service)
    {
        using var http = new HttpClient();
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        do
        {
            using var health = await http.GetAsync(new Uri(service.Addresses[1], "/health"), timeout.Token);
            if (health.StatusCode == HttpStatusCode.OK)
            {
                return;
            }
        }
        while (await pause.WaitForNextTickAsync(timeout.Token));
    }
}
