extern alias storage;

using System.Text;
using ChatHistory.Storage.V1;
using ChatHistory.Tests.Processes;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;
using storage::ChatHistory.StorageService.Backups;
using storage::ChatHistory.StorageService.Database;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

public sealed class BackupTests
{
    private const string Never = "00:00:00";

    [Fact]
    public async Task Backup_IsOneFileWithEverythingInIt()
    {
        await using var storage = await StartAsync();
        var sessionId = await storage.SayAsync("before the backup");

        var backup = await storage.Backups.CreateAsync(new CreateBackupRequest());

        Assert.Equal([backup.Name, backup.Name + ".json"], Files(storage));
        Assert.StartsWith("chat-000001-", backup.Name, StringComparison.Ordinal);
        using var database = OtherTool.Open(Path.Combine(storage.BackupsDirectory, backup.Name));
        Assert.Equal(["before the backup"], database.Query($"SELECT content FROM messages WHERE session_id = '{sessionId}'"));
        Assert.Equal(["delete"], database.Query("PRAGMA journal_mode"));
        Assert.Equal([$"{backup.Rows["messages"]}"], database.Query("SELECT count(*) FROM messages"));
        Assert.Equal(new FileInfo(Path.Combine(storage.BackupsDirectory, backup.Name)).Length, backup.Size);
        Assert.Equal(backup, await storage.Backups.VerifyAsync(new VerifyBackupRequest { Name = "latest" }));
        var list = await storage.Backups.ListAsync(new ListBackupsRequest());
        Assert.Equal([backup], list.Backups);
        Assert.InRange(list.AgeSeconds, 0, 30);
    }

    [Fact]
    public async Task Backup_HoldsNothingThatWasDeleted()
    {
        await using var storage = await StartAsync();
        var secret = string.Concat(Enumerable.Repeat("deleted-for-good ", 2000));
        var sessionId = await storage.SayAsync(secret);
        await storage.SayAsync("kept");
        await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = Everyone, SessionId = sessionId });

        var backup = await storage.Backups.CreateAsync(new CreateBackupRequest());

        var bytes = await File.ReadAllBytesAsync(Path.Combine(storage.BackupsDirectory, backup.Name));
        Assert.Equal(-1, bytes.AsSpan().IndexOf("deleted-for-good"u8));
        Assert.NotEqual(-1, bytes.AsSpan().IndexOf("kept"u8));
    }

    [Fact]
    public async Task Rotation_KeepsTheNewestGoodOnes()
    {
        await using var storage = await StartAsync(("Backup:Keep", "2"));
        var names = new List<string>();
        for (var i = 0; i < 4; i++)
        {
            names.Add((await storage.Backups.CreateAsync(new CreateBackupRequest())).Name);
        }

        var list = await storage.Backups.ListAsync(new ListBackupsRequest());

        Assert.Equal([names[3], names[2]], list.Backups.Select(backup => backup.Name));
        Assert.Equal(4, Files(storage).Length);
    }

    [Fact]
    public async Task Scheduled_BackupsAreMadeByThemselves()
    {
        await using var storage = await StorageFixture.StartAsync(null, null, ("Backup:Every", "00:00:00.2"), ("Backup:Keep", "3"));

        var list = await Eventually.GetAsync(async () => await storage.Backups.ListAsync(new ListBackupsRequest()), list => list.Backups.Any(backup => backup.Name.StartsWith("chat-000004", StringComparison.Ordinal)));

        Assert.InRange(list.Backups.Count, 3, 4);
        Assert.All(list.Backups, backup => Assert.Equal("scheduled", backup.Reason));
        Assert.True(list.NextAt is not null);
    }

    [Fact]
    public async Task SecondBackupAtTheSameTime_IsRefused()
    {
        await using var storage = await StartAsync();
        using (storage.Services.GetRequiredService<BackupMaker>().TakeTurn())
        {
            var refused = await Assert.ThrowsAsync<RpcException>(async () => await storage.Backups.CreateAsync(new CreateBackupRequest()));
            Assert.Equal(StatusCode.Aborted, refused.StatusCode);
        }

        await storage.Backups.CreateAsync(new CreateBackupRequest());
    }

    [Theory]
    [InlineData("latest")]
    [InlineData("chat-000009-20260101T000000Z.db")]
    [InlineData("../chat.db")]
    [InlineData("../../etc/passwd-000001-20260101T000000Z.db")]
    [InlineData("revoked-keys.txt")]
    [InlineData("")]
    public async Task UnknownName_IsNotFound(string name)
    {
        await using var storage = await StartAsync();

        var refused = await Assert.ThrowsAsync<RpcException>(async () => await storage.Backups.RestoreAsync(new RestoreBackupRequest { Name = name }));

        Assert.Equal(StatusCode.NotFound, refused.StatusCode);
    }

    [Fact]
    public async Task DamagedBackup_IsRefused_WhereverItIsDamaged()
    {
        await using var storage = await StartAsync();
        await storage.SayAsync(new string('x', 100_000));
        var backup = await storage.Backups.CreateAsync(new CreateBackupRequest());
        var path = Path.Combine(storage.BackupsDirectory, backup.Name);
        var sound = await File.ReadAllBytesAsync(path);
        var later = await storage.SayAsync("said later");

        foreach (var position in new[] { 0, 24, 100, sound.Length / 2, sound.Length - 1 })
        {
            var damaged = sound.ToArray();
            damaged[position] ^= 0x40;
            await File.WriteAllBytesAsync(path, damaged);

            var verified = await Assert.ThrowsAsync<RpcException>(async () => await storage.Backups.VerifyAsync(new VerifyBackupRequest { Name = backup.Name }));
            var restored = await Assert.ThrowsAsync<RpcException>(async () => await storage.Backups.RestoreAsync(new RestoreBackupRequest { Name = backup.Name }));
            Assert.Equal((StatusCode.DataLoss, StatusCode.DataLoss), (verified.StatusCode, restored.StatusCode));
        }

        await File.WriteAllBytesAsync(path, sound[..^8192]);
        Assert.Equal(StatusCode.DataLoss, (await Assert.ThrowsAsync<RpcException>(async () => await storage.Backups.RestoreAsync(new RestoreBackupRequest { Name = "latest" }))).StatusCode);
        Assert.Equal(["said later"], (await storage.ListAsync(later)).Select(message => message.Content.Content));
        Assert.Equal(["chat.db", "chat.db-shm", "chat.db-wal", "chat.db.lock"], Directory.GetFiles(Path.GetDirectoryName(storage.DatabasePath)!).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task Restore_BringsTheHistoryBack_AndKeepsWhatItReplaced()
    {
        await using var storage = await StartAsync();
        var before = await storage.SayAsync("before");
        var asking = AskNew(NewId(), "alice", Says("user", "open question"));
        await storage.WriteOneAsync(asking.In());
        var backup = await storage.Backups.CreateAsync(new CreateBackupRequest());
        await storage.WriteOneAsync(asking.Answered("answered later").In());
        var after = await storage.SayAsync("after");

        var reply = await storage.Backups.RestoreAsync(new RestoreBackupRequest { Name = "latest" });

        Assert.Equal((backup, "replaced"), (reply.Restored, reply.Replaced.Reason));
        Assert.Equal(["before"], (await storage.ListAsync(before)).Select(message => message.Content.Content));
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => storage.GetSessionAsync(after))).StatusCode);
        Assert.Equal(TurnStatus.Interrupted, (await storage.ListAsync(asking.SessionId))[1].Status);
        var next = await storage.SayAsync("goes on");
        Assert.Equal(["goes on"], (await storage.ListAsync(next)).Select(message => message.Content.Content));

        // And back again.
        await storage.Backups.RestoreAsync(new RestoreBackupRequest { Name = reply.Replaced.Name });
        Assert.Equal(["after"], (await storage.ListAsync(after)).Select(message => message.Content.Content));
        Assert.Equal("answered later", (await storage.ListAsync(asking.SessionId))[1].Content.Content);
    }

    [Fact]
    public async Task RevokedKey_StaysRevoked()
    {
        using var folder = new TemporaryFolder();
        string name;
        await using (var storage = await StorageFixture.StartAsync(folder.DatabasePath, null, ("Backup:Every", Never)))
        {
            foreach (var id in new[] { "key-one", "key-two", "key-three" })
            {
                await storage.ApiKeys.CreateAsync(new CreateApiKeyRequest { KeyId = id, UserId = "alice", Name = id, Hash = ByteString.CopyFrom(new byte[32]) });
            }

            name = (await storage.Backups.CreateAsync(new CreateBackupRequest())).Name;
            await storage.ApiKeys.RevokeAsync(new RevokeApiKeyRequest { KeyId = "key-one" });

            var reply = await storage.Backups.RestoreAsync(new RestoreBackupRequest { Name = name });

            Assert.Equal(1, reply.KeysKeptRevoked);
            Assert.NotNull((await storage.ApiKeys.FindAsync(new FindApiKeyRequest { KeyId = "key-one" })).RevokedAt);
            Assert.Null((await storage.ApiKeys.FindAsync(new FindApiKeyRequest { KeyId = "key-two" })).RevokedAt);
            await storage.ApiKeys.RevokeAsync(new RevokeApiKeyRequest { KeyId = "key-three" });
        }

        // Not even the database that knows can be read any more.
        await File.WriteAllBytesAsync(folder.DatabasePath, new byte[65536]);
        var (exitCode, output) = await RestoreAsync(folder, name);
        Assert.True(exitCode == 0, output);
        Assert.Contains("could not be read", output, StringComparison.Ordinal);
        await using var restored = await StorageFixture.StartAsync(folder.DatabasePath, null, ("Backup:Every", Never));
        Assert.NotNull((await restored.ApiKeys.FindAsync(new FindApiKeyRequest { KeyId = "key-one" })).RevokedAt);
        Assert.NotNull((await restored.ApiKeys.FindAsync(new FindApiKeyRequest { KeyId = "key-three" })).RevokedAt);
        Assert.Null((await restored.ApiKeys.FindAsync(new FindApiKeyRequest { KeyId = "key-two" })).RevokedAt);
    }

    [Fact]
    public async Task RestoreCommand_IsRefusedWhileTheServiceRuns_AndWorksWhenItCannotStart()
    {
        using var folder = new TemporaryFolder();
        string sessionId;
        await using (var storage = await StorageFixture.StartAsync(folder.DatabasePath, null, ("Backup:Every", Never)))
        {
            sessionId = await storage.SayAsync("to be restored");
            await storage.Backups.CreateAsync(new CreateBackupRequest());

            var refused = await RestoreAsync(folder, "latest");

            Assert.Equal(1, refused.ExitCode);
            Assert.Contains("another storage service owns", refused.Output, StringComparison.Ordinal);
        }

        var broken = Encoding.UTF8.GetBytes("this is no database" + new string(' ', 100_000));
        await File.WriteAllBytesAsync(folder.DatabasePath, broken);
        var (exitCode, output) = await RestoreAsync(folder, "latest");

        Assert.True(exitCode == 0, output);
        await using var restored = await StorageFixture.StartAsync(folder.DatabasePath, null, ("Backup:Every", Never));
        Assert.Equal(["to be restored"], (await restored.ListAsync(sessionId)).Select(message => message.Content.Content));
        var kept = (await restored.Backups.ListAsync(new ListBackupsRequest())).Backups[0];
        Assert.Equal(("replaced", true), (kept.Reason, kept.HasProblem));
        Assert.Equal(broken, await File.ReadAllBytesAsync(Path.Combine(folder.Path, "backups", kept.Name)));
        Assert.Equal(StatusCode.DataLoss, (await Assert.ThrowsAsync<RpcException>(async () => await restored.Backups.RestoreAsync(new RestoreBackupRequest { Name = kept.Name }))).StatusCode);
    }

    [Fact]
    public async Task BackupOfANewerVersion_IsRefused()
    {
        await using var storage = await StartAsync();
        var sessionId = await storage.SayAsync("here");
        var backup = await storage.Backups.CreateAsync(new CreateBackupRequest());
        var elsewhere = Path.Combine(Path.GetDirectoryName(storage.DatabasePath)!, "elsewhere.db");
        File.Copy(Path.Combine(storage.BackupsDirectory, backup.Name), elsewhere);
        using (var database = OtherTool.Open(elsewhere))
        {
            database.Execute("INSERT INTO __EFMigrationsHistory VALUES ('29990101000000_Future', '99.0.0')");
        }

        var refused = await Assert.ThrowsAsync<BackupException>(() => RestoredCopy.PrepareAsync(elsewhere, null, new DatabaseSwap(storage.DatabasePath), CancellationToken.None));

        Assert.Contains("29990101000000_Future", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["here"], (await storage.ListAsync(sessionId)).Select(message => message.Content.Content));
    }

    [Fact]
    public async Task BackupOfAnOlderSchema_IsMigrated()
    {
        using var folder = new TemporaryFolder();
        var old = Path.Combine(folder.Path, "old.db");
        await using (var context = new ChatHistoryDbContext(new DbContextOptionsBuilder<ChatHistoryDbContext>().UseSqlite($"Data Source={old};Pooling=False").Options))
        {
            await context.Database.GetService<IMigrator>().MigrateAsync(context.Database.GetMigrations().First());
        }

        using (var database = OtherTool.Open(old))
        {
            database.Execute("INSERT INTO messages (message_id, session_id, role, content) VALUES ('old-message', 'session_001', 'user', 'from long ago')");
            database.Execute("PRAGMA journal_mode=delete");
        }

        var (exitCode, output) = await RestoreAsync(folder, old);

        Assert.True(exitCode == 0, output);
        await using var storage = await StorageFixture.StartAsync(folder.DatabasePath, null, ("Backup:Every", Never));
        Assert.Contains("from long ago", (await storage.ListAsync("session_001")).Select(message => message.Content.Content));
    }

    [Fact]
    public async Task LeftoversOfAKilledBackup_AreCleanedUp_AndWhatIsNotOursStays()
    {
        using var folder = new TemporaryFolder();
        var backups = Directory.CreateDirectory(Path.Combine(folder.Path, "backups")).FullName;
        foreach (var name in new[] { "chat-000007-20260101T000000Z.db.tmp", "chat-000007-20260101T000000Z.db.tmp-wal", "chat-000006-20260101T000000Z.db.json", "notes.txt", "my own copy.db" })
        {
            await File.WriteAllTextAsync(Path.Combine(backups, name), "{}");
        }

        await using var storage = await StorageFixture.StartAsync(folder.DatabasePath, null, ("Backup:Every", Never));

        await Eventually.GetAsync(() => Task.FromResult(Files(storage)), files => files is ["my own copy.db", "notes.txt"]);
        Assert.Empty((await storage.Backups.ListAsync(new ListBackupsRequest())).Backups);
    }

    private static Task<StorageFixture> StartAsync(params (string Key, string Value)[] settings) =>
        StorageFixture.StartAsync(null, null, [("Backup:Every", Never), .. settings]);

    private static string[] Files(StorageFixture storage) =>
        Directory.Exists(storage.BackupsDirectory) ? [.. Directory.GetFiles(storage.BackupsDirectory).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)] : [];

    internal static Task<(int ExitCode, string Output)> RestoreAsync(TemporaryFolder folder, string what) =>
        ServiceProcess.RunToItsEndAsync(
            "ChatHistory.StorageService",
            new Dictionary<string, string> { ["Database__Path"] = folder.DatabasePath, ["Logs__Directory"] = Path.Combine(folder.Path, "logs") },
            "--restore", what);
}

internal static class BackupConversations
{
    /// <summary>One message in a session of its own.</summary>
    public static async Task<string> SayAsync(this StorageFixture storage, string text)
    {
        var sessionId = NewId();
        await storage.Sessions.CreateAsync(new CreateSessionRequest { Scope = Everyone, SessionId = sessionId, Session = new NewSession { UserId = "alice" } });
        await storage.WriteOneAsync(Append(sessionId, Says("user", text)).In());
        return sessionId;
    }
}
