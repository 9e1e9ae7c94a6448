using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ChatHistory.Bench.Storage;

/// <summary>What messages say: the same for the service and for raw SQLite. A question of about 120 bytes, an answer of about 1 KB.</summary>
internal static class Texts
{
    public const string Model = "bench/model";

    private static readonly string s_question = Repeat("Tell me again why the sky is blue, and at sunset red. ", 112);

    private static readonly string s_answer = Repeat("Short waves are scattered more than long ones, so the light that comes from all sides is blue. ", 1008);

    public static string Question(long number) => s_question + number.ToString("x16", CultureInfo.InvariantCulture);

    public static string Answer(long number) => s_answer + number.ToString("x16", CultureInfo.InvariantCulture);

    public static string NewId() => Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString();

    /// <summary>As the gateway gives one to each message; that it is another one than the gateway's does not matter to storage.</summary>
    public static byte[] Digest(string role, string content) => SHA256.HashData(Encoding.UTF8.GetBytes($"{role}\n{content}"));

    /// <summary>The chain over a path, as storage.proto says: SHA-256 of the hash before and the digest.</summary>
    public static byte[] Chain(byte[] before, byte[] digest) => SHA256.HashData([.. before, .. digest]);

    private static string Repeat(string text, int length) => string.Concat(Enumerable.Repeat(text, (length / text.Length) + 1))[..length];
}
