namespace ChatHistory.Gateway.Turns;

/// <summary>Tells the client where its turn is stored. In headers, because a stream's frames belong to the model server.</summary>
internal static class TurnHeaders
{
    public static void Write(HttpResponse response, Turn turn)
    {
        Set(response, "X-Session-Id", turn.SessionId);
        Set(response, "X-Message-Id", turn.AnswerMessageId);
        Set(response, "X-User-Message-Id", turn.UserMessageId);
    }

    // Ids made elsewhere (a session inserted by SQL) may hold what a header cannot.
    private static void Set(HttpResponse response, string name, string? value)
    {
        if (value is not null && value.All(character => character is >= ' ' and <= '~'))
        {
            response.Headers[name] = value;
        }
    }
}
