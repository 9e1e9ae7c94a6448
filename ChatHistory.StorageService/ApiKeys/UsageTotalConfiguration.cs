using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ChatHistory.StorageService.ApiKeys;

internal sealed class UsageTotalConfiguration : IEntityTypeConfiguration<UsageTotal>
{
    public void Configure(EntityTypeBuilder<UsageTotal> usage)
    {
        usage.ToTable("usage");
        usage.HasKey(u => new { u.Subject, u.Day, u.Source });
        usage.Property(u => u.Subject).HasColumnName("subject").HasColumnOrder(0);
        usage.Property(u => u.Day).HasColumnName("day").HasColumnOrder(1);
        usage.Property(u => u.Source).HasColumnName("source").HasColumnOrder(2);
        usage.Property(u => u.Tokens).HasColumnName("tokens").HasColumnOrder(3);
        usage.Property(u => u.Requests).HasColumnName("requests").HasColumnOrder(4);

        // Old days are removed (ExpirySweeper).
        usage.HasIndex(u => u.Day).HasDatabaseName("idx_usage_day");
    }
}
