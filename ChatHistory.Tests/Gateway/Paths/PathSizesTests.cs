using ChatHistory.Gateway.Paths;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Tests.Gateway.Paths;

/// <summary>Which paths are worth their place.</summary>
public sealed class PathSizesTests
{
    private static readonly Scope s_alice = new() { Owner = "alice" };

    [Theory]
    [InlineData(500, false)]
    [InlineData(1500, true)]
    [InlineData(5000, true)]
    [InlineData(7000, false)]
    public void Path_IsKept_WhenItIsNeitherShortNorLong(int bytes, bool isKept)
    {
        using var paths = new PathCache(Options.Create(new PathCacheOptions { MinBytes = 1000, MaxBytes = 16 * 6000 }));

        Keep(paths, bytes);

        Assert.Equal(isKept, paths.Find(s_alice, "s") is not null);
    }

    [Fact]
    public void PathThatHasBecomeTooLong_IsLetGo()
    {
        using var paths = new PathCache(Options.Create(new PathCacheOptions { MinBytes = 1000, MaxBytes = 16 * 6000 }));
        Keep(paths, 1500);

        Keep(paths, 7000);

        Assert.Null(paths.Find(s_alice, "s"));
    }

    private static void Keep(PathCache paths, int bytes)
    {
        var path = TurnPath.Of(new BeginTurn { SessionId = "s" }, new TurnBegun { SessionId = "s", Path = new PathVersion() }, known: null);
        paths.Keep(s_alice, "s", path, new MessageContent { Role = "assistant", Content = new string('x', bytes) }, new PathVersion());
    }
}
