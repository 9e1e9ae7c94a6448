using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ChatHistory.StorageService.Turns;

/// <summary>
/// A row of <c>idempotency_keys</c>: the answer that a client's key stands for. Swept after <see cref="TurnOptions.IdempotencyKeysKept"/>. It has
/// no foreign key: an answer that was deleted leaves a key that means nothing any more.
/// </summary>
internal sealed class IdempotencyKey
{
    public required string UserId { get; init; }

    public required string Key { get; init; }

    public required string MessageId { get; init; }

    /// <summary>SHA-256 of the request: a key that comes back with another request is a mistake of the client.</summary>
    public required byte[] RequestHash { get; init; }

    public required string CreatedAt { get; init; }
}

internal sealed class IdempotencyKeyConfiguration : IEntityTypeConfiguration<IdempotencyKey>
{
    public void Configure(EntityTypeBuilder<IdempotencyKey> key)
    {
        key.ToTable("idempotency_keys");
        key.HasKey(k => new { k.UserId, k.Key });
        key.Property(k => k.UserId).HasColumnName("user_id");
        key.Property(k => k.Key).HasColumnName("key");
        key.Property(k => k.MessageId).HasColumnName("message_id");
        key.Property(k => k.RequestHash).HasColumnName("request_hash");
        key.Property(k => k.CreatedAt).HasColumnName("created_at").HasColumnType("DATETIME");
        key.HasIndex(k => k.CreatedAt).HasDatabaseName("idx_idempotency_keys_created_at");
    }
}
