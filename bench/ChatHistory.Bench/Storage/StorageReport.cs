using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using ChatHistory.Bench.Targets;

namespace ChatHistory.Bench.Storage;

/// <summary>Writes <c>bench/results/storage.md</c>.</summary>
internal static class StorageReport
{
    public static string Write(IReadOnlyList<Section> sections)
    {
        var text = new StringBuilder();
        text.AppendLine("# The storage service by itself").AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"`bench/run.sh storage`, on {Environment.ProcessorCount} cores shared by the service and the load, {RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}.");
        text.AppendLine("Telemetry is on and exported; every write is committed with `synchronous=FULL`. Compare ratios: absolute figures differ from machine to machine.").AppendLine();
        AppendTable(text, ["target", "", "measured", ""], sections.SelectMany(section => section.Goals).Select(goal => (string[])[goal.What, goal.Target, goal.Measured, goal.Met ? "met" : "**missed**"]));
        foreach (var section in sections)
        {
            text.AppendLine().AppendLine(CultureInfo.InvariantCulture, $"## {section.Title}").AppendLine().AppendLine(section.How).AppendLine();
            AppendTable(text, section.Columns, section.Rows);
        }

        var path = Path.Combine(Programs.RepositoryRoot, "bench", "results", "storage.md");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text.ToString());
        Console.WriteLine(text);
        return path;
    }

    private static void AppendTable(StringBuilder text, string[] columns, IEnumerable<string[]> rows)
    {
        text.AppendLine($"| {string.Join(" | ", columns)} |").AppendLine($"|{string.Concat(Enumerable.Repeat("---|", columns.Length))}");
        foreach (var row in rows)
        {
            text.AppendLine($"| {string.Join(" | ", row)} |");
        }
    }
}
