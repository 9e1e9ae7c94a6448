using SQLitePCL;

namespace ChatHistory.Bench.Storage;

/// <summary>The row of one message as raw SQLite gets it: the columns of the service's table, without its other tables.</summary>
internal readonly record struct RawMessage(string MessageId, string SessionId, string UserId, string? ParentId, int Seq, string Role, string Content, byte[] Hash)
{
    private const string Columns =
        """
        message_id, session_id, role, content, model, tokens, created_at, parent_id, seq, status, prefix_hash,
        finish_reason, prompt_tokens, ttft_ms, duration_ms, completion_id, request_id, trace_id, updated_at, user_id
        """;

    /// <summary>Where the service would put it: parameter 21 is the session's rowid, and parameter 9 its seq.</summary>
    public const string InsertInPlace =
        $"INSERT INTO messages (rowid, {Columns}) VALUES ((?21 << 20) + ?9, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";

    public const string Insert = $"INSERT INTO messages ({Columns}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";

    /// <summary>The table alone: its rows, and the index of its primary key.</summary>
    public const string Create =
        """
        CREATE TABLE IF NOT EXISTS messages (
            message_id TEXT NOT NULL PRIMARY KEY, session_id TEXT NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL, model TEXT, tokens INTEGER, created_at TEXT,
            parent_id TEXT, seq INTEGER, status TEXT NOT NULL, content_parts TEXT, tool_calls TEXT, tool_call_id TEXT, name TEXT, reasoning TEXT, extra TEXT,
            prefix_hash BLOB, finish_reason TEXT, prompt_tokens INTEGER, ttft_ms REAL, duration_ms REAL, completion_id TEXT, request_id TEXT, trace_id TEXT,
            error TEXT, updated_at TEXT, metadata TEXT, omitted INTEGER, request TEXT, user_id TEXT)
        """;

    public bool IsAnswer => Role == "assistant";

    public void Bind(sqlite3_stmt insert, string now)
    {
        raw.sqlite3_bind_text(insert, 1, MessageId);
        raw.sqlite3_bind_text(insert, 2, SessionId);
        raw.sqlite3_bind_text(insert, 3, Role);
        raw.sqlite3_bind_text(insert, 4, Content);
        raw.sqlite3_bind_int(insert, 6, IsAnswer ? 200 : 0);
        raw.sqlite3_bind_text(insert, 7, now);
        BindOrNull(insert, 8, ParentId);
        raw.sqlite3_bind_int(insert, 9, Seq);
        raw.sqlite3_bind_text(insert, 10, "completed");
        raw.sqlite3_bind_blob(insert, 11, Hash);
        raw.sqlite3_bind_text(insert, 17, SessionId);
        raw.sqlite3_bind_text(insert, 18, "0af7651916cd43dd8448eb211c80319c");
        raw.sqlite3_bind_text(insert, 19, now);
        BindOrNull(insert, 5, IsAnswer ? Texts.Model : null);
        BindOrNull(insert, 12, IsAnswer ? "stop" : null);
        BindOrNull(insert, 16, IsAnswer ? "chatcmpl-" + MessageId : null);
        BindOrNull(insert, 20, IsAnswer ? UserId : null);
        if (IsAnswer)
        {
            raw.sqlite3_bind_int(insert, 13, 40);
            raw.sqlite3_bind_double(insert, 14, 1.5);
            raw.sqlite3_bind_double(insert, 15, 2.5);
        }
        else
        {
            raw.sqlite3_bind_null(insert, 13);
            raw.sqlite3_bind_null(insert, 14);
            raw.sqlite3_bind_null(insert, 15);
        }
    }

    private static void BindOrNull(sqlite3_stmt statement, int index, string? text)
    {
        if (text is null)
        {
            raw.sqlite3_bind_null(statement, index);
        }
        else
        {
            raw.sqlite3_bind_text(statement, index, text);
        }
    }
}
