using System.Globalization;

namespace ChatHistory.Gateway.Turns;

/// <summary>Tells the client where its turn is stored. In headers, because a stream's frames belong to the model server.</summary>
internal static class TurnHeaders
{
    public static void Write(HttpResponse response, Turn turn)
    {
        Set(response, "X-Session-Id", turn.SessionId);
        Set(response, "X-Message-Id", turn.AnswerMessageId);
        Set(response, "X-User-Message-Id", turn.UserMessageId);
        Set(response, "X-Context-Omitted-Messages", Count(turn.Omitted));
        Set(response, "X-Context-Repaired", Count(turn.Repairs));
    }

    private static string? Count(int count) => count > 0 ? count.ToString(CultureInfo.InvariantCulture) : null;

    // Ids made elsewhere (a session inserted by SQL) may hold what a header cannot.
    private static void Set(HttpResponse response, string name, string? value)
    {
        if (value is not null && value.All(character => character is >= ' ' and <= '~'))
        {
            response.Headers[name] = value;
        }
    }
}
