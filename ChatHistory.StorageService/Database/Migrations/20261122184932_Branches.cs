using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ChatHistory.StorageService.Database.Migrations
{
    /// <inheritdoc />
    public partial class Branches : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "forked_from",
                table: "sessions",
                type: "TEXT",
                nullable: true)
                .Annotation("Relational:ColumnOrder", 12);

            migrationBuilder.AddColumn<string>(
                name: "metadata",
                table: "messages",
                type: "TEXT",
                nullable: true)
                .Annotation("Relational:ColumnOrder", 27);

            migrationBuilder.AddColumn<int>(
                name: "omitted",
                table: "messages",
                type: "INTEGER",
                nullable: true)
                .Annotation("Relational:ColumnOrder", 29);

            migrationBuilder.AddColumn<string>(
                name: "request",
                table: "messages",
                type: "TEXT",
                nullable: true)
                .Annotation("Relational:ColumnOrder", 28);

            migrationBuilder.AddColumn<string>(
                name: "user_id",
                table: "messages",
                type: "TEXT",
                nullable: true)
                .Annotation("Relational:ColumnOrder", 26);

            migrationBuilder.CreateTable(
                name: "frames",
                columns: table => new
                {
                    message_id = table.Column<string>(type: "TEXT", nullable: false),
                    first = table.Column<long>(type: "INTEGER", nullable: false),
                    count = table.Column<int>(type: "INTEGER", nullable: false),
                    data = table.Column<byte[]>(type: "BLOB", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_frames", x => new { x.message_id, x.first });
                    table.ForeignKey(
                        name: "FK_frames_messages_message_id",
                        column: x => x.message_id,
                        principalTable: "messages",
                        principalColumn: "message_id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "idempotency_keys",
                columns: table => new
                {
                    user_id = table.Column<string>(type: "TEXT", nullable: false),
                    key = table.Column<string>(type: "TEXT", nullable: false),
                    message_id = table.Column<string>(type: "TEXT", nullable: false),
                    request_hash = table.Column<byte[]>(type: "BLOB", nullable: false),
                    created_at = table.Column<string>(type: "DATETIME", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_idempotency_keys", x => new { x.user_id, x.key });
                });

            migrationBuilder.CreateIndex(
                name: "idx_sessions_forked_from",
                table: "sessions",
                column: "forked_from",
                filter: "forked_from IS NOT NULL");

            migrationBuilder.CreateIndex(
                name: "idx_messages_completion",
                table: "messages",
                column: "completion_id",
                filter: "completion_id IS NOT NULL");

            migrationBuilder.CreateIndex(
                name: "idx_messages_parent",
                table: "messages",
                column: "parent_id",
                filter: "parent_id IS NOT NULL");

            migrationBuilder.CreateIndex(
                name: "idx_messages_prefix_hash",
                table: "messages",
                columns: new[] { "prefix_hash", "session_id" },
                filter: "prefix_hash IS NOT NULL");

            migrationBuilder.CreateIndex(
                name: "idx_messages_user_completions",
                table: "messages",
                columns: new[] { "user_id", "message_id" },
                filter: "completion_id IS NOT NULL");

            migrationBuilder.CreateIndex(
                name: "idx_idempotency_keys_created_at",
                table: "idempotency_keys",
                column: "created_at");

            migrationBuilder.Sql(
                """
                UPDATE messages SET user_id = (SELECT user_id FROM sessions WHERE sessions.session_id = messages.session_id)
                WHERE role = 'assistant'
                """);
            migrationBuilder.Sql(
                """
                CREATE TRIGGER sessions_given_away_with_messages AFTER UPDATE OF user_id ON sessions WHEN NEW.user_id <> OLD.user_id
                BEGIN
                    UPDATE messages SET user_id = NEW.user_id WHERE session_id = NEW.session_id AND user_id IS NOT NULL;
                END
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("DROP TRIGGER sessions_given_away_with_messages");

            migrationBuilder.DropTable(
                name: "frames");

            migrationBuilder.DropTable(
                name: "idempotency_keys");

            migrationBuilder.DropIndex(
                name: "idx_sessions_forked_from",
                table: "sessions");

            migrationBuilder.DropIndex(
                name: "idx_messages_completion",
                table: "messages");

            migrationBuilder.DropIndex(
                name: "idx_messages_parent",
                table: "messages");

            migrationBuilder.DropIndex(
                name: "idx_messages_prefix_hash",
                table: "messages");

            migrationBuilder.DropIndex(
                name: "idx_messages_user_completions",
                table: "messages");

            migrationBuilder.DropColumn(
                name: "forked_from",
                table: "sessions");

            migrationBuilder.DropColumn(
                name: "metadata",
                table: "messages");

            migrationBuilder.DropColumn(
                name: "omitted",
                table: "messages");

            migrationBuilder.DropColumn(
                name: "request",
                table: "messages");

            migrationBuilder.DropColumn(
                name: "user_id",
                table: "messages");
        }
    }
}
