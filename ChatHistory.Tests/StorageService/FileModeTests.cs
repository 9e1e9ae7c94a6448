using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.StorageService;

/// <summary>On a machine with other users, conversations are the service's own.</summary>
public sealed class FileModeTests
{
    [Fact]
    public async Task WhatStorageMakes_IsForItsOwnUserOnly()
    {
        if (OperatingSystem.IsWindows())
        {
            // There it is the folder's access list that counts.
            return;
        }

        await using var system = await RunningSystem.StartAsync(settings: [("Identity__AdminKey", RunningSystem.AdminKey)]);
        using var user = await system.ClientOfAsync("ada");
        using var admin = system.Administrator();
        await user.PostJsonAsync(ChatRequests.Completions, ChatRequests.Body("hello", stream: false));
        var backup = await admin.PostJsonAsync("/admin/backups", "{}");

        var files = Directory.GetFiles(Path.GetDirectoryName(system.DatabasePath)!, "*", SearchOption.AllDirectories);

        Assert.Contains(system.DatabasePath, files);
        Assert.Contains(system.DatabasePath + "-wal", files);
        Assert.Contains(files, file => file.EndsWith(backup.Body.GetProperty("name").GetString()!, StringComparison.Ordinal));
        foreach (var file in files)
        {
            Assert.True(File.GetUnixFileMode(file) == (UnixFileMode.UserRead | UnixFileMode.UserWrite), file);
        }
    }

    [Fact]
    public async Task AnOlderDatabase_IsTakenFromOthers_AndLeftToItsGroup()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        using var folder = new TemporaryFolder();
        using (var database = OtherTool.Open(folder.DatabasePath))
        {
            database.Execute("PRAGMA journal_mode = wal");
        }

        File.SetUnixFileMode(folder.DatabasePath, (UnixFileMode)0b110_100_100);
        await using var storage = await StorageFixture.StartAsync(folder.DatabasePath);

        Assert.Equal((UnixFileMode)0b110_100_000, File.GetUnixFileMode(folder.DatabasePath));
        Assert.Equal((UnixFileMode)0b110_100_000, File.GetUnixFileMode(folder.DatabasePath + "-wal"));
    }
}
