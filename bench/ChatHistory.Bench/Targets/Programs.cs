using System.Reflection;

namespace ChatHistory.Bench.Targets;

/// <summary>Finds what the machine has, and says how what is ours is started.</summary>
internal static class Programs
{
    /// <summary>
    /// For a web host of the harness. As the product does: what watches the settings watches the whole working folder, and so sees each write of the
    /// database that is measured in it.
    /// </summary>
    public static readonly string[] WithoutWatching = ["--hostBuilder:reloadConfigOnChange=false"];

    public static string RepositoryRoot { get; } =
        typeof(Programs).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(metadata => metadata.Key == "RepositoryRoot").Value!;

    public static string? Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
}
