using System.Buffers;
using System.Text.Json;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Responses;

/// <summary>The chat completion that a response asks of the model server.</summary>
internal static class ChatBody
{
    /// <param name="history">The stored messages before the new ones.</param>
    /// <param name="input">The new messages.</param>
    public static ReadOnlyMemory<byte> Compose(ResponseRequest request, IEnumerable<MessageContent> history, IReadOnlyList<MessageContent> input, string? defaultModel, bool stream)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            writer.WriteStartObject();
            if ((request.Model ?? defaultModel) is { } model)
            {
                writer.WriteString("model", model);
            }

            writer.WriteStartArray("messages");
            foreach (var message in Prompt(request.Instructions, history, input))
            {
                WireMessage.Write(writer, message);
            }

            writer.WriteEndArray();
            foreach (var (name, value) in request.Chat)
            {
                writer.WritePropertyName(name);
                value!.WriteTo(writer);
            }

            if (stream)
            {
                writer.WriteBoolean("stream", true);
                writer.WriteStartObject("stream_options");
                writer.WriteBoolean("include_usage", true);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    /// <summary>
    /// Instructions, history, input. System messages with which the input begins take the place of those with which the history began, and all
    /// of them become one with the instructions: many chat templates refuse a system message anywhere but at the very front.
    /// </summary>
    public static IEnumerable<MessageContent> Prompt(string? instructions, IEnumerable<MessageContent> history, IReadOnlyList<MessageContent> input)
    {
        var leading = input.TakeWhile(IsInstruction).Count();
        var messages = leading == 0 ? history.Concat(input) : input.Take(leading).Concat(history.SkipWhile(IsInstruction)).Concat(input.Skip(leading));
        if (instructions is null)
        {
            return messages;
        }

        var all = messages.ToList();
        var same = all.TakeWhile(message => message is { Role: "system", HasContentParts: false }).ToList();
        var text = string.Join("\n\n", same.Select(message => message.Content).Prepend(instructions));
        return all.Skip(same.Count).Prepend(new MessageContent { Role = "system", Content = text });
    }

    private static bool IsInstruction(MessageContent message) => message.Role is "system" or "developer";
}
