using ChatHistory.StorageService.Messages;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ChatHistory.StorageService.Turns;

/// <summary>A row of <c>frames</c>: consecutive frames of a streamed answer, for clients that read on. Swept after <see cref="TurnOptions.FramesKept"/>.</summary>
internal sealed class StoredFrames
{
    public required string MessageId { get; init; }

    /// <summary>Number of the first frame in the row; an answer's first frame is 1.</summary>
    public long First { get; init; }

    public int Count { get; init; }

    public required byte[] Data { get; init; }
}

internal sealed class StoredFramesConfiguration : IEntityTypeConfiguration<StoredFrames>
{
    public void Configure(EntityTypeBuilder<StoredFrames> frames)
    {
        frames.ToTable("frames");
        frames.HasKey(f => new { f.MessageId, f.First });
        frames.Property(f => f.MessageId).HasColumnName("message_id");
        frames.Property(f => f.First).HasColumnName("first");
        frames.Property(f => f.Count).HasColumnName("count");
        frames.Property(f => f.Data).HasColumnName("data");
        frames.HasOne<Message>().WithMany().HasForeignKey(f => f.MessageId).OnDelete(DeleteBehavior.Cascade);
    }
}
