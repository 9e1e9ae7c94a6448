using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Messages;

/// <summary>
/// How much one body may hold, in whatever dialect: members that every route reads alike. What is about one route's own members is checked where
/// they are read.
/// </summary>
internal static class BodyLimits
{
    private const int MaxNameLength = 256;

    // "user" and "user_id" name whom it is for, "model" by whom it is to be answered.
    private static readonly string[] s_names = ["model", "user", "user_id", "session_id", "parent_message_id", "previous_response_id"];

    private static readonly string[] s_lists = ["messages", "input", "items"];

    /// <exception cref="OpenAIErrorException">Something is too large: which, how large it may be, and what to do.</exception>
    public static void Check(JsonElement body, LimitsOptions limits)
    {
        foreach (var name in s_names)
        {
            if (body.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString()!.Length is > MaxNameLength and var length)
            {
                throw Invalid($"{name} has {Text(length)} characters; at most {Text(MaxNameLength)} are taken.", name, "string_above_max_length");
            }
        }

        foreach (var name in s_lists)
        {
            if (body.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array)
            {
                CheckMessages(list, name, limits);
            }
        }

        // A message that is saved by itself.
        if (body.TryGetProperty("content", out var content) && JsonMarshal.GetRawUtf8Value(content).Length is var size && size > limits.MaxMessageBytes)
        {
            throw TooLarge("content", size, limits);
        }

        if (body.TryGetProperty("tools", out var tools) && tools.ValueKind == JsonValueKind.Array && tools.GetArrayLength() is var count && count > limits.MaxTools)
        {
            throw Invalid(
                $"tools has {Text(count)} tools; at most {Text(limits.MaxTools)} are taken. Offer fewer, or raise Limits:MaxTools.", "tools", "array_above_max_length");
        }
    }

    private static void CheckMessages(JsonElement list, string name, LimitsOptions limits)
    {
        if (list.GetArrayLength() is var count && count > limits.MaxMessages)
        {
            throw Invalid(
                $"{name} has {Text(count)} entries; at most {Text(limits.MaxMessages)} are taken. Send only the new ones with session_id (the stored history is put before them), "
                + "or raise Limits:MaxMessages.", name, "array_above_max_length");
        }

        var index = 0;
        foreach (var message in list.EnumerateArray())
        {
            if (JsonMarshal.GetRawUtf8Value(message).Length is var size && size > limits.MaxMessageBytes)
            {
                throw TooLarge($"{name}[{Text(index)}]", size, limits);
            }

            index++;
        }
    }

    private static OpenAIErrorException TooLarge(string path, int size, LimitsOptions limits) => new(new OpenAIError(
        StatusCodes.Status413PayloadTooLarge, ErrorTypes.InvalidRequest, "message_too_large",
        $"{path} has {Text(size)} bytes; at most {Text(limits.MaxMessageBytes)} are taken in one message. Send less in one, or raise Limits:MaxMessageBytes.", path));

    private static OpenAIErrorException Invalid(string message, string param, string code) => new(OpenAIError.InvalidRequest(message, param, code));

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
