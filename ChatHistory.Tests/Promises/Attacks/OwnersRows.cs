extern alias storage;

using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;

namespace ChatHistory.Tests.Promises.Attacks;

/// <summary>Everything that the database has of one owner, as one hash: the same before and after, or somebody has touched it.</summary>
internal static class OwnersRows
{
    private static readonly string[] s_queries =
    [
        // Not stored_bytes: it grows with the answer that is under way.
        "SELECT user_id, username, created_at, last_active FROM users WHERE user_id = $owner",
        "SELECT * FROM api_keys WHERE user_id = $owner ORDER BY key_id",
        "SELECT * FROM sessions WHERE user_id = $owner AND session_id <> $except ORDER BY session_id",
        "SELECT m.* FROM messages m JOIN sessions s ON s.session_id = m.session_id WHERE s.user_id = $owner AND s.session_id <> $except ORDER BY m.message_id",
        "SELECT f.* FROM frames f JOIN messages m ON m.message_id = f.message_id JOIN sessions s ON s.session_id = m.session_id WHERE s.user_id = $owner AND s.session_id <> $except ORDER BY f.message_id, f.first",
        "SELECT * FROM idempotency_keys WHERE user_id = $owner ORDER BY 1, 2",
    ];

    /// <param name="exceptSession">One that changes by itself, because it is being answered.</param>
    public static (string Hash, int Rows) Read(string databasePath, string owner, string exceptSession)
    {
        using var connection = new SqliteConnection($"Data Source={databasePath};Mode=ReadOnly;Pooling=False");
        connection.Open();
        var (text, rows) = (new StringBuilder(), 0);
        foreach (var query in s_queries)
        {
            using var command = connection.CreateCommand();
            command.CommandText = query;
            command.Parameters.AddWithValue("$owner", owner);
            if (query.Contains("$except", StringComparison.Ordinal))
            {
                command.Parameters.AddWithValue("$except", exceptSession);
            }

            using var reader = command.ExecuteReader();
            while (reader.Read())
            {
                rows++;
                for (var i = 0; i < reader.FieldCount; i++)
                {
                    text.Append(reader.GetName(i)).Append('=').Append(reader.GetValue(i) is byte[] bytes ? Convert.ToHexString(bytes) : reader.GetValue(i)).Append('\n');
                }
            }
        }

        return (Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()))), rows);
    }
}
