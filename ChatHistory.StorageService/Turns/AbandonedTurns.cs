using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;

namespace ChatHistory.StorageService.Turns;

/// <summary>Turns in progress that nobody writes to any more: their gateway was killed, or this service was.</summary>
internal static class AbandonedTurns
{
    private const int PerTransaction = 200;

    /// <summary>Marks turns in progress as interrupted; their partial answers stay.</summary>
    /// <param name="isAbandoned">Asked on the writer's thread, by the answer's id; null for all.</param>
    /// <returns>How many.</returns>
    public static async Task<int> InterruptAsync(DatabaseWriter writer, Func<string, bool>? isAbandoned, CancellationToken cancellationToken)
    {
        var all = 0;
        while (true)
        {
            var command = new InterruptCommand(isAbandoned);
            await writer.RunAsync(command, cancellationToken);
            all += command.Interrupted;
            if (command.Interrupted < PerTransaction)
            {
                return all;
            }
        }
    }

    private sealed class InterruptCommand(Func<string, bool>? isAbandoned) : WriteCommand
    {
        private const string Select = "SELECT session_id, message_id FROM messages WHERE status = 'in_progress' ORDER BY updated_at";

        private const string Interrupt = "UPDATE messages SET status = 'interrupted', updated_at = ?2 WHERE message_id = ?1";

        public int Interrupted { get; private set; }

        public override bool MayUseBallast => true;

        public override void Execute(PreparedConnection database, string now)
        {
            var abandoned = new List<(string SessionId, string MessageId)>();
            using (var reader = database.Query(Select))
            {
                while (abandoned.Count < PerTransaction && reader.Read())
                {
                    var messageId = reader.GetString(1);
                    if (isAbandoned?.Invoke(messageId) != false)
                    {
                        abandoned.Add((reader.GetString(0), messageId));
                    }
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
