namespace ChatHistory.VllmSimulator.Generation;

/// <summary>FNV-1a, 64 bits: the same number on every machine and in every run, unlike <see cref="HashCode"/>.</summary>
internal static class Fnv
{
    public const ulong Start = 14_695_981_039_346_656_037;

    private const ulong Prime = 1_099_511_628_211;

    public static ulong Append(ulong hash, ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            hash = (hash ^ value) * Prime;
        }

        return hash;
    }

    public static ulong Append(ulong hash, long number)
    {
        for (var shift = 0; shift < 64; shift += 8)
        {
            hash = (hash ^ (byte)(number >> shift)) * Prime;
        }

        return hash;
    }
}
