using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// An API key as text: <c>chk_</c>, 8 characters that name the key (public), <c>_</c>, 40 random characters (238 bits), and 6 characters of
/// checksum. The prefix lets secret scanners find leaked keys; the checksum rejects typing errors and probes before any look-up.
/// </summary>
internal static class ApiKeyText
{
    public const string Prefix = "chk_";
    private const int IdLength = 8;
    private const int SecretLength = 40;
    private const int ChecksumLength = 6;
    private const int Length = 4 + IdLength + 1 + SecretLength + ChecksumLength;
    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private static readonly SearchValues<char> s_alphabet = SearchValues.Create(Alphabet);

    public static string Create()
    {
        var body = $"{Prefix}{RandomNumberGenerator.GetString(Alphabet, IdLength)}_{RandomNumberGenerator.GetString(Alphabet, SecretLength)}";
        return body + Checksum(body);
    }

    /// <summary>The key's public id, when the text has the form and the checksum of a key.</summary>
    public static bool TryGetId(string text, out string id)
    {
        id = "";
        if (text.Length != Length
            || !text.StartsWith(Prefix, StringComparison.Ordinal)
            || text[Prefix.Length + IdLength] != '_'
            || text.AsSpan(Prefix.Length, IdLength).ContainsAnyExcept(s_alphabet)
            || text.AsSpan(Prefix.Length + IdLength + 1).ContainsAnyExcept(s_alphabet)
            || Checksum(text[..^ChecksumLength]) != text[^ChecksumLength..])
        {
            return false;
        }

        id = text.Substring(Prefix.Length, IdLength);
        return true;
    }

    /// <summary>What is stored: SHA-256 of the whole key. The key has 238 random bits, so a slow hash would add nothing.</summary>
    public static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    // The first bytes of a SHA-256 in the key's own alphabet: no secret, only a check of the text.
    private static string Checksum(string body) =>
        string.Create(ChecksumLength, Hash(body), static (characters, hash) =>
        {
            for (var i = 0; i < characters.Length; i++)
            {
                characters[i] = Alphabet[hash[i] % Alphabet.Length];
            }
        });
}
