using ChatHistory.StorageService.Sessions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ChatHistory.StorageService.Messages;

internal sealed class MessageConfiguration : IEntityTypeConfiguration<Message>
{
    public void Configure(EntityTypeBuilder<Message> message)
    {
        message.ToTable("messages", table =>
        {
            table.HasCheckConstraint("ck_messages_role", "role IN ('user', 'assistant', 'system', 'tool', 'developer', 'function')");
            table.HasCheckConstraint("ck_messages_status", "status IN ('in_progress', 'completed', 'incomplete', 'cancelled', 'failed', 'interrupted')");
            table.HasTrigger("messages_inserted_without_seq");
            table.HasTrigger("messages_deleted");
        });
        message.HasKey(m => m.MessageId);
        message.Property(m => m.MessageId).HasColumnName("message_id").HasColumnOrder(0);
        message.Property(m => m.SessionId).HasColumnName("session_id").HasColumnOrder(1);
        message.Property(m => m.Role).HasColumnName("role").HasColumnOrder(2);
        message.Property(m => m.Content).HasColumnName("content").HasColumnOrder(3);
        message.Property(m => m.Model).HasColumnName("model").HasColumnOrder(4);
        message.Property(m => m.Tokens).HasColumnName("tokens").HasDefaultValue(0).HasColumnOrder(5);
        message.Property(m => m.CreatedAt).HasColumnName("created_at").HasColumnType("DATETIME").HasDefaultValueSql("CURRENT_TIMESTAMP").HasColumnOrder(6);
        message.Property(m => m.ParentId).HasColumnName("parent_id").HasColumnOrder(7);
        message.Property(m => m.Seq).HasColumnName("seq").HasColumnOrder(8);
        message.Property(m => m.Status).HasColumnName("status").HasDefaultValue("completed").HasColumnOrder(9);
        message.Property(m => m.ContentParts).HasColumnName("content_parts").HasColumnOrder(10);
        message.Property(m => m.ToolCalls).HasColumnName("tool_calls").HasColumnOrder(11);
        message.Property(m => m.ToolCallId).HasColumnName("tool_call_id").HasColumnOrder(12);
        message.Property(m => m.Name).HasColumnName("name").HasColumnOrder(13);
        message.Property(m => m.Reasoning).HasColumnName("reasoning").HasColumnOrder(14);
        message.Property(m => m.Extra).HasColumnName("extra").HasColumnOrder(15);
        message.Property(m => m.PrefixHash).HasColumnName("prefix_hash").HasColumnOrder(16);
        message.Property(m => m.FinishReason).HasColumnName("finish_reason").HasColumnOrder(17);
        message.Property(m => m.PromptTokens).HasColumnName("prompt_tokens").HasColumnOrder(18);
        message.Property(m => m.TtftMs).HasColumnName("ttft_ms").HasColumnOrder(19);
        message.Property(m => m.DurationMs).HasColumnName("duration_ms").HasColumnOrder(20);
        message.Property(m => m.CompletionId).HasColumnName("completion_id").HasColumnOrder(21);
        message.Property(m => m.RequestId).HasColumnName("request_id").HasColumnOrder(22);
        message.Property(m => m.TraceId).HasColumnName("trace_id").HasColumnOrder(23);
        message.Property(m => m.Error).HasColumnName("error").HasColumnOrder(24);
        message.Property(m => m.UpdatedAt).HasColumnName("updated_at").HasColumnType("DATETIME").HasDefaultValueSql("CURRENT_TIMESTAMP").HasColumnOrder(25);
        message.Property(m => m.UserId).HasColumnName("user_id").HasColumnOrder(26);
        message.Property(m => m.Metadata).HasColumnName("metadata").HasColumnOrder(27);
        message.Property(m => m.Request).HasColumnName("request").HasColumnOrder(28);
        message.Property(m => m.Omitted).HasColumnName("omitted").HasColumnOrder(29);

        message.HasOne<Session>().WithMany().HasForeignKey(m => m.SessionId).OnDelete(DeleteBehavior.Cascade);

        message.HasIndex(m => m.SessionId).HasDatabaseName("idx_messages_session_id");
        message.HasIndex(m => m.CreatedAt).HasDatabaseName("idx_messages_created_at");
        message.HasIndex(m => m.Role).HasDatabaseName("idx_messages_role");
        // A session's messages in order, and the guarantee that no two share a place.
        message.HasIndex(m => new { m.SessionId, m.Seq }).IsUnique().HasDatabaseName("idx_messages_session_seq");
        // The turns in progress, oldest lease first: a handful of rows, so it costs the hot path next to nothing.
        message.HasIndex(m => m.UpdatedAt).HasFilter("status = 'in_progress'").HasDatabaseName("idx_messages_in_progress");
        // The transcript that a request continues is found by its hash, not by its text.
        message.HasIndex(m => new { m.PrefixHash, m.SessionId }).HasFilter("prefix_hash IS NOT NULL").HasDatabaseName("idx_messages_prefix_hash");
        // The branches behind a message.
        message.HasIndex(m => m.ParentId).HasFilter("parent_id IS NOT NULL").HasDatabaseName("idx_messages_parent");
        // A completion by OpenAI's id of it, and a user's completions in order.
        message.HasIndex(m => m.CompletionId).HasFilter("completion_id IS NOT NULL").HasDatabaseName("idx_messages_completion");
        message.HasIndex(m => new { m.UserId, m.MessageId }).HasFilter("completion_id IS NOT NULL").HasDatabaseName("idx_messages_user_completions");
    }
}
