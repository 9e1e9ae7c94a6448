using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ChatHistory.StorageService.Users;

internal sealed class UserConfiguration : IEntityTypeConfiguration<User>
{
    public void Configure(EntityTypeBuilder<User> user)
    {
        user.ToTable("users");
        user.HasKey(u => u.UserId);
        user.Property(u => u.UserId).HasColumnName("user_id").HasColumnOrder(0);
        user.Property(u => u.Username).HasColumnName("username").HasColumnOrder(1);
        user.Property(u => u.CreatedAt).HasColumnName("created_at").HasColumnType("DATETIME").HasDefaultValueSql("CURRENT_TIMESTAMP").HasColumnOrder(2);
        user.Property(u => u.LastActive).HasColumnName("last_active").HasColumnType("DATETIME").HasDefaultValueSql("CURRENT_TIMESTAMP").HasColumnOrder(3);
        user.Property(u => u.SessionCount).HasColumnName("session_count").HasDefaultValue(0L).HasColumnOrder(4);
        user.Property(u => u.StoredBytes).HasColumnName("stored_bytes").HasDefaultValue(0L).HasColumnOrder(5);

        user.HasIndex(u => u.LastActive).HasDatabaseName("idx_users_last_active");
    }
}
