using System.Data.Common;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Upstream;

/// <summary>Fills <see cref="VllmOptions"/> from the connection string <c>vllm</c>, where the section <c>Vllm</c> leaves something open.</summary>
internal sealed class VllmConnectionString(IConfiguration configuration) : IPostConfigureOptions<VllmOptions>
{
    public void PostConfigure(string? name, VllmOptions options)
    {
        var parts = new DbConnectionStringBuilder { ConnectionString = configuration.GetConnectionString("vllm") ?? "" };
        options.ApiKey = Part(options.ApiKey, parts, "Key");
        options.Model = Part(options.Model, parts, "Model");

        // Service discovery knows the address when the AppHost, or run.sh, gave it one; otherwise the connection string has to.
        var discovered = configuration.GetSection("services:vllm").Exists();
        if (!discovered && configuration[$"{VllmOptions.Section}:Endpoint"] is null && Part(null, parts, "Endpoint") is { } endpoint)
        {
            options.Endpoint = endpoint;
        }
    }

    private static string? Part(string? configured, DbConnectionStringBuilder parts, string key) =>
        !string.IsNullOrWhiteSpace(configured) ? configured
        : parts.TryGetValue(key, out var value) && value is string { Length: > 0 } text ? text
        : null;
}
