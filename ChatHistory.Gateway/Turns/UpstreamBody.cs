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
/// missing <c>model</c> or <c>cache_salt</c>.
/// </summary>
internal static class UpstreamBody
{
    // Members that only this gateway understands; a strict upstream would refuse them.
    private static readonly string[] s_own = ["session_id", "user_id", "on_disconnect", "parent_message_id", "multitask"];

    // What is added, and what the writer wants to have free at the least.
    private const int Room = 6 * 1024;
    private const int AroundMessage = 64;

    // Beyond that it may as well grow.
    private const int MaxCapacity = 256 * 1024 * 1024;

    /// <param name="request">The client's request.</param>
    /// <param name="messages">The messages to send in the place of the request's; those of them that are the request's own keep their bytes. Null: the request's.</param>
    /// <param name="defaultModel">The model for a request that names none.</param>
    /// <param name="cacheSalt">The salt for a request that names none (<see cref="Upstream.CacheSalt"/>).</param>
    public static ReadOnlyMemory<byte> Compose(ChatCompletionRequest request, IReadOnlyList<MessageContent>? messages, string? defaultModel, string? cacheSalt)
    {
        var addUsage = request.Stream && !request.UsageAsked;
        var addSalt = cacheSalt is not null && !IsGiven(request.Root, "cache_salt");
        var addModel = request.Model is null && defaultModel is not null;
        if (messages is null && !addUsage && !addModel && !addSalt && !s_own.Any(own => request.Root.TryGetProperty(own, out _)))
        {
            return request.Bytes;
        }

        var buffer = new ArrayBufferWriter<byte>(CapacityFor(request, messages));
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
                    case "cache_salt" when addSalt:
                        break;
                    case "messages" when messages is not null:
                        break;
                    default:
                        writer.WritePropertyName(member.Name);
                        WriteUnchanged(writer, member.Value);
                        break;
                }
            }

            if (messages is not null)
            {
                WriteMessages(writer, request, messages);
            }

            if (addUsage)
            {
                WriteStreamOptions(writer, request.Root);
            }

            if (addModel)
            {
                writer.WriteString("model", defaultModel);
            }

            if (addSalt)
            {
                writer.WriteString("cache_salt", cacheSalt);
            }

            writer.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    /// <summary>Bytes enough for a prompt in ASCII, so that its buffer does not grow again and again; for another one it does.</summary>
    private static int CapacityFor(ChatCompletionRequest request, IReadOnlyList<MessageContent>? messages)
    {
        var (all, longest) = (0L, 0L);
        foreach (var message in messages ?? [])
        {
            long text = message.HasContentParts ? message.ContentParts.Length : message.Content.Length;
            all += AroundMessage + text + message.ToolCalls.Length + message.Reasoning.Length + message.Extra.Length;
            longest = Math.Max(longest, text);
        }

        // Before it writes a text, the writer wants three bytes free for each of its characters.
        return (int)Math.Min(request.Bytes.Length + Room + all + (2 * longest), MaxCapacity);
    }

    private static bool IsGiven(JsonElement root, string member) => root.TryGetProperty(member, out var value) && value.ValueKind != JsonValueKind.Null;

    private static void WriteMessages(Utf8JsonWriter writer, ChatCompletionRequest request, IReadOnlyList<MessageContent> messages)
    {
        var own = new Dictionary<MessageContent, JsonElement>(ReferenceEqualityComparer.Instance);
        for (var i = 0; i < request.Messages.Count; i++)
        {
            own[request.Messages[i]] = request.Root.GetProperty("messages")[i];
        }

        writer.WriteStartArray("messages");
        foreach (var message in messages)
        {
            if (own.TryGetValue(message, out var json))
            {
                WriteUnchanged(writer, json);
            }
            else
            {
                WireMessage.Write(writer, message);
            }
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

    // The very bytes: numbers keep their digits, strings their escapes.
    private static void WriteUnchanged(Utf8JsonWriter writer, JsonElement value) =>
        writer.WriteRawValue(JsonMarshal.GetRawUtf8Value(value), skipInputValidation: true);
}
