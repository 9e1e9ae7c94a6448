using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Messages;
using ChatHistory.Gateway.RateLimits;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Options;
using KeyLimits = ChatHistory.Gateway.RateLimits.KeyLimits;

namespace ChatHistory.Gateway.Identity;

/// <summary>API keys: made, listed, changed and revoked by an administrator, on the admin listener.</summary>
internal static class AdminKeysEndpoints
{
    private const int MaxNameLength = 256;

    public static IEndpointRouteBuilder MapAdminKeys(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapAdminGroup("/admin/keys").WithTags("API keys");
        group.MapPost("", CreateAsync).WithName("CreateApiKey").WithSummary("Make an API key for a user. The key is shown this once.")
            .Produces<KeyResource>(StatusCodes.Status201Created);
        group.MapGet("", ListAsync).WithName("ListApiKeys").WithSummary("List keys, without their secrets.")
            .Produces<KeyList>();
        group.MapGet("{key_id}", GetAsync).WithName("GetApiKey").WithSummary("Read a key: the limits that are in force for it, and what it used.")
            .Produces<KeyResource>();
        group.MapPatch("{key_id}", UpdateAsync).WithName("UpdateApiKey").WithSummary("Change a key's name, expiry or limits. It holds within a second.")
            .WithDescription("Of limits only the members that are sent change; null takes the configured default, 0 is no limit.")
            .Accepts<UpdateKeyBody>("application/json").Produces<KeyResource>();
        group.MapDelete("{key_id}", RevokeAsync).WithName("RevokeApiKey").WithSummary("Revoke a key. It stops working within a second.")
            .Produces(StatusCodes.Status204NoContent);
        return routes;
    }

    private static async Task<IResult> CreateAsync(CreateKeyBody body, ApiKeysClient keys, TimeProvider time, CancellationToken cancellationToken)
    {
        var role = RoleOf(body);
        if (role == ApiKeyRoles.Admin ? !string.IsNullOrWhiteSpace(body.UserId) : string.IsNullOrWhiteSpace(body.UserId))
        {
            throw Invalid(role == ApiKeyRoles.Admin ? "An admin key owns no conversations: leave user_id out." : "user_id is needed: the user whose conversations the key opens.", "user_id");
        }

        if (body.ExpiresAt <= time.GetUtcNow())
        {
            throw Invalid("expires_at lies in the past.", "expires_at");
        }

        var text = ApiKeyText.Create();
        ApiKeyText.TryGetId(text, out var id);
        var request = new CreateApiKeyRequest
        {
            KeyId = id,
            UserId = role == ApiKeyRoles.Admin ? "" : UserIds.Check(body.UserId!),
            Name = NameOf(body.Name ?? ""),
            Hash = ByteString.CopyFrom(ApiKeyText.Hash(text)),
            ExpiresAt = body.ExpiresAt is { } expires ? Timestamp.FromDateTimeOffset(expires) : null,
            Role = role,
            Limits = Checked(body.Limits ?? KeyLimits.None).ToContract(),
        };
        var key = await keys.CreateAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(KeyResource.From(key) with { Key = text }, IdentityJsonContext.Wire.KeyResource, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<IResult> GetAsync(
        string key_id, ApiKeysClient keys, IOptions<LimitsOptions> limits, TimeProvider time, CancellationToken cancellationToken)
    {
        var key = await keys.FindAsync(new FindApiKeyRequest { KeyId = key_id }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        var usage = await keys.GetUsageAsync(
            new GetUsageRequest { Subject = key_id, UserId = key.UserId, Day = LimitAccount.DayOf(time.GetUtcNow()) }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        var resource = KeyResource.From(key) with
        {
            LimitsInForce = key.Role == ApiKeyRoles.Admin ? KeyLimits.None : KeyLimits.From(key.Limits).Over(limits.Value.PerKey),
            Usage = new KeyUsage(usage.RequestsOfDay, usage.TokensOfDay, usage.TokensOfMonth, usage.StoredBytes),
        };
        return Results.Json(resource, IdentityJsonContext.Wire.KeyResource);
    }

    private static async Task<IResult> UpdateAsync(string key_id, HttpRequest http, ApiKeysClient keys, TimeProvider time, CancellationToken cancellationToken)
    {
        using var body = await JsonBody.ReadAsync(http, cancellationToken);
        var request = new UpdateApiKeyRequest { KeyId = key_id };
        foreach (var member in body.Root.EnumerateObject())
        {
            switch (member.Name)
            {
                case "name" when member.Value.ValueKind == JsonValueKind.String:
                    request.Name = NameOf(member.Value.GetString()!);
                    break;
                case "expires_at" when member.Value.ValueKind == JsonValueKind.Null:
                    request.SetExpiry = true;
                    break;
                case "expires_at" when member.Value.ValueKind == JsonValueKind.String && member.Value.TryGetDateTimeOffset(out var expires):
                    (request.SetExpiry, request.ExpiresAt) = (true, Timestamp.FromDateTimeOffset(expires));
                    break;
                case "limits" when member.Value.ValueKind == JsonValueKind.Object:
                    var key = await keys.FindAsync(new FindApiKeyRequest { KeyId = key_id }, deadline: time.Deadline(), cancellationToken: cancellationToken);
                    request.Limits = KeyLimits.From(key.Limits).With(ChangesIn(member.Value)).ToContract();
                    break;
                default:
                    throw Invalid($"{member.Name} cannot be changed to that. name (a text), expires_at (a time, or null for never) and limits (an object) can be; for another role or user make a new key.", member.Name);
            }
        }

        var updated = await keys.UpdateAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(KeyResource.From(updated), IdentityJsonContext.Wire.KeyResource);
    }

    private static async Task<IResult> ListAsync(ApiKeysClient keys, TimeProvider time, CancellationToken cancellationToken, string? user_id = null)
    {
        var reply = await keys.ListAsync(new ListApiKeysRequest { UserId = user_id ?? "" }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(new KeyList([.. reply.Keys.Select(KeyResource.From)]), IdentityJsonContext.Wire.KeyList);
    }

    private static async Task<IResult> RevokeAsync(string key_id, ApiKeysClient keys, TimeProvider time, CancellationToken cancellationToken)
    {
        await keys.RevokeAsync(new RevokeApiKeyRequest { KeyId = key_id }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.NoContent();
    }

    // trusted_proxy was a member of its own before there were roles.
    private static string RoleOf(CreateKeyBody body) => (body.Role, body.TrustedProxy) switch
    {
        (null, false) => ApiKeyRoles.User,
        (null or ApiKeyRoles.TrustedProxy, true) => ApiKeyRoles.TrustedProxy,
        (ApiKeyRoles.User or ApiKeyRoles.Admin or ApiKeyRoles.TrustedProxy, false) => body.Role,
        _ => throw Invalid($"role is '{body.Role}'; it must be user, admin or trusted_proxy.", "role"),
    };

    private static string NameOf(string name) =>
        name.Length <= MaxNameLength ? name : throw Invalid($"name has {name.Length} characters; at most {MaxNameLength} are kept.", "name");

    private static KeyLimits Checked(KeyLimits limits) => limits.All.FirstOrDefault(limit => limit.Value < 0) is { Name: { } name }
        ? throw Invalid($"limits.{name} must be 0 (no limit) or more, or null for the configured default.", $"limits.{name}")
        : limits;

    private static Dictionary<string, long?> ChangesIn(JsonElement limits)
    {
        var changes = new Dictionary<string, long?>();
        foreach (var member in limits.EnumerateObject())
        {
            if (KeyLimits.None.All.All(limit => limit.Name != member.Name))
            {
                throw Invalid($"limits.{member.Name} is no limit. There are {string.Join(", ", KeyLimits.None.All.Select(limit => limit.Name))}.", $"limits.{member.Name}");
            }

            changes[member.Name] = member.Value.ValueKind == JsonValueKind.Null ? null
                : member.Value.ValueKind == JsonValueKind.Number && member.Value.TryGetInt64(out var number) && number >= 0 ? number
                : throw Invalid($"limits.{member.Name} must be a whole number, 0 (no limit) or more, or null for the configured default.", $"limits.{member.Name}");
        }

        return changes;
    }

    private static OpenAIErrorException Invalid(string message, string param) => new(OpenAIError.InvalidRequest(message, param));
}

internal sealed record CreateKeyBody(
    [property: JsonPropertyName("user_id"), Description("The user whose conversations the key opens; created when unknown. An admin key has none.")] string? UserId = null,
    [property: JsonPropertyName("name"), Description("What the key is for, for people.")] string? Name = null,
    [property: JsonPropertyName("expires_at"), Description("When the key stops working; never when absent.")] DateTimeOffset? ExpiresAt = null,
    [property: JsonPropertyName("role"), Description("user (default); admin: manages keys, on the admin listener, and owns no conversations; trusted_proxy: belongs to a UI that may speak for its users through identity headers.")] string? Role = null,
    [property: JsonPropertyName("limits"), Description("How much the key may; absent members take the configured default (Limits:PerKey), 0 is no limit.")] KeyLimits? Limits = null,
    [property: JsonPropertyName("trusted_proxy"), Description("true is the same as role trusted_proxy.")] bool TrustedProxy = false);

/// <summary>For the OpenAPI document; it is read member by member, because null and absent differ.</summary>
internal sealed record UpdateKeyBody(
    [property: JsonPropertyName("name")] string? Name = null,
    [property: JsonPropertyName("expires_at"), Description("null: never.")] DateTimeOffset? ExpiresAt = null,
    [property: JsonPropertyName("limits"), Description("Only the members that are sent change; null takes the configured default, 0 is no limit.")] KeyLimits? Limits = null);

/// <summary>What a key used; of today and this month in UTC. Gateways report it once a second.</summary>
internal sealed record KeyUsage(
    [property: JsonPropertyName("requests_today")] long RequestsToday,
    [property: JsonPropertyName("tokens_today")] long TokensToday,
    [property: JsonPropertyName("tokens_this_month")] long TokensThisMonth,
    [property: JsonPropertyName("stored_bytes"), Description("Of the key's owner.")] long StoredBytes);

internal sealed record KeyList([property: JsonPropertyName("keys")] IReadOnlyList<KeyResource> Keys);

internal sealed record KeyResource
{
    [JsonPropertyName("key_id")]
    public required string KeyId { get; init; }

    /// <summary>The key itself; only in the answer that made it.</summary>
    [JsonPropertyName("key"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Key { get; init; }

    /// <summary>Absent on an admin key.</summary>
    [JsonPropertyName("user_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? UserId { get; init; }

    [JsonPropertyName("name")]
    public required string Name { get; init; }

    [JsonPropertyName("role")]
    public required string Role { get; init; }

    [JsonPropertyName("trusted_proxy")]
    public bool TrustedProxy => Role == ApiKeyRoles.TrustedProxy;

    /// <summary>The key's own; null is the configured default, 0 no limit.</summary>
    [JsonPropertyName("limits")]
    public required KeyLimits Limits { get; init; }

    /// <summary>With the defaults; null is no limit. Only when the key is read by itself.</summary>
    [JsonPropertyName("limits_in_force"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public KeyLimits? LimitsInForce { get; init; }

    /// <summary>Only when the key is read by itself.</summary>
    [JsonPropertyName("usage"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public KeyUsage? Usage { get; init; }

    [JsonPropertyName("created_at")]
    public required DateTime CreatedAt { get; init; }

    [JsonPropertyName("expires_at")]
    public DateTime? ExpiresAt { get; init; }

    [JsonPropertyName("revoked_at")]
    public DateTime? RevokedAt { get; init; }

    public static KeyResource From(ApiKey key) => new()
    {
        KeyId = key.KeyId,
        UserId = key.UserId is "" ? null : key.UserId,
        Name = key.Name,
        Role = key.Role,
        Limits = KeyLimits.From(key.Limits),
        CreatedAt = key.CreatedAt.ToDateTime(),
        ExpiresAt = key.ExpiresAt?.ToDateTime(),
        RevokedAt = key.RevokedAt?.ToDateTime(),
    };
}

[JsonSerializable(typeof(CreateKeyBody))]
[JsonSerializable(typeof(KeyResource))]
[JsonSerializable(typeof(KeyList))]
internal sealed partial class IdentityJsonContext : JsonSerializerContext
{
    public static IdentityJsonContext Wire { get; } = new(WireJson.Options);
}
