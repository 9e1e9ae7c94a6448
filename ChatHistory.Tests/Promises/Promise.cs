using System.Globalization;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// One run of a promise's test (docs/promises.md): its size, its seed and its figure. The short form runs with all tests, the long one by
/// <c>./test.sh --long R1</c>; <c>CHATHISTORY_SEED=…</c> repeats a run or makes another one.
/// </summary>
/// <remarks>The test's class has the trait <c>[Trait(Promise.Trait, "R1")]</c>, by which test.sh finds it.</remarks>
internal sealed class Promise
{
    public const string Trait = "promise";

    private readonly string _id;
    private readonly ITestOutputHelper _output;

    /// <param name="id">As in docs/promises.md, e.g. <c>R1</c>.</param>
    /// <param name="output">Where the seed is printed at once, so that a run that fails can be repeated.</param>
    public Promise(string id, ITestOutputHelper output)
    {
        _id = id;
        _output = output;
        Seed = Setting("CHATHISTORY_SEED") ?? Random.Shared.Next();
        _output.WriteLine($"{id}: CHATHISTORY_SEED={Seed}");
    }

    /// <summary>Of everything that is random in this run.</summary>
    public int Seed { get; }

    public static bool IsLong => Setting("CHATHISTORY_LONG") is 1;

    /// <summary>How much of something: in the short form, and in the long one.</summary>
    public static int Size(int ofShort, int ofLong) => IsLong ? ofLong : ofShort;

    /// <summary>Prints what was measured. test.sh shows the figures of all promises together at its end.</summary>
    public void Figure(string figure)
    {
        var line = $"{_id,-4} {figure}  (seed {Seed}{(IsLong ? ", long form" : "")})";
        _output.WriteLine(line);
        if (Environment.GetEnvironmentVariable("CHATHISTORY_FIGURES") is { Length: > 0 } path)
        {
            // Tests run side by side: one write call for each line.
            using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
            file.Write(System.Text.Encoding.UTF8.GetBytes(line + Environment.NewLine));
        }
    }

    private static int? Setting(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
