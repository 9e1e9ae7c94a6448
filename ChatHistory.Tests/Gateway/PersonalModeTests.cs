using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Gateway;

/// <summary>A gateway without keys is for one machine: it does not listen where others could reach it, unless it is told to.</summary>
public sealed class PersonalModeTests
{
    private const string Refusal = "Without an admin key the gateway is in personal mode";

    [Theory]
    [InlineData("http://0.0.0.0:0", null, Refusal)]
    [InlineData("http://[::]:0", null, Refusal)]
    [InlineData("http://*:0", null, Refusal)]
    [InlineData("http://127.0.0.1:0", "Identity__PublishedOn=0.0.0.0", Refusal)]
    [InlineData("http://127.0.0.1:0", "Identity__AdminKey=short", "Identity:AdminKey has 5 characters")]
    public async Task Gateway_RefusesToStart(string url, string? setting, string sentence)
    {
        using var volume = new TemporaryVolume();

        var (exitCode, output) = await ServiceProcess.RunToItsEndAsync("ChatHistory.Gateway", volume.Settings(url, setting));

        Assert.Equal(1, exitCode);
        Assert.Contains(sentence, output, StringComparison.Ordinal);
        // The sentence is all there is: no stack trace, no exception's name.
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ChatHistory.Gateway", "Limits__MaxConnections=abc", "Limits:MaxConnections")]
    [InlineData("ChatHistory.Gateway", "Limits__MaxConcurrentTurns=0", "MaxConcurrentTurns")]
    [InlineData("ChatHistory.Gateway", "Vllm__Endpoint=nowhere", "Vllm:Endpoint must be an absolute")]
    [InlineData("ChatHistory.Gateway", "Storage__BeginPatience=soon", "Storage:BeginPatience")]
    [InlineData("ChatHistory.Gateway", "Kestrel__Endpoints__http__Url=nonsense", "Invalid url: 'nonsense'")]
    [InlineData("ChatHistory.StorageService", "Turns__AbandonedAfter=00:00:00", "Turns:AbandonedAfter is shorter than a second")]
    [InlineData("ChatHistory.StorageService", "Writer__MaxBatch=many", "Writer:MaxBatch")]
    public async Task SettingThatCannotBeMeant_IsNamed_InASentence(string project, string setting, string sentence)
    {
        using var volume = new TemporaryVolume();
        var settings = volume.Settings("http://127.0.0.1:0", setting);
        settings.TryAdd("Kestrel__Endpoints__grpc__Url", "http://127.0.0.1:0");
        settings["Identity__AdminKey"] = RunningSystem.AdminKey;

        var (exitCode, output) = await ServiceProcess.RunToItsEndAsync(project, settings);

        Assert.Equal(1, exitCode);
        Assert.Contains(sentence, output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://0.0.0.0:0", "Identity__AllowPersonalModeBeyondLoopback=true")]
    [InlineData("http://0.0.0.0:0", "Identity__PublishedOn=127.0.0.1")]
    [InlineData("http://0.0.0.0:0", "Identity__AdminKey=" + RunningSystem.AdminKey)]
    [InlineData("http://127.0.0.1:0", null)]
    public async Task Gateway_Starts(string url, string? setting)
    {
        using var volume = new TemporaryVolume();

        await using var gateway = await ServiceProcess.StartAsync("ChatHistory.Gateway", volume.Settings(url, setting));

        Assert.NotEmpty(gateway.Addresses);
    }

    private sealed class TemporaryVolume : IDisposable
    {
        private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("chathistory-");

        public Dictionary<string, string> Settings(string url, string? setting)
        {
            var settings = new Dictionary<string, string> { ["VOLUME_DIR"] = _directory.FullName, ["Kestrel__Endpoints__http__Url"] = url };
            if (setting?.Split('=') is [var key, var value])
            {
                settings[key] = value;
            }

            return settings;
        }

        public void Dispose() => _directory.Delete(recursive: true);
    }
}
