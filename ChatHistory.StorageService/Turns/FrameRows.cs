using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Turns;

/// <summary>Frames of a streamed answer, as the writer adds them.</summary>
internal static class FrameRows
{
    private const string AddFrames = "INSERT INTO frames (message_id, first, count, data) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

    /// <summary>Sent again, the same frames change nothing.</summary>
    public static void Insert(PreparedConnection database, string messageId, Frames? frames)
    {
        if (frames is { Count: > 0 })
        {
            database.Execute(AddFrames, messageId, frames.First, frames.Count, frames.Data.ToByteArray());
        }
    }
}
