using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>The official npm client, unmodified, against the running product: each script of <c>Sdk/node</c> asserts by itself and prints what it saw.</summary>
public sealed class OpenAINodeTests(KeyedSystem system, NodeProject node, ITestOutputHelper output) : IClassFixture<KeyedSystem>, IClassFixture<NodeProject>
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);

    [NodeTheory]
    [InlineData("chat")]
    [InlineData("streaming")]
    [InlineData("tools")]
    [InlineData("structured")]
    [InlineData("images")]
    [InlineData("errors")]
    [InlineData("retries")]
    [InlineData("aborts")]
    [InlineData("models")]
    [InlineData("transcripts")]
    [InlineData("stored-completions")]
    [InlineData("conversations")]
    [InlineData("conversation-turns")]
    [InlineData("responses")]
    public async Task Script_EndsWell(string script)
    {
        using var client = await system.Running.ClientOfAsync($"node-{script}");
        var (exitCode, printed) = await node.RunScriptAsync(
            $"{script}.mjs",
            s_limit,
            ("BASE_URL", new Uri(client.BaseAddress!, "/v1").ToString()),
            ("API_KEY", client.DefaultRequestHeaders.Authorization!.Parameter!),
            ("ADMIN_KEY", RunningSystem.AdminKey),
            ("MODEL", RunningSystem.Model),
            ("SIMULATOR_URL", system.Running.Simulator!.Addresses[0].ToString().TrimEnd('/')));

        output.WriteLine(printed);
        Assert.True(exitCode == 0, printed);
    }
}
