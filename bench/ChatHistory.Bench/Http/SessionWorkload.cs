using System.Globalization;
using ChatHistory.Bench.Load;
using ChatHistory.Bench.Targets;
using ChatHistory.Bench.Upstream;

namespace ChatHistory.Bench.Http;

/// <summary>
/// What only the product does: turns of a session that has 50 messages already, by its id and by the transcript that a client without ids sends. Each session is continued once,
/// so that it has 50 each time. They are made before each round, which is a workload too: 49 messages that nobody has seen, in one request.
/// </summary>
internal static class SessionWorkload
{
    public const string Name = "Sessions of 50 messages, 16 connections";
    public const string First = "first turn";
    public const string Continue = "continued by its id";
    public const string Transcript = "continued by its transcript";
    public const string New = "new transcript of 49 messages";

    private const int Connections = 16;
    private const int MessagesBefore = 49;

    // What is compared takes turns within the round, each kind behind each other one: what fifty messages each leave the disk to do goes on for seconds.
    private const int Parts = 6;
    private const string Model = "bench-instant";

    private static int s_conversations = Random.Shared.Next(1 << 20) << 10;

    /// <param name="turns">How many turns of each kind.</param>
    /// <param name="measure">Adds what the product's processes used to what is done.</param>
    public static async Task RoundAsync(Target product, int turns, Results results, Func<Func<Task<Slice>>, Task<Slice>> measure)
    {
        var conversations = Enumerable.Range(0, turns * 2).Select(_ => Conversation(++s_conversations)).ToArray();
        var sessions = new string[conversations.Length];
        var found = new string[turns];

        results.Add(Name, New, await AskAsync(conversations.Select(before => Question.Body(Model, before)), (index, client) => sessions[index] = client.Header("X-Session-Id")!));
        (string Name, Func<int[], Task<Slice>> AskAsync)[] kinds =
        [
            (First, part => AskAsync(part.Select(_ => Question.Body(Model, stream: false)))),
            (Continue, part => AskAsync(part.Select(turn => Question.Body(Model, sessions[turn])))),
            (Transcript, part => AskAsync(
                part.Select(turn => Further(conversations[turns + turn])), (index, client) => found[part[index]] = client.Header("X-Session-Id")!)),
        ];
        var parts = kinds.ToDictionary(kind => kind.Name, _ => new List<Slice>());
        foreach (var (rotation, part) in Enumerable.Range(0, turns).Chunk((turns + Parts - 1) / Parts).Index())
        {
            for (var i = 0; i < kinds.Length; i++)
            {
                var kind = kinds[(i + rotation) % kinds.Length];
                parts[kind.Name].Add(await kind.AskAsync(part));
            }
        }

        foreach (var (name, slices) in parts)
        {
            results.Add(Name, name, Slice.Together(slices));
        }

        if (!found.SequenceEqual(sessions.Skip(turns)))
        {
            throw new InvalidOperationException("A transcript did not find its session.");
        }

        Task<Slice> AskAsync(IEnumerable<string> bodies, Action<int, TurnConnection>? answered = null) =>
            measure(() => ClosedLoop.RunAsync(product, Connections, [.. bodies], answered ?? ((_, _) => { })));
    }

    private static string Further((string Role, string Content)[] before) =>
        Question.Body(Model, [.. before, ("assistant", Answers.Text), ("user", "And what comes at the very end of it?")]);

    private static (string Role, string Content)[] Conversation(int number) =>
        [.. Enumerable.Range(0, MessagesBefore).Select(i => i % 2 == 0
            ? ("user", string.Create(CultureInfo.InvariantCulture, $"Conversation {number}, question {i}: and what comes after that, in a sentence or two?"))
            : ("assistant", string.Create(CultureInfo.InvariantCulture, $"Answer {i} in conversation {number}. {Answers.Text[..250]}")))];
}
