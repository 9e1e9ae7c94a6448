using ChatHistory.StorageService.Users;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ChatHistory.StorageService.Sessions;

internal sealed class SessionConfiguration : IEntityTypeConfiguration<Session>
{
    public void Configure(EntityTypeBuilder<Session> session)
    {
        session.ToTable("sessions", table =>
        {
            table.HasTrigger("sessions_inserted");
            table.HasTrigger("sessions_deleted");
            table.HasTrigger("sessions_given_away");
            table.HasTrigger("sessions_given_away_with_messages");
            table.HasTrigger("sessions_inserted_without_times");
        });
        session.HasKey(s => s.SessionId);
        session.Property(s => s.SessionId).HasColumnName("session_id").HasColumnOrder(0);
        session.Property(s => s.UserId).HasColumnName("user_id").HasColumnOrder(1);
        session.Property(s => s.Title).HasColumnName("title").HasDefaultValue(Session.DefaultTitle).HasColumnOrder(2);
        session.Property(s => s.CreatedAt).HasColumnName("created_at").HasColumnType("DATETIME").HasDefaultValueSql("CURRENT_TIMESTAMP").HasColumnOrder(3);
        session.Property(s => s.UpdatedAt).HasColumnName("updated_at").HasColumnType("DATETIME").HasDefaultValueSql("CURRENT_TIMESTAMP").HasColumnOrder(4);
        session.Property(s => s.IsActive).HasColumnName("is_active").HasColumnType("BOOLEAN").HasDefaultValueSql("TRUE").HasColumnOrder(5);
        session.Property(s => s.MessageCount).HasColumnName("message_count").HasDefaultValue(0L).HasColumnOrder(6);
        session.Property(s => s.LastSeq).HasColumnName("last_seq").HasDefaultValue(0L).HasColumnOrder(7);
        session.Property(s => s.PromptTokens).HasColumnName("prompt_tokens").HasDefaultValue(0L).HasColumnOrder(8);
        session.Property(s => s.CompletionTokens).HasColumnName("completion_tokens").HasDefaultValue(0L).HasColumnOrder(9);
        session.Property(s => s.Metadata).HasColumnName("metadata").HasColumnOrder(10);
        session.Property(s => s.HeadMessageId).HasColumnName("head_message_id").HasColumnOrder(11);
        session.Property(s => s.ForkedFrom).HasColumnName("forked_from").HasColumnOrder(12);

        session.HasOne<User>().WithMany().HasForeignKey(s => s.UserId).OnDelete(DeleteBehavior.NoAction);

        session.HasIndex(s => s.UserId).HasDatabaseName("idx_sessions_user_id");
        session.HasIndex(s => s.CreatedAt).IsDescending().HasDatabaseName("idx_sessions_created_at");
        session.HasIndex(s => new { s.IsActive, s.UpdatedAt }).IsDescending(false, true).HasDatabaseName("idx_sessions_active");
        // A user's list, newest activity first, by cursor.
        session.HasIndex(s => new { s.UserId, s.UpdatedAt, s.SessionId }).IsDescending(false, true, true).HasDatabaseName("idx_sessions_user_updated");
        // The forks of a message, when its session is deleted.
        session.HasIndex(s => s.ForkedFrom).HasFilter("forked_from IS NOT NULL").HasDatabaseName("idx_sessions_forked_from");
    }
}
