using ChatHistory.StorageService.ApiKeys;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Sessions;
using ChatHistory.StorageService.Turns;
using ChatHistory.StorageService.Users;
using Microsoft.EntityFrameworkCore;

namespace ChatHistory.StorageService.Database;

/// <summary>The model of the database: owns schema, migrations and the queries off the hot path. Writes go through the one writer.</summary>
internal sealed class ChatHistoryDbContext(DbContextOptions<ChatHistoryDbContext> options) : DbContext(options)
{
    public DbSet<User> Users => Set<User>();

    public DbSet<Session> Sessions => Set<Session>();

    public DbSet<Message> Messages => Set<Message>();

    public DbSet<StoredFrames> Frames => Set<StoredFrames>();

    public DbSet<IdempotencyKey> IdempotencyKeys => Set<IdempotencyKey>();

    public DbSet<ApiKey> ApiKeys => Set<ApiKey>();

    public DbSet<UsageTotal> Usage => Set<UsageTotal>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(ChatHistoryDbContext).Assembly);
}
