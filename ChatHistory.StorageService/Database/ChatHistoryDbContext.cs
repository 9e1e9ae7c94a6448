using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Sessions;
using Microsoft.EntityFrameworkCore;

namespace ChatHistory.StorageService.Database;

/// <summary>The model of the database: owns the schema, its migrations, and the lists whose queries are put together from what is asked for. Writes go through the one writer.</summary>
internal sealed class ChatHistoryDbContext(DbContextOptions<ChatHistoryDbContext> options) : DbContext(options)
{
    public DbSet<Session> Sessions => Set<Session>();

    public DbSet<Message> Messages => Set<Message>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(ChatHistoryDbContext).Assembly);
}
