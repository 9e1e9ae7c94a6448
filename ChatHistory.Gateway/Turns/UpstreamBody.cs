using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using ChatHistory.Gateway.ChatCompletions;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Turns;

/// <summary>
/// The body that goes to the model: the client's own, byte for byte where nothing has to change. Changed are only: our own members (left out),
/// <c>messages</c> (stored history before the new ones), <c>stream_options</c> (usage is always asked for, so that it can be stored), and a
/// missing <c>model</c>.
/// </summary>
internal static class UpstreamBody
{
    // Members that only this gateway understands; a strict upstream would refuse them.
    private static readonly string[] s_own = ["session_id", "user_id", "on_disconnect", "parent_message_id", "multitask"];

    public static ReadOnlyMemory<byte> Compose(ChatCompletionRequest request, IReadOnlyList<MessageContent> history, string? defaultModel)
    {
        var addUsage = request.Stream && !request.UsageAsked;
        var addModel = request.Model is null && defaultModel is not null;
        if (history.Count == 0 && !addUsage && !addModel && !s_own.Any(own => request.Root.TryGetProperty(own, out _)))
        {
            return request.Bytes;
        }

        var buffer = new ArrayBufferWriter<byte>(request.Bytes.Length + 256);
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            writer.WriteStartObject();
            foreach (var member in request.Root.EnumerateObject())
            {
                switch (member.Name)
                {
                    case var name when s_own.Contains(name):
                    case "stream_options" when addUsage:
                    case "model" when addModel:
                        break;
                    case "messages" when history.Count > 0:
                        writer.WritePropertyName("messages");
                        WriteMessages(writer, request, member.Value, history);
                        break;
                    default:
                        writer.WritePropertyName(member.Name);
                        WriteUnchanged(writer, member.Value);
                        break;
                }
            }

            if (addUsage)
            {
                WriteStreamOptions(writer, request.Root);
            }

            if (addModel)
            {
                writer.WriteString("model", defaultModel);
            }

            writer.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    // Instructions of the request come first and take the place of those with which the history began: many chat templates refuse a system
    // message anywhere else, and clients that send one with every turn mean the current one.
    private static void WriteMessages(Utf8JsonWriter writer, ChatCompletionRequest request, JsonElement messages, IReadOnlyList<MessageContent> history)
    {
        var instructions = request.Messages.TakeWhile(IsInstruction).Count();
        var replayed = instructions == 0 ? history : history.SkipWhile(IsInstruction);

        writer.WriteStartArray();
        foreach (var message in messages.EnumerateArray().Take(instructions))
        {
            WriteUnchanged(writer, message);
        }

        // An answer that failed before its first word is kept, but says nothing to a model.
        foreach (var message in replayed.Where(message => message is not { Role: "assistant", Content: "", HasToolCalls: false, HasContentParts: false }))
        {
            WireMessage.Write(writer, message);
        }

        foreach (var message in messages.EnumerateArray().Skip(instructions))
        {
            WriteUnchanged(writer, message);
        }

        writer.WriteEndArray();
    }

    private static void WriteStreamOptions(Utf8JsonWriter writer, JsonElement root)
    {
        writer.WriteStartObject("stream_options");
        if (root.TryGetProperty("stream_options", out var options) && options.ValueKind == JsonValueKind.Object)
        {
            foreach (var option in options.EnumerateObject().Where(option => option.Name != "include_usage"))
            {
                option.WriteTo(writer);
            }
        }

        writer.WriteBoolean("include_usage", true);
        writer.WriteEndObject();
    }

    private static bool IsInstruction(MessageContent message) => message.Role is "system" or "developer";

    // The very bytes: numbers keep their digits, strings their escapes.
    private static void WriteUnchanged(Utf8JsonWriter writer, JsonElement value) =>
        writer.WriteRawValue(JsonMarshal.GetRawUtf8Value(value), skipInputValidation: true);
}
