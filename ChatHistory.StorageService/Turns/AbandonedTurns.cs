using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;

namespace ChatHistory.StorageService.Turns;

/// <summary>Turns in progress that nobody writes to any more: their gateway was killed, or this service was.</summary>
internal static class AbandonedTurns
{
    private const int PerTransaction = 200;

    /// <summary>Marks turns as interrupted whose last write is older than <paramref name="before"/>; their partial answers stay.</summary>
    /// <returns>How many.</returns>
    public static async Task<int> InterruptAsync(DatabaseWriter writer, string before, CancellationToken cancellationToken)
    {
        var all = 0;
        while (true)
        {
            var command = new InterruptCommand(before);
            await writer.RunAsync(command, cancellationToken);
            all += command.Interrupted;
            if (command.Interrupted < PerTransaction)
            {
                return all;
            }
        }
    }

    private sealed class InterruptCommand(string before) : WriteCommand
    {
        private const string Select =
            "SELECT session_id, message_id FROM messages WHERE status = 'in_progress' AND updated_at < ?1 ORDER BY updated_at LIMIT ?2";

        private const string Interrupt = "UPDATE messages SET status = 'interrupted', updated_at = ?2 WHERE message_id = ?1";

        public int Interrupted { get; private set; }

        public override void Execute(PreparedConnection database, string now)
        {
            var abandoned = new List<(string SessionId, string MessageId)>();
            using (var reader = database.Query(Select, before, PerTransaction))
            {
                while (reader.Read())
                {
                    abandoned.Add((reader.GetString(0), reader.GetString(1)));
                }
            }

            foreach (var (sessionId, messageId) in abandoned)
            {
                database.Execute(Interrupt, messageId, now);
                if (OpenTurn.Find(database, sessionId, messageId) is { Answer: not null } turn)
                {
                    turn.MoveHead(database, turn.Answer.HasContent);
                }
            }

            Interrupted = abandoned.Count;
        }
    }
}
