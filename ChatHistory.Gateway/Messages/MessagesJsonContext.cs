using System.Text.Json;
using System.Text.Json.Serialization;

namespace ChatHistory.Gateway.Messages;

[JsonSerializable(typeof(MessageResource))]
[JsonSerializable(typeof(MessageList))]
[JsonSerializable(typeof(MessageChildren))]
[JsonSerializable(typeof(AppendMessageBody))]
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class MessagesJsonContext : JsonSerializerContext
{
    public static MessagesJsonContext Wire { get; } = new(WireJson.Options);
}
