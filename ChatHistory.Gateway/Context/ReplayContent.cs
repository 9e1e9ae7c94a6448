using System.Text;
using System.Text.Json;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Context;

/// <summary>The members of a stored message that hold JSON as text. They are written into the prompt as they are, so they must be JSON.</summary>
internal static class ReplayContent
{
    /// <summary>The message itself, or a copy without what is no JSON: other programs may write to the database, too.</summary>
    public static MessageContent Readable(MessageContent message, List<ReplayFix> fixes)
    {
        var parts = !message.HasContentParts || Is(message.ContentParts, JsonTokenType.StartArray);
        var extra = !message.HasExtra || Is(message.Extra, JsonTokenType.StartObject);
        if (parts && extra)
        {
            return message;
        }

        fixes.Add(new ReplayFix(ReplayFixKind.UnreadableContent, message.HasToolCallId ? message.ToolCallId : null));
        var readable = message.Clone();
        if (!parts)
        {
            readable.ClearContentParts();
        }

        if (!extra)
        {
            readable.ClearExtra();
        }

        return readable;
    }

    private static bool Is(string json, JsonTokenType first)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json));
        try
        {
            if (!reader.Read() || reader.TokenType != first)
            {
                return false;
            }

            reader.Skip();
            return !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
