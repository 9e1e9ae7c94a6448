using System.Security.Cryptography;
using System.Text;
using ChatHistory.Storage.V1;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Upstream;

/// <summary>
/// vLLM keeps what it has computed of a prompt's beginning for whoever begins the same way. So how soon an answer begins tells whether somebody has asked that before.
/// With <c>Vllm:CacheSaltPerOwner</c> each owner has a cache of its own (vLLM's <c>cache_salt</c>), and shares none of it: nor the work for a common system prompt.
/// </summary>
internal sealed class CacheSalt(IOptions<VllmOptions> options)
{
    // Nobody can work out another owner's salt and send it. It is this process's: another gateway, or a restart, has another cache.
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(HMACSHA256.HashSizeInBytes);

    /// <summary>The salt for what the scope's owner asks; null: none, as in personal mode, where there is one trust domain.</summary>
    public string? Of(Scope scope) => options.Value.CacheSaltPerOwner && !scope.Everyone
        ? Convert.ToBase64String(HMACSHA256.HashData(_secret, Encoding.UTF8.GetBytes(scope.Owner)))
        : null;
}
