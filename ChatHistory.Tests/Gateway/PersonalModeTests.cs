using System.Net;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;

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
    [InlineData("http://127.0.0.1:0", "Kestrel__Endpoints__admin__Url=http://*:0", "The admin listener, where keys and backups are managed, would listen on *")]
    [InlineData("http://127.0.0.1:0", "Identity__AdminPublishedOn=192.168.1.7", "would listen on 192.168.1.7")]
    [InlineData("http://127.0.0.1:0", "Identity__Oidc__Authority=https://login.example.org", "Identity:Oidc:Audience is blank")]
    [InlineData("http://127.0.0.1:0", "Identity__Oidc__Authority=http://login.example.org", "plain HTTP")]
    [InlineData("http://127.0.0.1:0", "Identity__Oidc__Authority=login", "must be the issuer's address")]
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
    [InlineData("http://127.0.0.1:0", "Kestrel__Endpoints__admin__Url=http://0.0.0.0:0", "Identity__AdminPublishedOn=127.0.0.1")]
    [InlineData("http://127.0.0.1:0", "Kestrel__Endpoints__admin__Url=http://0.0.0.0:0", "Identity__AllowAdminBeyondLoopback=true")]
    public async Task Gateway_Starts(string url, string? setting, string? another = null)
    {
        using var volume = new TemporaryVolume();

        await using var gateway = await ServiceProcess.StartAsync("ChatHistory.Gateway", volume.Settings(url, setting, another));

        Assert.NotEmpty(gateway.Addresses);
    }

    /// <summary>Another gateway on the same storage, or a restored backup, may bring the first key.</summary>
    [Fact]
    public async Task Gateway_ClosesWhenAKeyAppears()
    {
        await using var system = await RunningSystem.StartAsync();
        Assert.Equal(HttpStatusCode.OK, (await system.Client.GetJsonAsync("/v1/sessions")).Status);
        using (var database = OtherTool.Open(system.DatabasePath))
        {
            database.Execute("INSERT INTO api_keys (key_id, user_id, name, hash) VALUES ('abcdefgh', 'default_user', '', zeroblob(32))");
        }

        await Eventually.GetAsync(async () => (await system.Client.GetJsonAsync("/v1/sessions")).Status, status => status == HttpStatusCode.Unauthorized, TimeSpan.FromSeconds(3));
    }

    private sealed class TemporaryVolume : IDisposable
    {
        private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("chathistory-");

        public Dictionary<string, string> Settings(string url, params string?[] more)
        {
            var settings = new Dictionary<string, string>
            {
                ["VOLUME_DIR"] = _directory.FullName,
                ["Kestrel__Endpoints__http__Url"] = url,
                ["Kestrel__Endpoints__admin__Url"] = "http://127.0.0.1:0",
            };
            foreach (var setting in more.OfType<string>())
            {
                var (key, value) = (setting[..setting.IndexOf('=', StringComparison.Ordinal)], setting[(setting.IndexOf('=', StringComparison.Ordinal) + 1)..]);
                settings[key] = value;
            }

            return settings;
        }

        public void Dispose() => _directory.Delete(recursive: true);
    }
}
