using System.Text.Json.Serialization;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.Gateway.RateLimits;

/// <summary>
/// How much one key may. Of a key: null is the default of the configuration (<c>Limits:PerKey</c>), 0 is as much as it wants. In force
/// (<see cref="Over"/>): null is as much as it wants.
/// </summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record KeyLimits
{
    public static KeyLimits None { get; } = new();

    /// <summary>Requests of every kind.</summary>
    [JsonPropertyName("requests_per_minute")]
    public long? RequestsPerMinute { get; init; }

    /// <summary>Tokens of prompts and answers.</summary>
    [JsonPropertyName("tokens_per_minute")]
    public long? TokensPerMinute { get; init; }

    /// <summary>Answers that are made at the same time.</summary>
    [JsonPropertyName("concurrent_turns")]
    public long? ConcurrentTurns { get; init; }

    /// <summary>Tokens of a UTC day.</summary>
    [JsonPropertyName("tokens_per_day")]
    public long? TokensPerDay { get; init; }

    /// <summary>Tokens of a UTC month.</summary>
    [JsonPropertyName("tokens_per_month")]
    public long? TokensPerMonth { get; init; }

    /// <summary>Bytes that are stored of the key's owner.</summary>
    [JsonPropertyName("stored_bytes")]
    public long? StoredBytes { get; init; }

    [JsonIgnore]
    public bool HasQuota => TokensPerDay is not null || TokensPerMonth is not null;

    /// <summary>Each with its name on the wire.</summary>
    [JsonIgnore]
    public IEnumerable<(string Name, long? Value)> All =>
    [
        ("requests_per_minute", RequestsPerMinute), ("tokens_per_minute", TokensPerMinute), ("concurrent_turns", ConcurrentTurns),
        ("tokens_per_day", TokensPerDay), ("tokens_per_month", TokensPerMonth), ("stored_bytes", StoredBytes),
    ];

    /// <summary>What is in force for a key with these limits.</summary>
    public KeyLimits Over(KeyLimits defaults)
    {
        static long? InForce(long? own, long? byDefault) => (own ?? byDefault) is > 0 and var limit ? limit : null;
        return new KeyLimits
        {
            RequestsPerMinute = InForce(RequestsPerMinute, defaults.RequestsPerMinute),
            TokensPerMinute = InForce(TokensPerMinute, defaults.TokensPerMinute),
            ConcurrentTurns = InForce(ConcurrentTurns, defaults.ConcurrentTurns),
            TokensPerDay = InForce(TokensPerDay, defaults.TokensPerDay),
            TokensPerMonth = InForce(TokensPerMonth, defaults.TokensPerMonth),
            StoredBytes = InForce(StoredBytes, defaults.StoredBytes),
        };
    }

    /// <summary>The members that a change names replace these.</summary>
    public KeyLimits With(IReadOnlyDictionary<string, long?> changes) => new()
    {
        RequestsPerMinute = changes.TryGetValue("requests_per_minute", out var requests) ? requests : RequestsPerMinute,
        TokensPerMinute = changes.TryGetValue("tokens_per_minute", out var tokens) ? tokens : TokensPerMinute,
        ConcurrentTurns = changes.TryGetValue("concurrent_turns", out var turns) ? turns : ConcurrentTurns,
        TokensPerDay = changes.TryGetValue("tokens_per_day", out var day) ? day : TokensPerDay,
        TokensPerMonth = changes.TryGetValue("tokens_per_month", out var month) ? month : TokensPerMonth,
        StoredBytes = changes.TryGetValue("stored_bytes", out var bytes) ? bytes : StoredBytes,
    };

    public static KeyLimits From(V1.KeyLimits? limits) => limits is null ? None : new()
    {
        RequestsPerMinute = limits.HasRequestsPerMinute ? limits.RequestsPerMinute : null,
        TokensPerMinute = limits.HasTokensPerMinute ? limits.TokensPerMinute : null,
        ConcurrentTurns = limits.HasConcurrentTurns ? limits.ConcurrentTurns : null,
        TokensPerDay = limits.HasTokensPerDay ? limits.TokensPerDay : null,
        TokensPerMonth = limits.HasTokensPerMonth ? limits.TokensPerMonth : null,
        StoredBytes = limits.HasStoredBytes ? limits.StoredBytes : null,
    };

    public V1.KeyLimits ToContract()
    {
        // Optional fields of protobuf cannot be set to null: absent is absent.
        var limits = new V1.KeyLimits();
        static void Set(long? value, Action<long> set)
        {
            if (value is { } number)
            {
                set(number);
            }
        }

        Set(RequestsPerMinute, value => limits.RequestsPerMinute = value);
        Set(TokensPerMinute, value => limits.TokensPerMinute = value);
        Set(ConcurrentTurns, value => limits.ConcurrentTurns = value);
        Set(TokensPerDay, value => limits.TokensPerDay = value);
        Set(TokensPerMonth, value => limits.TokensPerMonth = value);
        Set(StoredBytes, value => limits.StoredBytes = value);
        return limits;
    }
}
