using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ChatHistory.StorageService.Database.Migrations
{
    /// <inheritdoc />
    public partial class KeysAndQuotas : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // By hand: EF rebuilds the table outside of the migration's transaction, where a kill could leave half of it.
            migrationBuilder.Sql(
                """
                CREATE TABLE new_api_keys (
                    key_id TEXT NOT NULL CONSTRAINT PK_api_keys PRIMARY KEY,
                    user_id TEXT NULL,
                    name TEXT NOT NULL,
                    hash BLOB NOT NULL,
                    created_at DATETIME NULL DEFAULT (CURRENT_TIMESTAMP),
                    expires_at DATETIME NULL,
                    revoked_at DATETIME NULL,
                    role TEXT NOT NULL DEFAULT 'user',
                    requests_per_minute INTEGER NULL,
                    tokens_per_minute INTEGER NULL,
                    concurrent_turns INTEGER NULL,
                    tokens_per_day INTEGER NULL,
                    tokens_per_month INTEGER NULL,
                    stored_bytes INTEGER NULL,
                    CONSTRAINT ck_api_keys_role CHECK (role IN ('user', 'admin', 'trusted_proxy')),
                    CONSTRAINT FK_api_keys_users_user_id FOREIGN KEY (user_id) REFERENCES users (user_id)
                )
                """);
            migrationBuilder.Sql(
                """
                INSERT INTO new_api_keys (key_id, user_id, name, hash, created_at, expires_at, revoked_at, role)
                SELECT key_id, user_id, name, hash, created_at, expires_at, revoked_at, CASE WHEN trusted_proxy THEN 'trusted_proxy' ELSE 'user' END
                FROM api_keys
                """);
            migrationBuilder.Sql("DROP TABLE api_keys");
            migrationBuilder.Sql("ALTER TABLE new_api_keys RENAME TO api_keys");
            migrationBuilder.Sql("CREATE INDEX idx_api_keys_user ON api_keys (user_id, created_at, key_id)");

            migrationBuilder.CreateTable(
                name: "usage",
                columns: table => new
                {
                    subject = table.Column<string>(type: "TEXT", nullable: false),
                    day = table.Column<string>(type: "TEXT", nullable: false),
                    source = table.Column<string>(type: "TEXT", nullable: false),
                    tokens = table.Column<long>(type: "INTEGER", nullable: false),
                    requests = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_usage", x => new { x.subject, x.day, x.source });
                });

            migrationBuilder.CreateIndex(
                name: "idx_usage_day",
                table: "usage",
                column: "day");

            migrationBuilder.AddColumn<long>(
                name: "stored_bytes",
                table: "users",
                type: "INTEGER",
                nullable: false,
                defaultValue: 0L)
                .Annotation("Relational:ColumnOrder", 5);

            migrationBuilder.Sql(
                $"""
                UPDATE users SET stored_bytes =
                    coalesce((SELECT sum({SizeOfSession("s")}) FROM sessions s WHERE s.user_id = users.user_id), 0)
                    + coalesce((SELECT sum({SizeOfMessage("m")}) FROM sessions s JOIN messages m ON m.session_id = s.session_id WHERE s.user_id = users.user_id), 0)
                """);
            AddTriggers(migrationBuilder);
        }

        /// <summary>
        /// They keep users.stored_bytes, whoever writes. A message's owner is its session's. When a session is deleted its messages go after it (ON
        /// DELETE CASCADE) and find no owner any more: so theirs is taken off together with the session's.
        /// </summary>
        private static void AddTriggers(MigrationBuilder migrationBuilder)
        {
            const string OwnerOfNew = "user_id = (SELECT user_id FROM sessions WHERE session_id = NEW.session_id)";
            const string OwnerOfOld = "user_id = (SELECT user_id FROM sessions WHERE session_id = OLD.session_id)";
            var (newMessage, oldMessage) = (SizeOfMessage("NEW"), SizeOfMessage("OLD"));
            var (newSession, oldSession) = (SizeOfSession("NEW"), SizeOfSession("OLD"));
            var wholeOldSession = $"{oldSession} + coalesce((SELECT sum({SizeOfMessage("m")}) FROM messages m WHERE m.session_id = OLD.session_id), 0)";

            migrationBuilder.Sql(
                $"""
                CREATE TRIGGER messages_stored AFTER INSERT ON messages WHEN {newMessage} > 0
                BEGIN
                    UPDATE users SET stored_bytes = stored_bytes + ({newMessage}) WHERE {OwnerOfNew};
                END
                """);
            migrationBuilder.Sql(
                $"""
                CREATE TRIGGER messages_resized AFTER UPDATE OF content, content_parts, tool_calls, reasoning, extra, metadata, request ON messages
                WHEN {newMessage} <> {oldMessage}
                BEGIN
                    UPDATE users SET stored_bytes = stored_bytes + ({newMessage}) - ({oldMessage}) WHERE {OwnerOfNew};
                END
                """);
            migrationBuilder.Sql(
                $"""
                CREATE TRIGGER messages_moved AFTER UPDATE OF session_id ON messages WHEN NEW.session_id <> OLD.session_id
                BEGIN
                    UPDATE users SET stored_bytes = stored_bytes - ({oldMessage}) WHERE {OwnerOfOld};
                    UPDATE users SET stored_bytes = stored_bytes + ({oldMessage}) WHERE {OwnerOfNew};
                END
                """);
            migrationBuilder.Sql(
                $"""
                CREATE TRIGGER messages_unstored AFTER DELETE ON messages WHEN {oldMessage} > 0
                BEGIN
                    UPDATE users SET stored_bytes = stored_bytes - ({oldMessage}) WHERE {OwnerOfOld};
                END
                """);
            migrationBuilder.Sql(
                $"""
                CREATE TRIGGER sessions_stored AFTER INSERT ON sessions
                BEGIN
                    UPDATE users SET stored_bytes = stored_bytes + ({newSession}) WHERE user_id = NEW.user_id;
                END
                """);
            migrationBuilder.Sql(
                $"""
                CREATE TRIGGER sessions_resized AFTER UPDATE OF title, metadata ON sessions WHEN {newSession} <> {oldSession}
                BEGIN
                    UPDATE users SET stored_bytes = stored_bytes + ({newSession}) - ({oldSession}) WHERE user_id = NEW.user_id;
                END
                """);
            migrationBuilder.Sql(
                $"""
                CREATE TRIGGER sessions_given_away_with_bytes AFTER UPDATE OF user_id ON sessions WHEN NEW.user_id <> OLD.user_id
                BEGIN
                    UPDATE users SET stored_bytes = stored_bytes - ({wholeOldSession}) WHERE user_id = OLD.user_id;
                    UPDATE users SET stored_bytes = stored_bytes + ({wholeOldSession}) WHERE user_id = NEW.user_id;
                END
                """);
            migrationBuilder.Sql(
                $"""
                CREATE TRIGGER sessions_unstored BEFORE DELETE ON sessions
                BEGIN
                    UPDATE users SET stored_bytes = stored_bytes - ({wholeOldSession}) WHERE user_id = OLD.user_id;
                END
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            foreach (var trigger in new[]
            {
                "messages_stored", "messages_resized", "messages_moved", "messages_unstored",
                "sessions_stored", "sessions_resized", "sessions_given_away_with_bytes", "sessions_unstored",
            })
            {
                migrationBuilder.Sql($"DROP TRIGGER {trigger}");
            }

            migrationBuilder.DropTable(
                name: "usage");

            migrationBuilder.DropColumn(
                name: "stored_bytes",
                table: "users");

            migrationBuilder.Sql(
                """
                CREATE TABLE old_api_keys (
                    key_id TEXT NOT NULL CONSTRAINT PK_api_keys PRIMARY KEY,
                    user_id TEXT NOT NULL,
                    name TEXT NOT NULL,
                    hash BLOB NOT NULL,
                    created_at DATETIME NULL DEFAULT (CURRENT_TIMESTAMP),
                    expires_at DATETIME NULL,
                    revoked_at DATETIME NULL,
                    trusted_proxy BOOLEAN NOT NULL,
                    CONSTRAINT FK_api_keys_users_user_id FOREIGN KEY (user_id) REFERENCES users (user_id)
                )
                """);
            migrationBuilder.Sql(
                """
                INSERT INTO old_api_keys
                SELECT key_id, user_id, name, hash, created_at, expires_at, revoked_at, role = 'trusted_proxy' FROM api_keys WHERE user_id IS NOT NULL
                """);
            migrationBuilder.Sql("DROP TABLE api_keys");
            migrationBuilder.Sql("ALTER TABLE old_api_keys RENAME TO api_keys");
            migrationBuilder.Sql("CREATE INDEX idx_api_keys_user ON api_keys (user_id, created_at, key_id)");
        }

        // octet_length says the same, but other tools' SQLite may be older than it (3.43), and these triggers run in them too.
        private static string SizeOfMessage(string row) =>
            "(" + string.Join(" + ", new[] { "content", "content_parts", "tool_calls", "reasoning", "extra", "metadata", "request" }.Select(column => $"coalesce(length(CAST({row}.{column} AS BLOB)), 0)")) + ")";

        private static string SizeOfSession(string row) => $"(coalesce(length(CAST({row}.title AS BLOB)), 0) + coalesce(length(CAST({row}.metadata AS BLOB)), 0))";
    }
}
