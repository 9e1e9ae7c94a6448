using System.Globalization;

namespace ChatHistory.Bench.Storage;

/// <summary>What a filled database holds: all of it follows from numbers, so that readers know what to ask for.</summary>
internal sealed class History
{
    public const int Giant = 0;
    private const int PerSession = 60;
    private const int PerUser = 100;
    private const int SideBySide = 1000;

    public History(int messages)
    {
        Messages = messages;
        GiantMessages = messages / 10 / 2 * 2;
        Sessions = (messages - GiantMessages) / PerSession;
    }

    public int Messages { get; }

    public int GiantMessages { get; }

    /// <summary>How many there are beside the giant; they are numbered from 1.</summary>
    public int Sessions { get; }

    public static string SessionId(int session) => Id(0x7000, session, 0);

    // In the order of time within a session, and, as UUIDv7 are, nearly so among all.
    public static string MessageId(int session, int seq) => Id(0x7001, (session / SideBySide * 10_000_000L) + seq, session);

    public static string UserOf(int session) => string.Create(CultureInfo.InvariantCulture, $"history-user-{session / PerUser}");

    /// <summary>Shorter than what is appended: ten million of them have to fit on a disk.</summary>
    public static (string Role, string Content) Message(int session, int seq) => seq % 2 == 1
        ? ("user", Texts.Question(((long)session << 32) + seq))
        : ("assistant", Texts.Answer(((long)session << 32) + seq)[^300..]);

    /// <summary>The sessions of the messages, one after the other.</summary>
    public IEnumerable<int> InOrderOfTime()
    {
        var giant = 0;
        for (var first = 1; first <= Sessions; first += SideBySide)
        {
            var last = Math.Min(first + SideBySide - 1, Sessions);
            for (var seq = 0; seq < PerSession; seq++)
            {
                for (var session = first; session <= last; session++)
                {
                    yield return session;
                    // Every tenth.
                    if (session % 9 == 0 && giant < GiantMessages)
                    {
                        giant++;
                        yield return Giant;
                    }
                }
            }
        }

        for (; giant < GiantMessages; giant++)
        {
            yield return Giant;
        }
    }

    private static string Id(int kind, long first, int second) => string.Create(CultureInfo.InvariantCulture, $"{first >> 16:x8}-{first & 0xffff:x4}-{kind:x4}-8000-{second:x12}");
}
