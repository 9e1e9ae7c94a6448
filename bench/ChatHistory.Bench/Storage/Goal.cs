namespace ChatHistory.Bench.Storage;

/// <summary>A figure of issue "Fast" beside what was measured.</summary>
internal sealed record Goal(string What, string Target, string Measured, bool Met);

/// <summary>What a part of the run has to say: a table, how it was measured, and how it stands to the targets.</summary>
internal sealed record Section(string Title, string How, string[] Columns, List<string[]> Rows, List<Goal> Goals);
