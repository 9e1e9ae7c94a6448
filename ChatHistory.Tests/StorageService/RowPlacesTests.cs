using System.Globalization;

namespace ChatHistory.Tests.StorageService;

/// <summary>Where rows lie in the file: a session's side by side, whoever else wrote meanwhile. Nothing but speed depends on it.</summary>
public sealed class RowPlacesTests
{
    [Fact]
    public async Task SessionsThatGrowTogether_LieApart()
    {
        await using var storage = await StorageFixture.StartAsync();
        await storage.AppendAllAsync("session_001", "0");
        await storage.ForkAsync("session_001", "a");
        await storage.ForkAsync("session_001", "b");
        for (var i = 0; i < 20; i++)
        {
            await storage.AppendAllAsync("a", $"a{i}");
            await storage.AppendAllAsync("b", $"b{i}");
        }

        await using var file = OtherTool.Open(storage.DatabasePath);
        var inOrderOfTheFile = file.Query("SELECT session_id FROM messages WHERE session_id IN ('a', 'b') ORDER BY rowid");

        Assert.Equal([.. Enumerable.Repeat("a", 20), .. Enumerable.Repeat("b", 20)], inOrderOfTheFile);
        Assert.Equal(file.Query("SELECT content FROM messages WHERE session_id = 'b' ORDER BY seq"), file.Query("SELECT content FROM messages WHERE session_id = 'b' ORDER BY rowid"));
    }

    [Fact]
    public async Task TakenPlace_DoesNoHarm()
    {
        await using var storage = await StorageFixture.StartAsync();
        await storage.AppendAllAsync("session_001", "1");
        await using (var file = OtherTool.Open(storage.DatabasePath))
        {
            // The rowid that SQLite gives on its own is the one behind the largest: just where the session's next messages belong.
            for (var i = 0; i < 3; i++)
            {
                file.Execute(string.Create(CultureInfo.InvariantCulture, $"INSERT INTO messages (message_id, session_id, role, content) VALUES ('tool-{i}', 'session_001', 'user', 't{i}')"));
            }
        }

        await storage.AppendAllAsync("session_001", "2", "3", "4", "5", "6");

        Assert.Equal("1 t0 t1 t2 2 3 4 5 6", await storage.ListedAsync("session_001"));
        await using var after = OtherTool.Open(storage.DatabasePath);
        after.AssertSound();
    }

    [Fact]
    public async Task PlacesOfAnotherSession_AreLeftToIt()
    {
        await using var storage = await StorageFixture.StartAsync();
        await storage.AppendAllAsync("session_001", "0");
        await storage.ForkAsync("session_001", "origin");
        var ids = await storage.AppendAllAsync("origin", "1", "2", "3", "4");
        await storage.ForkAsync("origin", "fork", ids[1]);
        await using (var file = OtherTool.Open(storage.DatabasePath))
        {
            // As if the fork had the rowid of a session that was deleted, and whose messages others took over.
            var rowid = file.Query("SELECT rowid FROM sessions WHERE session_id = 'origin'").Single();
            file.Execute("UPDATE sessions SET rowid = 1000 WHERE session_id = 'origin'");
            file.Execute($"UPDATE sessions SET rowid = {rowid} WHERE session_id = 'fork'");
        }

        await storage.AppendAllAsync("fork", "f3", "f4", "f5");
        await storage.AppendAllAsync("origin", "5");

        Assert.Equal("0 1 2 f3 f4 f5", await storage.ListedAsync("fork"));
        Assert.Equal("0 1 2 3 4 5", await storage.ListedAsync("origin"));
        await using var after = OtherTool.Open(storage.DatabasePath);
        after.AssertSound();
    }
}
