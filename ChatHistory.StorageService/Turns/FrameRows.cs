using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using Google.Protobuf;

namespace ChatHistory.StorageService.Turns;

/// <summary>Frames of a streamed answer.</summary>
internal static class FrameRows
{
    internal const string SelectAfter = "SELECT first, count, data FROM frames WHERE message_id = ?1 AND first + count > ?2 + 1 ORDER BY first";

    private const string AddFrames =
        """
        INSERT INTO frames (message_id, first, count, data) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (message_id, first) DO UPDATE SET count = excluded.count, data = excluded.data WHERE excluded.count > frames.count
        """;

    /// <summary>Sent again, the same frames change nothing; sent again with more behind them, they take the place of the fewer.</summary>
    public static void Insert(PreparedConnection database, string messageId, Frames? frames)
    {
        if (frames is { Count: > 0 })
        {
            database.Execute(AddFrames, messageId, frames.First, frames.Count, frames.Data.ToByteArray());
        }
    }

    /// <summary>The frames of an answer behind the one with the number <paramref name="after"/>, and what else the first of these rows holds.</summary>
    public static List<Frames> ReadAfter(PreparedConnection database, string messageId, long after, CancellationToken cancellationToken)
    {
        List<Frames> frames = [];
        using var rows = database.Query(SelectAfter, messageId, after);
        while (rows.Read())
        {
            cancellationToken.ThrowIfCancellationRequested();
            frames.Add(new Frames { First = rows.GetInt64(0), Count = rows.GetInt32(1), Data = UnsafeByteOperations.UnsafeWrap(rows.GetBlob(2)) });
        }

        return frames;
    }
}
