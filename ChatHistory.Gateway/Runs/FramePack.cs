using System.IO.Compression;
using ChatHistory.Storage.V1;
using Google.Protobuf;

namespace ChatHistory.Gateway.Runs;

/// <summary>
/// Frames as they are stored: deflated, because chunk after chunk repeats the same members. Before that, each frame is its length as a
/// 7-bit encoded integer, then its bytes.
/// </summary>
internal static class FramePack
{
    /// <param name="first">Number of the first one.</param>
    public static Frames? Pack(int first, IReadOnlyList<byte[]> frames)
    {
        if (frames.Count == 0)
        {
            return null;
        }

        using var packed = new MemoryStream();
        using (var deflate = new DeflateStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        using (var writer = new BinaryWriter(deflate))
        {
            foreach (var frame in frames)
            {
                writer.Write7BitEncodedInt(frame.Length);
                writer.Write(frame);
            }
        }

        return new Frames { First = first, Count = frames.Count, Data = ByteString.CopyFrom(packed.GetBuffer(), 0, (int)packed.Length) };
    }

    public static IEnumerable<(long Number, byte[] Frame)> Unpack(Frames frames)
    {
        using var packed = new MemoryStream(frames.Data.ToByteArray());
        using var inflate = new DeflateStream(packed, CompressionMode.Decompress);
        using var reader = new BinaryReader(inflate);
        for (var number = frames.First; number < frames.First + frames.Count; number++)
        {
            yield return (number, reader.ReadBytes(reader.Read7BitEncodedInt()));
        }
    }
}
