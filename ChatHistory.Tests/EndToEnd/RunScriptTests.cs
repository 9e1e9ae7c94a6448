using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>The first of the two commands.</summary>
public sealed partial class RunScriptTests
{
    [Fact]
    public async Task Run_PrintsItsProcesses_KeepsWhatIsSaid_AndLeavesNothingBehind()
    {
        await using var script = RunScript.Start();
        Assert.Equal($"ready http://127.0.0.1:{script.Port}", await script.ReadToAsync("ready"));

        var processes = script.Output.Select(line => ProcessLine().Match(line)).Where(match => match.Success).ToArray();
        Assert.Equal(["storage", "vllm", "gateway"], processes.Select(match => match.Groups["name"].Value));
        Assert.Equal($"http://127.0.0.1:{script.Port}", processes[2].Groups["url"].Value);
        var pids = processes.Select(match => int.Parse(match.Groups["pid"].Value, CultureInfo.InvariantCulture)).ToArray();
        Assert.All(pids, pid => Assert.False(Process.GetProcessById(pid).HasExited));
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{script.Port}") };
        var answer = await client.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hello"}]}""");
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal(2, (await client.MessagesOfAsync(answer.SessionId)).Length);

        Assert.Equal(0, await script.StopAsync());

        Assert.All(pids, pid => Assert.Throws<ArgumentException>(() => Process.GetProcessById(pid)));
        Assert.True(File.Exists(Path.Combine(script.VolumeDirectory, "db", "chat.db")));
        Assert.Contains(Directory.GetFiles(Path.Combine(script.VolumeDirectory, "logs")), file => Path.GetFileName(file).StartsWith("gateway-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Run_UsesAnotherModelServer()
    {
        await using var model = await ScriptedModelServer.StartAsync();
        model.NextBody("""{"id":"c","model":"mine","choices":[{"index":0,"message":{"role":"assistant","content":"From elsewhere"},"finish_reason":"stop"}]}""");
        await using var script = RunScript.Start(settings: [("VLLM_ENDPOINT", model.Address.ToString()), ("VLLM_MODEL", "mine")]);
        await script.ReadToAsync("ready");
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{script.Port}") };

        var answer = await client.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hello"}]}""");

        Assert.Equal("From elsewhere", answer.Body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Contains("\"model\":\"mine\"", Assert.Single(model.Requests), StringComparison.Ordinal);
        Assert.DoesNotContain(script.Output, line => line.StartsWith("vllm", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Run_SaysThatItsPortIsTaken()
    {
        await using var other = await ScriptedModelServer.StartAsync();
        await using var script = RunScript.Start(other.Address.Port);

        Assert.Contains($"port {other.Address.Port} is taken", await script.ReadToAsync("run.sh:"), StringComparison.Ordinal);
        Assert.Equal(1, await script.WaitForExitAsync());
    }

    [GeneratedRegex(@"^(?<name>\w+)\s+pid (?<pid>\d+)\s+.*?(?<url>http://\S+)")]
    private static partial Regex ProcessLine();
}
