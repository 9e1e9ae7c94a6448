using System.Buffers;
using System.Text.Json;
using ChatHistory.Gateway.Messages;
using ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.Responses;

/// <summary>The chat completion that a response asks of the model server, without the stored history.</summary>
internal static class ChatBody
{
    /// <summary>Messages before the input: the request's instructions, which are not stored.</summary>
    public static int UnstoredMessages(ResponseRequest request) => request.Instructions is null ? 0 : 1;

    /// <param name="input">The new messages.</param>
    /// <param name="stream">Whether the model server is to stream its answer; a background response is streamed to nobody.</param>
    public static ReadOnlyMemory<byte> Compose(ResponseRequest request, IEnumerable<MessageContent> input, bool stream)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            writer.WriteStartObject();
            if (request.Model is not null)
            {
                writer.WriteString("model", request.Model);
            }

            writer.WriteStartArray("messages");
            if (request.Instructions is not null)
            {
                WireMessage.Write(writer, new MessageContent { Role = "system", Content = request.Instructions });
            }

            foreach (var message in input)
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
}
