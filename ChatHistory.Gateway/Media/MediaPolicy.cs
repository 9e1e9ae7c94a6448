using System.Collections.Frozen;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Gateway.Context;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Items;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Media;

/// <summary>
/// Decides which media reach the model server. The gateway itself never fetches anything; a model server does, from inside the network, so an address
/// in a request is a way to let it knock at doors that the caller cannot reach (decision 23).
/// </summary>
/// <remarks>
/// Members that name media, wherever they stand in a body:
/// <code>
/// "image_url": "…", {"url":"…"}      and every other member whose name ends in _url (audio, video, file)
/// "url", "uri"                       inside a content part or a *_url object
/// "image", "video", "audio", "file"  inside a content part, where the text is an address
/// </code>
/// A member that stands there twice is judged twice: which of the two counts is each parser's own choice.
/// </remarks>
internal sealed class MediaPolicy(IOptions<MediaOptions> options)
{
    /// <summary>What a model reads in the place of a stored part that it may not be shown.</summary>
    public const string NotShown = "(something was shown here by its address, which is not allowed any more)";

    private const string ErrorCode = "media_url_not_allowed";

    // Descriptions and programs' data: nothing in them is fetched.
    private static readonly string[] s_notMedia = ["tools", "functions", "tool_choice", "response_format", "text_format", "metadata", "annotations", "url_citation", "logprobs", "simulator"];
    private static readonly string[] s_parts = ["content", "output", "input", "parts", "items"];
    private static readonly string[] s_inParts = ["url", "uri"];
    private static readonly string[] s_perhapsContent = ["image", "video", "audio", "file"];

    private readonly FrozenSet<string> _hosts = options.Value.AllowedHosts.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>Refuses a body that names media which may not be fetched.</summary>
    /// <exception cref="OpenAIErrorException">400 <c>media_url_not_allowed</c>.</exception>
    public void Check(JsonElement body)
    {
        if (Find(body, inPart: false) is not { } place)
        {
            return;
        }

        var hosts = _hosts.Count == 0 ? "none are allowed" : string.Join(", ", _hosts.Order(StringComparer.Ordinal));
        throw new OpenAIErrorException(OpenAIError.InvalidRequest(
            $"{place} is an address that the model server would have to fetch, which this gateway does not allow. Send the content itself, as a data: URL "
            + $"(data:image/png;base64,...), or have the host added to Media:AllowedHosts ({hosts} at present).",
            place, ErrorCode));
    }

    /// <summary>A stored message as a model may be shown it: rows may be older than the policy, or be written by another program.</summary>
    public MessageContent Shown(MessageContent message, List<ReplayFix> fixes)
    {
        if (!message.HasContentParts || Parse(message.ContentParts) is not { } document)
        {
            return message;
        }

        using (document)
        {
            if (Find(document.RootElement, inPart: true) is null)
            {
                return message;
            }

            var shown = message.Clone();
            shown.ContentParts = ItemJson.Text(new JsonArray([.. document.RootElement.EnumerateArray().Select(part =>
                Find(part, inPart: true) is null ? ItemJson.Copy(part) : new JsonObject { ["type"] = "text", ["text"] = NotShown })]));
            fixes.Add(new ReplayFix(ReplayFixKind.RefusedMedia, message.HasToolCallId ? message.ToolCallId : null));
            return shown;
        }
    }

    // What is no JSON is left out later (ReplayContent).
    private static JsonDocument? Parse(string parts)
    {
        try
        {
            var document = JsonDocument.Parse(parts, ItemJson.Document);
            if (document.RootElement.ValueKind == JsonValueKind.Array)
            {
                return document;
            }

            document.Dispose();
        }
        catch (JsonException)
        {
        }

        return null;
    }

    /// <summary>Where the first address stands that is not allowed, e.g. <c>messages[0].content[1].image_url.url</c>; null when there is none.</summary>
    private string? Find(JsonElement value, bool inPart, Naming naming = Naming.Nothing)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String when naming != Naming.Nothing && !IsAllowed(value.GetString()!, naming):
                return "";
            case JsonValueKind.Array:
                var index = 0;
                foreach (var item in value.EnumerateArray())
                {
                    if (Find(item, inPart, naming) is { } place)
                    {
                        return Joined($"[{index}]", place);
                    }

                    index++;
                }

                return null;
            case JsonValueKind.Object:
                foreach (var member in value.EnumerateObject())
                {
                    var name = NameOf(member);
                    if (name is not { IsPassedOver: true }
                        && Find(member.Value, inPart || name.IsParts || naming == Naming.Address, name.Of(inPart || naming == Naming.Address)) is { } place)
                    {
                        return Joined(member.Name, place);
                    }
                }

                return null;
            default:
                return null;
        }
    }

    private bool IsAllowed(string text, Naming naming) =>
        MediaAddress.IsContent(text)
        || (naming == Naming.PerhapsContent && !text.Contains(':', StringComparison.Ordinal))
        || (MediaAddress.HostOf(text) is { } host && _hosts.Contains(host));

    private static string Joined(string name, string rest) => rest.Length == 0 || rest[0] == '[' ? name + rest : $"{name}.{rest}";

    // Every member of every body passes here, so no text is made of its name, unless that has an escape.
    private static MemberName NameOf(JsonProperty member)
    {
        var raw = JsonMarshal.GetRawUtf8PropertyName(member);
        if (raw.Contains((byte)'\\'))
        {
            return MemberName.Of(member.Name);
        }

        Span<char> name = stackalloc char[16];
        return raw.Length > name.Length ? MemberName.OfLong(raw.EndsWith("_url"u8))
            : System.Text.Encoding.UTF8.TryGetChars(raw, name, out var length) ? MemberName.Of(name[..length])
            : default;
    }

    /// <summary>What the text of a member is.</summary>
    private enum Naming
    {
        Nothing,

        /// <summary>An address, or content as a <c>data:</c> URL.</summary>
        Address,

        /// <summary>Bare base64 too, which has no colon.</summary>
        PerhapsContent,
    }

    private readonly record struct MemberName(bool IsPassedOver, bool IsParts, bool IsAddress, bool IsAddressInPart, bool IsPerhapsContent)
    {
        public static MemberName Of(ReadOnlySpan<char> name) => new(
            Is(name, s_notMedia), Is(name, s_parts), name.EndsWith("_url", StringComparison.Ordinal), Is(name, s_inParts), Is(name, s_perhapsContent));

        public static MemberName OfLong(bool isAddress) => new(false, false, isAddress, false, false);

        public Naming Of(bool inPart) => IsAddress || (IsAddressInPart && inPart) ? Naming.Address : IsPerhapsContent && inPart ? Naming.PerhapsContent : Naming.Nothing;

        private static bool Is(ReadOnlySpan<char> name, string[] names)
        {
            foreach (var known in names)
            {
                if (name.SequenceEqual(known))
                {
                    return true;
                }
            }

            return false;
        }
    }
}
