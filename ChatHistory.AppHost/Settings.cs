using System.Globalization;
using Aspire.Hosting.Publishing;
using ChatHistory.AppHost.Compose;
using Microsoft.Extensions.Configuration;

namespace ChatHistory.AppHost;

/// <summary>
/// Parameters that also have a plain environment variable: <c>vllm-model</c> is <c>Parameters:vllm-model</c> (user secrets, command line),
/// else <c>VLLM_MODEL</c>, else its default. The published compose file knows it by the same variable.
/// </summary>
internal static class Settings
{
    public static IResourceBuilder<ParameterResource> AddSetting(
        this IDistributedApplicationBuilder builder, string name, string defaultValue, string description) =>
        builder.AddSetting(name, defaultValue, description, secret: false);

    /// <summary>Adds a secret. Its value is never written anywhere by publishing.</summary>
    public static IResourceBuilder<ParameterResource> AddSecretSetting(
        this IDistributedApplicationBuilder builder, string name, string description) =>
        builder.AddSetting(name, "", description, secret: true);

    /// <summary>The environment variable of a setting: <c>VLLM_MODEL</c> for <c>vllm-model</c>.</summary>
    public static string EnvironmentVariable(string name) => name.ToUpper(CultureInfo.InvariantCulture).Replace('-', '_');

    /// <summary>The host port of the gateway: <c>GATEWAY_PORT</c>, else 8080.</summary>
    public static int GatewayPort(IConfiguration configuration) => Port(configuration, "GATEWAY_PORT", 8080);

    /// <summary>The host port of its admin listener: <c>ADMIN_PORT</c>, else the one before the gateway's, so that a second system needs only one other port.</summary>
    public static int AdminPort(IConfiguration configuration) => Port(configuration, "ADMIN_PORT", Math.Max(GatewayPort(configuration) - 1, 1));

    private static int Port(IConfiguration configuration, string variable, int byDefault)
    {
        var configured = configuration[variable];
        if (string.IsNullOrWhiteSpace(configured))
        {
            return byDefault;
        }

        return int.TryParse(configured, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= ushort.MaxValue
            ? port
            : throw new DistributedApplicationException($"{variable} is '{configured}': it must be a port, 1 to 65535.");
    }

    private static IResourceBuilder<ParameterResource> AddSetting(
        this IDistributedApplicationBuilder builder, string name, string defaultValue, string description, bool secret)
    {
        var variable = EnvironmentVariable(name);
        var value = new SettingDefault(builder.Configuration, variable, defaultValue);
        var published = secret ? "" : builder.Configuration[$"Parameters:{name}"] ?? value.GetDefaultValue();
        return builder.AddParameter(name, value, secret)
            .WithDescription(description)
            .WithAnnotation(new ComposeVariable(variable, published, description));
    }

    /// <summary>The environment variable's value, else a constant. Read late, because tests change the configuration.</summary>
    private sealed class SettingDefault(IConfiguration configuration, string variable, string constant) : ParameterDefault
    {
        public override string GetDefaultValue() => configuration[variable] is { Length: > 0 } value ? value : constant;

        public override void WriteToManifest(ManifestPublishingContext context) => context.Writer.WriteString("value", constant);
    }
}
