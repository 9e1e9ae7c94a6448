using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Turns;

/// <summary>Frames of a streamed answer, as the writer adds them.</summary>
internal static class FrameRows
{
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
}
