extern alias storage;

using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using storage::ChatHistory.StorageService.Database;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>R13: a database of any released schema comes up to date with every row as it was, also when the process is killed in between; a newer one is refused.</summary>
[Trait(Promise.Trait, "R13")]
public sealed class MigrationTests(ITestOutputHelper output)
{
    [Fact]
    public async Task EveryReleasedSchema_ComesUpToDate_WhateverIsKilled()
    {
        var promise = new Promise("R13", output);
        var random = new Random(promise.Seed);
        var (messages, kills) = (Promise.Size(4000, 1_000_000), Promise.Size(1, 10));
        var stops = Migrations()[..^1];
        Assert.NotEmpty(stops);
        var (killed, inside, slowest) = (0, 0, TimeSpan.Zero);
        foreach (var stop in stops)
        {
            using var folder = new TemporaryFolder();
            var old = Path.Combine(folder.Path, "old.db");
            MakeDatabase(old, stop, messages);
            var before = Hashes(old);
            File.Copy(old, folder.DatabasePath);

            var (fromCopyToReady, all) = await MigrateAsync(folder);
            slowest = all > slowest ? all : slowest;
            Check(folder, stop, before);
            for (var kill = 0; kill < kills; kill++)
            {
                foreach (var file in Directory.GetFiles(folder.Path, "chat.db*"))
                {
                    File.Delete(file);
                }

                File.Copy(old, folder.DatabasePath);
                await KillAsync(folder, duringTheCopy: random.Next(4) == 0, fromCopyToReady * random.NextDouble());
                inside += IsUpToDate(folder.DatabasePath) ? 0 : 1;
                killed++;
                await MigrateAsync(folder);
                Check(folder, stop, before);
            }
        }

        Assert.True(inside > 0, "No kill came before the end of a migration: nothing was tried.");
        promise.Figure(
            $"{stops.Length} older schemas with {messages} messages each came up to date, all rows as they were (SHA-256); {killed} kills meanwhile, {inside} of them before the end; "
            + $"with its copy a migration took {slowest.TotalSeconds:0.0} s at most, process start included");
    }

    [Fact]
    public async Task NewerSchema_IsRefusedAndLeftAlone()
    {
        using var folder = new TemporaryFolder();
        MakeDatabase(folder.DatabasePath, Migrations()[^1], messages: 10);
        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            database.Execute("INSERT INTO __EFMigrationsHistory VALUES ('29990101000000_Future', '99.0.0')");
        }

        var before = Hashes(folder.DatabasePath);

        var (exitCode, log) = await ServiceProcess.RunToItsEndAsync("ChatHistory.StorageService", DatabaseStartTests.SettingsOf(folder));

        Assert.Equal(1, exitCode);
        Assert.Contains("29990101000000_Future", log, StringComparison.Ordinal);
        Assert.Contains("It was written by a newer version: start that one, or put a backup from before the update in its place", log, StringComparison.Ordinal);
        Assert.Equal(before, Hashes(folder.DatabasePath));
    }

    [Fact]
    public void WithoutRoomForTheCopy_NothingIsChanged()
    {
        using var folder = new TemporaryFolder();
        var options = Microsoft.Extensions.Options.Options.Create(new DatabaseOptions { Path = folder.DatabasePath });
        using var file = new DatabaseFile(options);
        var copies = new MigrationCopy(file, options, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<MigrationCopy>.Instance);

        var refused = Assert.Throws<DatabaseStartException>(() => copies.RequireRoom(long.MaxValue / 4));

        Assert.Contains("MB are free. Free the space; or, with a backup of your own, set Database:CopyBeforeMigration=false.", refused.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    private static string[] Migrations()
    {
        using var context = new ChatHistoryDbContextFactory().CreateDbContext([]);
        return [.. context.Database.GetMigrations()];
    }

    /// <summary>A database as the version wrote it whose last migration is given.</summary>
    private static void MakeDatabase(string path, string lastMigration, int messages)
    {
        using (var context = new ChatHistoryDbContext(new DbContextOptionsBuilder<ChatHistoryDbContext>().UseSqlite($"Data Source={path};Pooling=False").Options))
        {
            context.GetService<IMigrator>().Migrate(lastMigration);
        }

        using var database = OtherTool.Open(path);
        var sessions = Math.Max(1, messages / 20);
        database.Execute("PRAGMA synchronous = OFF");
        database.Execute(
            $"""
            INSERT INTO users (user_id, username) SELECT 'owner-' || value, 'owner-' || value FROM (WITH RECURSIVE n (value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n WHERE value < 9) SELECT value FROM n);
            WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {sessions - 1})
            INSERT INTO sessions (session_id, user_id, title, last_seq, message_count) SELECT 'session-' || i, 'owner-' || (i % 10), 'Title ' || i, 20, 20 FROM n;
            WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {messages - 1})
            INSERT INTO messages (message_id, session_id, role, content, seq, parent_id, prefix_hash, completion_id)
            SELECT 'message-' || i, 'session-' || (i / 20 % {sessions}), CASE WHEN i % 2 = 0 THEN 'user' ELSE 'assistant' END, 'Text ' || i || ' 字 é ' || hex(randomblob(40)), i % 20 + 1,
                CASE WHEN i % 20 = 0 THEN NULL ELSE 'message-' || (i - 1) END, randomblob(32), CASE WHEN i % 2 = 0 THEN NULL ELSE 'chatcmpl-' || i END
            FROM n;
            """);
        // Older schemas say it with a flag, newer ones with a role.
        var proxy = database.Query("SELECT name FROM pragma_table_info('api_keys') WHERE name = 'trusted_proxy'").Count > 0 ? "trusted_proxy" : "role";
        var (yes, no) = proxy == "role" ? ("'trusted_proxy'", "'user'") : ("1", "0");
        database.Execute(
            $"""
            WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
            INSERT INTO api_keys (key_id, user_id, name, hash, {proxy}, revoked_at)
            SELECT 'key-' || i, 'owner-' || (i % 10), 'Key ' || i, randomblob(32), CASE WHEN i % 3 = 0 THEN {yes} ELSE {no} END, CASE WHEN i % 4 = 0 THEN CURRENT_TIMESTAMP END FROM n;
            PRAGMA wal_checkpoint(TRUNCATE);
            """);
    }

    /// <summary>Of each table the hash of all rows, over the columns that it has now.</summary>
    private static SortedDictionary<string, (string Columns, string Hash)> Hashes(string path, SortedDictionary<string, (string Columns, string Hash)>? asOf = null)
    {
        using var database = OtherTool.Open(path);
        var hashes = new SortedDictionary<string, (string, string)>(StringComparer.Ordinal);
        foreach (var table in asOf?.Keys.ToList() ?? database.Query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_\\_EF%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'"))
        {
            var columns = asOf?[table].Columns ?? string.Join(',', database.Query($"SELECT name FROM pragma_table_info('{table}') ORDER BY cid"));
            hashes[table] = (columns, HashOf(database, $"SELECT {AsStoredNow(database, table, columns)} FROM {table} ORDER BY 1, 2"));
        }

        return hashes;
    }

    // The one column that went away (20261122…_KeysAndQuotas): what it said is said by another one.
    private static string AsStoredNow(SqliteConnection database, string table, string columns) =>
        table == "api_keys" && database.Query("SELECT name FROM pragma_table_info('api_keys') WHERE name = 'trusted_proxy'").Count == 0
            ? columns.Replace("trusted_proxy", "role = 'trusted_proxy'", StringComparison.Ordinal)
            : columns;

    private static string HashOf(SqliteConnection database, string sql)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var command = database.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        while (reader.Read())
        {
            for (var column = 0; column < reader.FieldCount; column++)
            {
                var value = reader.GetValue(column);
                hash.AppendData(value as byte[] ?? Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{value.GetType().Name}:{value}\n")));
            }
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }

    /// <summary>Starts the service and stops it again. Returns how long it took from the copy on, and in all.</summary>
    private static async Task<(TimeSpan FromCopyToReady, TimeSpan All)> MigrateAsync(TemporaryFolder folder)
    {
        var (began, copied) = (Stopwatch.GetTimestamp(), 0L);
        await using var service = await ServiceProcess.LaunchAsync("ChatHistory.StorageService", DatabaseStartTests.SettingsOf(folder), isReady =>
        {
            copied = copied == 0 && IsCopied(folder) ? Stopwatch.GetTimestamp() : copied;
            return isReady;
        });
        var ready = Stopwatch.GetTimestamp();
        await service.StopAsync();
        return (Stopwatch.GetElapsedTime(copied == 0 ? began : copied, ready), Stopwatch.GetElapsedTime(began, ready));
    }

    private static async Task KillAsync(TemporaryFolder folder, bool duringTheCopy, TimeSpan afterTheCopy)
    {
        var copied = 0L;
        await using var service = await ServiceProcess.LaunchAsync("ChatHistory.StorageService", DatabaseStartTests.SettingsOf(folder), isReady =>
        {
            copied = copied == 0 && IsCopied(folder) ? Stopwatch.GetTimestamp() : copied;
            return isReady || (duringTheCopy ? Directory.GetFiles(folder.Path, "*.before-*").Length > 0 : copied != 0 && Stopwatch.GetElapsedTime(copied) >= afterTheCopy);
        });
        await service.KillAsync();
    }

    private static bool IsCopied(TemporaryFolder folder) => Directory.GetFiles(folder.Path, "*.before-*").Any(file => !file.EndsWith(".unfinished", StringComparison.Ordinal));

    private static bool IsUpToDate(string path)
    {
        using var copy = new TemporaryFolder();
        foreach (var suffix in new[] { "", "-wal" }.Where(suffix => File.Exists(path + suffix)))
        {
            File.Copy(path + suffix, copy.DatabasePath + suffix);
        }

        using var database = OtherTool.Open(copy.DatabasePath);
        return database.Query("SELECT MigrationId FROM __EFMigrationsHistory ORDER BY 1").SequenceEqual(Migrations());
    }

    private static void Check(TemporaryFolder folder, string stop, SortedDictionary<string, (string Columns, string Hash)> before)
    {
        Assert.Equal(before, Hashes(folder.DatabasePath, before));
        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            Assert.Equal(Migrations(), database.Query("SELECT MigrationId FROM __EFMigrationsHistory ORDER BY 1"));
            database.AssertSound();
        }

        // The way back: the file as it was. A kill between two migrations leaves a copy from in between beside it.
        var first = Migrations()[Array.IndexOf(Migrations(), stop) + 1];
        Assert.Contains($"{folder.DatabasePath}.before-{first}", Directory.GetFiles(folder.Path, "*.before-*"));
        Assert.Equal(before, Hashes($"{folder.DatabasePath}.before-{first}"));
        Assert.Empty(Directory.GetFiles(folder.Path, "*.unfinished"));
    }
}
