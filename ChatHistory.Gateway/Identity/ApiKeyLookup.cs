using System.Collections.Concurrent;
using System.Security.Cryptography;
using ChatHistory.Gateway.Storage;
using ChatHistory.Storage.V1;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Identity;

/// <summary>Finds keys in storage, and remembers each for a second: a revoked key stops working within that time.</summary>
internal sealed class ApiKeyLookup(ApiKeysClient keys, IOptions<IdentityOptions> identity, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan s_remembered = TimeSpan.FromSeconds(1);
    private const int MaxRemembered = 10_000;

    private readonly ConcurrentDictionary<string, Remembered> _remembered = new();
    private readonly SemaphoreSlim _oneQuestion = new(1);
    private AnyKey? _anyKey;

    /// <summary>The key when it is valid now, else null.</summary>
    /// <param name="hash">Of the whole key (<see cref="ApiKeyText.Hash"/>).</param>
    public async Task<ApiKey?> FindValidAsync(string keyId, byte[] hash, CancellationToken cancellationToken)
    {
        var key = await FindAsync(keyId, cancellationToken);
        var now = time.GetUtcNow();
        return key is not null
            && CryptographicOperations.FixedTimeEquals(hash, key.Hash.Span)
            && key.RevokedAt is null
            && (key.ExpiresAt is null || now < key.ExpiresAt.ToDateTimeOffset())
                ? key
                : null;
    }

    /// <summary>
    /// True when requests need no key: neither an admin key nor an issuer of tokens is configured, and no API key was ever made. The last condition
    /// keeps a gateway closed whose configuration lost its admin key.
    /// </summary>
    /// <remarks>
    /// Another gateway, or a restored backup, may bring the first key: so storage is asked again each second. While it cannot be asked, what it said
    /// last holds, because without it there is nothing here that anybody could read.
    /// </remarks>
    public async ValueTask<bool> PersonalModeAsync(CancellationToken cancellationToken)
    {
        if (identity.Value.HasAdminKey || identity.Value.Oidc.IsOn)
        {
            return false;
        }

        if (_anyKey is { } known && time.GetElapsedTime(known.At) < s_remembered)
        {
            return !known.WasMade;
        }

        await _oneQuestion.WaitAsync(cancellationToken);
        try
        {
            if (_anyKey is not { } meanwhile || time.GetElapsedTime(meanwhile.At) >= s_remembered)
            {
                _anyKey = new AnyKey(await AnyWasMadeAsync(cancellationToken), time.GetTimestamp());
            }

            return !_anyKey.WasMade;
        }
        finally
        {
            _oneQuestion.Release();
        }
    }

    public void Dispose() => _oneQuestion.Dispose();

    private async Task<bool> AnyWasMadeAsync(CancellationToken cancellationToken)
    {
        try
        {
            return (await keys.AnyWasMadeAsync(new AnyKeyWasMadeRequest(), deadline: time.Deadline(), cancellationToken: cancellationToken)).Any;
        }
        catch (RpcException exception) when (_anyKey is not null && exception.StatusCode is (StatusCode.Unavailable or StatusCode.DeadlineExceeded))
        {
            return _anyKey!.WasMade;
        }
    }

    private async ValueTask<ApiKey?> FindAsync(string keyId, CancellationToken cancellationToken)
    {
        if (_remembered.TryGetValue(keyId, out var known) && time.GetElapsedTime(known.At) < s_remembered)
        {
            return known.Key;
        }

        var found = await AskAsync(keyId, cancellationToken);
        if (_remembered.Count >= MaxRemembered)
        {
            // Probing with invented ids must not grow the memory; the real keys come back with their next request.
            _remembered.Clear();
        }

        _remembered[keyId] = new Remembered(found, time.GetTimestamp());
        return found;
    }

    private async Task<ApiKey?> AskAsync(string keyId, CancellationToken cancellationToken)
    {
        try
        {
            return await keys.FindAsync(new FindApiKeyRequest { KeyId = keyId }, deadline: time.Deadline(), cancellationToken: cancellationToken);
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            return null;
        }
    }

    private sealed record AnyKey(bool WasMade, long At);

    private sealed record Remembered(ApiKey? Key, long At);
}
