extern alias storage;

using storage::ChatHistory.StorageService.Backups;
using storage::ChatHistory.StorageService.Database;

namespace ChatHistory.Tests.StorageService;

/// <summary>Every state in which a kill or a power cut can leave the files of a restore, and what the next start makes of it.</summary>
public sealed class DatabaseSwapTests
{
    [Fact]
    public void CutOffBeforeTheDecisiveRename_TheOldDatabaseStaysWithItsLog()
    {
        foreach (var named in new[] { 0, 1, 2 })
        {
            using var folder = new TemporaryFolder();
            var swap = Before(folder);
            if (named > 0)
            {
                DurableFile.LinkOrCopy(folder.DatabasePath, swap.Replaced);
            }

            if (named > 1)
            {
                DurableFile.LinkOrCopy(folder.DatabasePath + "-wal", swap.Replaced + "-wal");
            }

            Assert.False(swap.Settle());

            Assert.Equal(("old", "old log"), (Read(folder, ""), Read(folder, "-wal")));
            Assert.Equal(["chat.db", "chat.db-wal"], Names(folder));
        }
    }

    [Fact]
    public void CutOffBehindIt_TheNewOneIsPutInPlaceWithoutTheOldLog()
    {
        foreach (var deleted in new[] { false, true })
        {
            using var folder = new TemporaryFolder();
            var swap = Before(folder);
            DurableFile.LinkOrCopy(folder.DatabasePath, swap.Replaced);
            DurableFile.LinkOrCopy(folder.DatabasePath + "-wal", swap.Replaced + "-wal");
            File.Move(swap.Restoring, folder.DatabasePath + ".restored");
            if (deleted)
            {
                File.Delete(folder.DatabasePath + "-wal");
            }

            Assert.True(swap.Settle());

            Assert.Equal(["chat.db", "chat.db.replaced", "chat.db.replaced-wal"], Names(folder));
            Assert.Equal(("new", "old", "old log"), (Read(folder, ""), Read(folder, ".replaced"), Read(folder, ".replaced-wal")));
            Assert.False(swap.Settle());
        }
    }

    [Fact]
    public void NotCutOff_ItIsTheSame()
    {
        using var folder = new TemporaryFolder();

        Before(folder).Commit();

        Assert.Equal(["chat.db", "chat.db.replaced", "chat.db.replaced-wal"], Names(folder));
        Assert.Equal(("new", "old", "old log"), (Read(folder, ""), Read(folder, ".replaced"), Read(folder, ".replaced-wal")));
    }

    [Fact]
    public void WithoutAnOldDatabase_ThereIsNothingToKeep()
    {
        using var folder = new TemporaryFolder();
        var swap = new DatabaseSwap(folder.DatabasePath);
        File.WriteAllText(swap.Restoring, "new");

        swap.Commit();

        Assert.Equal(["chat.db"], Names(folder));
    }

    private static DatabaseSwap Before(TemporaryFolder folder)
    {
        File.WriteAllText(folder.DatabasePath, "old");
        File.WriteAllText(folder.DatabasePath + "-wal", "old log");
        var swap = new DatabaseSwap(folder.DatabasePath);
        File.WriteAllText(swap.Restoring, "new");
        return swap;
    }

    private static string Read(TemporaryFolder folder, string suffix) => File.ReadAllText(folder.DatabasePath + suffix);

    private static IEnumerable<string?> Names(TemporaryFolder folder) => Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal);
}
