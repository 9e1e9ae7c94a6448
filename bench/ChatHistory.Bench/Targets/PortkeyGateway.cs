using System.Globalization;

namespace ChatHistory.Bench.Targets;

/// <summary>The rival: a gateway for language models that stores nothing, from npm (<c>bench/portkey</c>).</summary>
internal static class PortkeyGateway
{
    /// <returns>Null where Node.js or the package is missing.</returns>
    public static async Task<Target?> StartAsync(string repository, string folder, int upstreamPort)
    {
        var script = Path.Combine(repository, "bench/portkey/node_modules/@portkey-ai/gateway/build/start-server.js");
        if (Programs.Find("node") is not { } node || !File.Exists(script))
        {
            return null;
        }

        var port = ChildProcess.FreePort();
        var environment = new Dictionary<string, string> { ["NODE_ENV"] = "production" };
        var process = ChildProcess.Start(
            Path.Combine(folder, "portkey.log"), node, [script, $"--port={port.ToString(CultureInfo.InvariantCulture)}", "--headless"], environment);
        await process.WaitReadyAsync(port, "/");
        var headers = new Dictionary<string, string>
        {
            ["Authorization"] = "Bearer none",
            ["x-portkey-provider"] = "openai",
            ["x-portkey-custom-host"] = $"http://127.0.0.1:{upstreamPort}/v1",
        };
        return new Target(Target.Portkey, port, headers, [process]);
    }
}
