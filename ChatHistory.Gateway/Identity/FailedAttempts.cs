using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// Counts wrong keys by the address that they came from, and says from when on that is too many (<c>Limits:WrongKeysPerMinute</c>). A right key is
/// never asked about it: whoever shares an address with a guesser is not locked out.
/// </summary>
/// <remarks>A fixed table: an address has the slot of its hash, which is another one in each process. Two that share a slot share the count.</remarks>
internal sealed class FailedAttempts(IOptions<LimitsOptions> limits, TimeProvider time)
{
    private const int Slots = 8192;

    private readonly Slot[] _slots = new Slot[Slots];

    /// <summary>Counts one more. How long the address should wait, when it was too many.</summary>
    public TimeSpan? Add(IPAddress? address)
    {
        var perMinute = limits.Value.WrongKeysPerMinute;
        if (address is null || perMinute == 0)
        {
            return null;
        }

        var now = time.GetTimestamp();
        lock (_slots)
        {
            ref var slot = ref _slots[(uint)HashOf(address) % Slots];
            // It empties evenly: so many a minute.
            var left = Math.Max(0, slot.Count - (time.GetElapsedTime(slot.At, now).TotalMinutes * perMinute));
            slot = new Slot(Math.Min(left + 1, 2.0 * perMinute), now);
            return slot.Count <= perMinute ? null : TimeSpan.FromMinutes((slot.Count - perMinute) / perMinute);
        }
    }

    private static int HashOf(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        address.TryWriteBytes(bytes, out var length);
        var hash = new HashCode();
        // Of IPv6 everybody has a whole /64.
        hash.AddBytes(bytes[..(address.AddressFamily == AddressFamily.InterNetworkV6 ? 8 : length)]);
        return hash.ToHashCode();
    }

    private readonly record struct Slot(double Count, long At);
}
