using ChatHistory.StorageService.Users;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ChatHistory.StorageService.ApiKeys;

internal sealed class ApiKeyConfiguration : IEntityTypeConfiguration<ApiKey>
{
    public void Configure(EntityTypeBuilder<ApiKey> key)
    {
        key.ToTable("api_keys", table => table.HasCheckConstraint("ck_api_keys_role", "role IN ('user', 'admin', 'trusted_proxy')"));
        key.HasKey(k => k.KeyId);
        key.Property(k => k.KeyId).HasColumnName("key_id").HasColumnOrder(0);
        key.Property(k => k.UserId).HasColumnName("user_id").HasColumnOrder(1);
        key.Property(k => k.Name).HasColumnName("name").HasColumnOrder(2);
        key.Property(k => k.Hash).HasColumnName("hash").HasColumnOrder(3);
        key.Property(k => k.CreatedAt).HasColumnName("created_at").HasColumnType("DATETIME").HasDefaultValueSql("CURRENT_TIMESTAMP").HasColumnOrder(4);
        key.Property(k => k.ExpiresAt).HasColumnName("expires_at").HasColumnType("DATETIME").HasColumnOrder(5);
        key.Property(k => k.RevokedAt).HasColumnName("revoked_at").HasColumnType("DATETIME").HasColumnOrder(6);
        key.Property(k => k.Role).HasColumnName("role").HasDefaultValue(ApiKey.DefaultRole).HasColumnOrder(7);
        key.Property(k => k.RequestsPerMinute).HasColumnName("requests_per_minute").HasColumnOrder(8);
        key.Property(k => k.TokensPerMinute).HasColumnName("tokens_per_minute").HasColumnOrder(9);
        key.Property(k => k.ConcurrentTurns).HasColumnName("concurrent_turns").HasColumnOrder(10);
        key.Property(k => k.TokensPerDay).HasColumnName("tokens_per_day").HasColumnOrder(11);
        key.Property(k => k.TokensPerMonth).HasColumnName("tokens_per_month").HasColumnOrder(12);
        key.Property(k => k.StoredBytes).HasColumnName("stored_bytes").HasColumnOrder(13);

        key.HasOne<User>().WithMany().HasForeignKey(k => k.UserId).OnDelete(DeleteBehavior.NoAction);

        key.HasIndex(k => new { k.UserId, k.CreatedAt, k.KeyId }).HasDatabaseName("idx_api_keys_user");
    }
}
