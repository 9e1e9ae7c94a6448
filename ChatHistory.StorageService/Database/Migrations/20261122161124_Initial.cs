using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ChatHistory.StorageService.Database.Migrations
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "users",
                columns: table => new
                {
                    user_id = table.Column<string>(type: "TEXT", nullable: false),
                    username = table.Column<string>(type: "TEXT", nullable: true),
                    created_at = table.Column<string>(type: "DATETIME", nullable: true, defaultValueSql: "CURRENT_TIMESTAMP"),
                    last_active = table.Column<string>(type: "DATETIME", nullable: true, defaultValueSql: "CURRENT_TIMESTAMP"),
                    session_count = table.Column<long>(type: "INTEGER", nullable: false, defaultValue: 0L)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_users", x => x.user_id);
                });

            migrationBuilder.CreateTable(
                name: "api_keys",
                columns: table => new
                {
                    key_id = table.Column<string>(type: "TEXT", nullable: false),
                    user_id = table.Column<string>(type: "TEXT", nullable: false),
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    hash = table.Column<byte[]>(type: "BLOB", nullable: false),
                    created_at = table.Column<string>(type: "DATETIME", nullable: true, defaultValueSql: "CURRENT_TIMESTAMP"),
                    expires_at = table.Column<string>(type: "DATETIME", nullable: true),
                    revoked_at = table.Column<string>(type: "DATETIME", nullable: true),
                    trusted_proxy = table.Column<bool>(type: "BOOLEAN", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_api_keys", x => x.key_id);
                    table.ForeignKey(
                        name: "FK_api_keys_users_user_id",
                        column: x => x.user_id,
                        principalTable: "users",
                        principalColumn: "user_id");
                });

            migrationBuilder.CreateTable(
                name: "sessions",
                columns: table => new
                {
                    session_id = table.Column<string>(type: "TEXT", nullable: false),
                    user_id = table.Column<string>(type: "TEXT", nullable: false),
                    title = table.Column<string>(type: "TEXT", nullable: true, defaultValue: "New Conversation"),
                    created_at = table.Column<string>(type: "DATETIME", nullable: true, defaultValueSql: "CURRENT_TIMESTAMP"),
                    updated_at = table.Column<string>(type: "DATETIME", nullable: true, defaultValueSql: "CURRENT_TIMESTAMP"),
                    is_active = table.Column<bool>(type: "BOOLEAN", nullable: true, defaultValueSql: "TRUE"),
                    message_count = table.Column<long>(type: "INTEGER", nullable: false, defaultValue: 0L),
                    last_seq = table.Column<long>(type: "INTEGER", nullable: false, defaultValue: 0L),
                    prompt_tokens = table.Column<long>(type: "INTEGER", nullable: false, defaultValue: 0L),
                    completion_tokens = table.Column<long>(type: "INTEGER", nullable: false, defaultValue: 0L),
                    metadata = table.Column<string>(type: "TEXT", nullable: true),
                    head_message_id = table.Column<string>(type: "TEXT", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_sessions", x => x.session_id);
                    table.ForeignKey(
                        name: "FK_sessions_users_user_id",
                        column: x => x.user_id,
                        principalTable: "users",
                        principalColumn: "user_id");
                });

            migrationBuilder.CreateTable(
                name: "messages",
                columns: table => new
                {
                    message_id = table.Column<string>(type: "TEXT", nullable: false),
                    session_id = table.Column<string>(type: "TEXT", nullable: false),
                    role = table.Column<string>(type: "TEXT", nullable: false),
                    content = table.Column<string>(type: "TEXT", nullable: false),
                    model = table.Column<string>(type: "TEXT", nullable: true),
                    tokens = table.Column<int>(type: "INTEGER", nullable: true, defaultValue: 0),
                    created_at = table.Column<string>(type: "DATETIME", nullable: true, defaultValueSql: "CURRENT_TIMESTAMP"),
                    parent_id = table.Column<string>(type: "TEXT", nullable: true),
                    seq = table.Column<long>(type: "INTEGER", nullable: true),
                    status = table.Column<string>(type: "TEXT", nullable: false, defaultValue: "completed"),
                    content_parts = table.Column<string>(type: "TEXT", nullable: true),
                    tool_calls = table.Column<string>(type: "TEXT", nullable: true),
                    tool_call_id = table.Column<string>(type: "TEXT", nullable: true),
                    name = table.Column<string>(type: "TEXT", nullable: true),
                    reasoning = table.Column<string>(type: "TEXT", nullable: true),
                    extra = table.Column<string>(type: "TEXT", nullable: true),
                    prefix_hash = table.Column<byte[]>(type: "BLOB", nullable: true),
                    finish_reason = table.Column<string>(type: "TEXT", nullable: true),
                    prompt_tokens = table.Column<int>(type: "INTEGER", nullable: true),
                    ttft_ms = table.Column<double>(type: "REAL", nullable: true),
                    duration_ms = table.Column<double>(type: "REAL", nullable: true),
                    completion_id = table.Column<string>(type: "TEXT", nullable: true),
                    request_id = table.Column<string>(type: "TEXT", nullable: true),
                    trace_id = table.Column<string>(type: "TEXT", nullable: true),
                    error = table.Column<string>(type: "TEXT", nullable: true),
                    updated_at = table.Column<string>(type: "DATETIME", nullable: true, defaultValueSql: "CURRENT_TIMESTAMP")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_messages", x => x.message_id);
                    table.CheckConstraint("ck_messages_role", "role IN ('user', 'assistant', 'system', 'tool', 'developer', 'function')");
                    table.CheckConstraint("ck_messages_status", "status IN ('in_progress', 'completed', 'incomplete', 'cancelled', 'failed', 'interrupted')");
                    table.ForeignKey(
                        name: "FK_messages_sessions_session_id",
                        column: x => x.session_id,
                        principalTable: "sessions",
                        principalColumn: "session_id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "idx_api_keys_user",
                table: "api_keys",
                columns: new[] { "user_id", "created_at", "key_id" });

            migrationBuilder.CreateIndex(
                name: "idx_messages_created_at",
                table: "messages",
                column: "created_at");

            migrationBuilder.CreateIndex(
                name: "idx_messages_in_progress",
                table: "messages",
                column: "updated_at",
                filter: "status = 'in_progress'");

            migrationBuilder.CreateIndex(
                name: "idx_messages_role",
                table: "messages",
                column: "role");

            migrationBuilder.CreateIndex(
                name: "idx_messages_session_id",
                table: "messages",
                column: "session_id");

            migrationBuilder.CreateIndex(
                name: "idx_messages_session_seq",
                table: "messages",
                columns: new[] { "session_id", "seq" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "idx_sessions_active",
                table: "sessions",
                columns: new[] { "is_active", "updated_at" },
                descending: new[] { false, true });

            migrationBuilder.CreateIndex(
                name: "idx_sessions_created_at",
                table: "sessions",
                column: "created_at",
                descending: new bool[0]);

            migrationBuilder.CreateIndex(
                name: "idx_sessions_user_id",
                table: "sessions",
                column: "user_id");

            migrationBuilder.CreateIndex(
                name: "idx_sessions_user_updated",
                table: "sessions",
                columns: new[] { "user_id", "updated_at", "session_id" },
                descending: new[] { false, true, true });

            migrationBuilder.CreateIndex(
                name: "idx_users_last_active",
                table: "users",
                column: "last_active");

            // EF Core knows the names of triggers but does not make them, and a migration that rebuilds a table
            // (SQLite can alter little in place) drops its triggers: such a migration must make them again.

            // Rows of other tools name the first seven columns only. They get their place in the session here;
            // our own writer gives seq itself and never runs this.
            migrationBuilder.Sql(
                """
                CREATE TRIGGER messages_inserted_without_seq AFTER INSERT ON messages WHEN NEW.seq IS NULL
                BEGIN
                    UPDATE messages
                    SET seq = (SELECT last_seq + 1 FROM sessions WHERE session_id = NEW.session_id),
                        parent_id = coalesce(NEW.parent_id, (SELECT head_message_id FROM sessions WHERE session_id = NEW.session_id))
                    WHERE message_id = NEW.message_id;
                    UPDATE sessions
                    SET last_seq = last_seq + 1,
                        message_count = message_count + 1,
                        updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
                        head_message_id = CASE WHEN NEW.status IN ('in_progress', 'failed') THEN head_message_id ELSE NEW.message_id END
                    WHERE session_id = NEW.session_id;
                END
                """);

            // When the whole session goes, its row is gone before its messages are: nothing matches and nothing is done.
            migrationBuilder.Sql(
                """
                CREATE TRIGGER messages_deleted AFTER DELETE ON messages
                BEGIN
                    UPDATE sessions
                    SET message_count = message_count - 1,
                        head_message_id = CASE WHEN head_message_id IS NOT OLD.message_id THEN head_message_id ELSE coalesce(
                            (SELECT message_id FROM messages WHERE message_id = OLD.parent_id),
                            (SELECT message_id FROM messages
                             WHERE session_id = OLD.session_id AND seq < OLD.seq AND status NOT IN ('in_progress', 'failed')
                             ORDER BY seq DESC LIMIT 1)) END
                    WHERE session_id = OLD.session_id;
                END
                """);

            migrationBuilder.Sql(
                """
                CREATE TRIGGER sessions_inserted AFTER INSERT ON sessions
                BEGIN
                    UPDATE users SET session_count = session_count + 1 WHERE user_id = NEW.user_id;
                END
                """);
            migrationBuilder.Sql(
                """
                CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions
                BEGIN
                    UPDATE users SET session_count = session_count - 1 WHERE user_id = OLD.user_id;
                END
                """);
            migrationBuilder.Sql(
                """
                CREATE TRIGGER sessions_given_away AFTER UPDATE OF user_id ON sessions WHEN NEW.user_id <> OLD.user_id
                BEGIN
                    UPDATE users SET session_count = session_count - 1 WHERE user_id = OLD.user_id;
                    UPDATE users SET session_count = session_count + 1 WHERE user_id = NEW.user_id;
                END
                """);

            // The columns take NULL, as in the first design of the tables, but lists are sorted by them.
            migrationBuilder.Sql(
                """
                CREATE TRIGGER sessions_inserted_without_times AFTER INSERT ON sessions WHEN NEW.created_at IS NULL OR NEW.updated_at IS NULL
                BEGIN
                    UPDATE sessions
                    SET created_at = coalesce(NEW.created_at, CURRENT_TIMESTAMP), updated_at = coalesce(NEW.updated_at, CURRENT_TIMESTAMP)
                    WHERE session_id = NEW.session_id;
                END
                """);

            migrationBuilder.Sql("INSERT INTO users (user_id, username) VALUES ('default_user', 'Developer')");
            migrationBuilder.Sql("INSERT INTO sessions (session_id, user_id, title) VALUES ('session_001', 'default_user', 'First Conversation')");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "api_keys");

            migrationBuilder.DropTable(
                name: "messages");

            migrationBuilder.DropTable(
                name: "sessions");

            migrationBuilder.DropTable(
                name: "users");
        }
    }
}
