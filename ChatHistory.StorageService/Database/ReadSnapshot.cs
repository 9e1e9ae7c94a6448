using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace ChatHistory.StorageService.Database;

/// <summary>
/// Queries that belong together, in one snapshot of the database: a session that was read a moment before its messages may have another head, other counters and
/// other forks than they say.
/// </summary>
/// <remarks>Short: while it is open, the write-ahead log cannot be emptied. Never across a write to a client.</remarks>
internal sealed class ReadSnapshot : IAsyncDisposable
{
    private readonly PreparedConnection _connection;

    private ReadSnapshot(ChatHistoryDbContext database)
    {
        Database = database;
        _connection = new PreparedConnection((SqliteConnection)database.Database.GetDbConnection(), ownsConnection: false);
    }

    public ChatHistoryDbContext Database { get; }

    public static async Task<ReadSnapshot> BeginAsync(IDbContextFactory<ChatHistoryDbContext> contexts, CancellationToken cancellationToken)
    {
        var database = await contexts.CreateDbContextAsync(cancellationToken);
        try
        {
            // On a read-only connection it only reads. It ends with the context.
            await database.Database.BeginTransactionAsync(cancellationToken);
            return new ReadSnapshot(database);
        }
        catch
        {
            await database.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a query of the hot path in the same snapshot.</summary>
    public T Read<T>(Func<PreparedConnection, T> query) => query(_connection);

    public async ValueTask DisposeAsync()
    {
        _connection.Dispose();
        await Database.DisposeAsync();
    }
}
