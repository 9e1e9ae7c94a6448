using System.ComponentModel;
using System.Text.Json.Serialization;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace ChatHistory.Gateway.Identity;

/// <summary>API keys: made, listed and revoked with the admin key, on the admin listener.</summary>
internal static class AdminKeysEndpoints
{
    public static IEndpointRouteBuilder MapAdminKeys(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapAdminGroup("/admin/keys").WithTags("API keys");
        group.MapPost("", CreateAsync).WithName("CreateApiKey").WithSummary("Make an API key for a user. The key is shown this once.")
            .Produces<KeyResource>(StatusCodes.Status201Created);
        group.MapGet("", ListAsync).WithName("ListApiKeys").WithSummary("List keys, without their secrets.")
            .Produces<KeyList>();
        group.MapDelete("{key_id}", RevokeAsync).WithName("RevokeApiKey").WithSummary("Revoke a key. It stops working within a second.")
            .Produces(StatusCodes.Status204NoContent);
        return routes;
    }

    private static async Task<IResult> CreateAsync(CreateKeyBody body, ApiKeysClient keys, TimeProvider time, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(body.UserId))
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("user_id is needed: the user whose conversations the key opens.", "user_id"));
        }

        if (body.ExpiresAt <= time.GetUtcNow())
        {
            throw new OpenAIErrorException(OpenAIError.InvalidRequest("expires_at lies in the past.", "expires_at"));
        }

        var text = ApiKeyText.Create();
        ApiKeyText.TryGetId(text, out var id);
        var request = new CreateApiKeyRequest
        {
            KeyId = id,
            UserId = body.UserId,
            Name = body.Name ?? "",
            Hash = ByteString.CopyFrom(ApiKeyText.Hash(text)),
            ExpiresAt = body.ExpiresAt is { } expires ? Timestamp.FromDateTimeOffset(expires) : null,
            TrustedProxy = body.TrustedProxy,
        };
        var key = await keys.CreateAsync(request, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(KeyResource.From(key, text), IdentityJsonContext.Wire.KeyResource, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<IResult> ListAsync(ApiKeysClient keys, TimeProvider time, CancellationToken cancellationToken, string? user_id = null)
    {
        var reply = await keys.ListAsync(new ListApiKeysRequest { UserId = user_id ?? "" }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.Json(new KeyList([.. reply.Keys.Select(key => KeyResource.From(key))]), IdentityJsonContext.Wire.KeyList);
    }

    private static async Task<IResult> RevokeAsync(string key_id, ApiKeysClient keys, TimeProvider time, CancellationToken cancellationToken)
    {
        await keys.RevokeAsync(new RevokeApiKeyRequest { KeyId = key_id }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        return Results.NoContent();
    }
}

internal sealed record CreateKeyBody(
    [property: JsonPropertyName("user_id"), Description("The user whose conversations the key opens; created when unknown.")] string? UserId,
    [property: JsonPropertyName("name"), Description("What the key is for, for people.")] string? Name,
    [property: JsonPropertyName("expires_at"), Description("When the key stops working; never when absent.")] DateTimeOffset? ExpiresAt,
    [property: JsonPropertyName("trusted_proxy"), Description("The key belongs to a UI that may speak for its users through identity headers.")] bool TrustedProxy = false);

internal sealed record KeyList([property: JsonPropertyName("keys")] IReadOnlyList<KeyResource> Keys);

internal sealed record KeyResource
{
    [JsonPropertyName("key_id")]
    public required string KeyId { get; init; }

    /// <summary>The key itself; only in the answer that made it.</summary>
    [JsonPropertyName("key"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Key { get; init; }

    [JsonPropertyName("user_id")]
    public required string UserId { get; init; }

    [JsonPropertyName("name")]
    public required string Name { get; init; }

    [JsonPropertyName("trusted_proxy")]
    public required bool TrustedProxy { get; init; }

    [JsonPropertyName("created_at")]
    public required DateTime CreatedAt { get; init; }

    [JsonPropertyName("expires_at")]
    public DateTime? ExpiresAt { get; init; }

    [JsonPropertyName("revoked_at")]
    public DateTime? RevokedAt { get; init; }

    public static KeyResource From(ApiKey key, string? text = null) => new()
    {
        KeyId = key.KeyId,
        Key = text,
        UserId = key.UserId,
        Name = key.Name,
        TrustedProxy = key.TrustedProxy,
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
