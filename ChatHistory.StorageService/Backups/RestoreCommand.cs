using ChatHistory.StorageService.Database;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Backups;

/// <summary>
/// <c>--restore latest</c>, <c>--restore chat-000017-20261122T215301Z.db</c> or <c>--restore /some/where/chat.db</c>: restores without starting the service, for when it cannot
/// start because the database is broken. Refused while a service runs on it.
/// </summary>
internal static class RestoreCommand
{
    private const string Option = "--restore";

    public static bool Requested(string[] args) => args.Any(arg => arg == Option || arg.StartsWith(Option + "=", StringComparison.Ordinal));

    /// <param name="application">Built with the service's settings, and not started.</param>
    /// <returns>The exit code: 0 restored, 1 refused or failed, 2 not understood.</returns>
    public static async Task<int> RunAsync(WebApplication application, string[] args)
    {
        await using (application)
        {
            if (WhatOf(args) is not { Length: > 0 } what)
            {
                await Console.Error.WriteLineAsync($"{Option} needs the backup: a file, a name out of the folder of the backups, or {BackupFolder.Latest}.");
                return 2;
            }

            try
            {
                await RestoreAsync(application.Services, what);
                return 0;
            }
            catch (Exception exception) when (exception is DatabaseStartException or BackupException or OptionsValidationException or SqliteException or IOException or UnauthorizedAccessException)
            {
                await Console.Error.WriteLineAsync(exception.Message);
                return 1;
            }
        }
    }

    private static async Task RestoreAsync(IServiceProvider services, string what)
    {
        var path = services.GetRequiredService<DatabaseFile>().Path;
        var folder = services.GetRequiredService<BackupFolder>();
        var replaced = services.GetRequiredService<ReplacedDatabase>();
        var revoked = services.GetRequiredService<RevokedKeys>();
        var swap = new DatabaseSwap(path);

        using var owned = DatabaseLock.Take(path);
        swap.Settle();
        await replaced.ListAsync(CancellationToken.None);
        var (source, manifest) = Find(folder, what);
        await RestoredCopy.PrepareAsync(source, manifest, swap, CancellationToken.None);
        var isKnown = !File.Exists(path) || revoked.NoteClosed();
        var kept = revoked.Apply(swap.Restoring);
        swap.Commit();
        var before = await replaced.ListAsync(CancellationToken.None);

        Console.WriteLine($"Restored {source} to {path}: {Rows(manifest)}made at {manifest?.CreatedAt.ToString("u") ?? "an unknown time"}.");
        if (before is not null)
        {
            Console.WriteLine($"The database that it replaced is kept as {folder.FileOf(before.Name)}{(before.Problem is null ? "" : $", though it is damaged ({before.Problem})")}.");
        }

        if (kept > 0)
        {
            Console.WriteLine($"{kept} API keys that were valid in the backup stay revoked.");
        }

        if (!isKnown)
        {
            Console.WriteLine("The replaced database could not be read. Revoked keys are known from revoked-keys.txt beside the backups only: look at GET /admin/keys whether all are revoked that should be.");
        }
    }

    private static (string Source, BackupManifest? Manifest) Find(BackupFolder folder, string what)
    {
        // A name first: nobody means a file of the working directory that happens to be called "latest".
        if (what == BackupFolder.Latest || !File.Exists(what))
        {
            var backup = folder.Find(what);
            return (folder.FileOf(backup.Name), backup);
        }

        var manifest = what + ".json";
        return (Path.GetFullPath(what), File.Exists(manifest) ? BackupManifest.Parse(File.ReadAllBytes(manifest)) : null);
    }

    private static string Rows(BackupManifest? manifest) =>
        manifest is null ? "" : $"{manifest.Rows.GetValueOrDefault("messages")} messages in {manifest.Rows.GetValueOrDefault("sessions")} sessions, ";

    private static string? WhatOf(string[] args)
    {
        var index = Array.FindIndex(args, arg => arg == Option || arg.StartsWith(Option + "=", StringComparison.Ordinal));
        return args[index] == Option ? args.ElementAtOrDefault(index + 1) : args[index][(Option.Length + 1)..];
    }
}
