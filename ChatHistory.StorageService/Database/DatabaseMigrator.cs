using System.Reflection;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ChatHistory.StorageService.Database;

/// <summary>Brings the schema up to date.</summary>
internal static class DatabaseMigrator
{
    /// <param name="beforeChange">Called with the first pending migration, where the file holds an older schema of ours.</param>
    /// <returns>The migrations that were applied.</returns>
    /// <exception cref="DatabaseStartException">The file comes from a newer version of this service, or from another program.</exception>
    /// <remarks>
    /// A kill inside <c>MigrateAsync</c> leaves a row in <c>__EFMigrationsLock</c>, and every later call then waits for ever, even with
    /// nothing to do (https://github.com/dotnet/efcore/issues/34439). Whoever comes here owns <see cref="DatabaseLock"/>, so such a row
    /// is always a dead one: it is dropped. Remove when EF Core's lock ends with its holder.
    /// What is pending is found without EF Core, because the usual start has nothing to do and should not wait for the model to be built.
    /// </remarks>
    public static async Task<IReadOnlyList<string>> ApplyAsync(string connectionString, CancellationToken cancellationToken, Action<string>? beforeChange = null)
    {
        var known = KnownMigrations();
        var applied = AppliedMigrations(connectionString);
        if (Newer(applied) is { } newer)
        {
            throw new DatabaseStartException(
                $"The database ({DataSource(connectionString)}) has the migration '{newer}', which this version of the service does not know. "
                + "It was written by a newer version: start that one, or put a backup from before the update in its place, "
                + "such as the copy beside it whose name ends in '.before-' and a migration.");
        }

        var pending = known.Except(applied).Order(StringComparer.Ordinal).ToList();
        if (pending.Count > 0)
        {
            if (applied.Count > 0)
            {
                beforeChange?.Invoke(pending[0]);
            }

            await using var context = new ChatHistoryDbContext(new DbContextOptionsBuilder<ChatHistoryDbContext>().UseSqlite(connectionString).Options);
            await context.Database.ExecuteSqlRawAsync("DROP TABLE IF EXISTS \"__EFMigrationsLock\"", cancellationToken);
            await context.Database.MigrateAsync(cancellationToken);
        }

        return pending;
    }

    /// <summary>A migration of the database that this version does not know; null when there is none.</summary>
    public static string? Newer(IEnumerable<string> applied) => applied.Except(KnownMigrations()).FirstOrDefault();

    private static List<string> KnownMigrations() =>
        [.. typeof(DatabaseMigrator).Assembly.GetTypes().Select(type => type.GetCustomAttribute<MigrationAttribute>()?.Id).OfType<string>()];

    private static List<string> AppliedMigrations(string connectionString)
    {
        using var connection = new SqliteConnection(connectionString);
        connection.Open();
        return Applied(connection);
    }

    /// <summary>The migrations that a database has, in their order.</summary>
    /// <exception cref="DatabaseStartException">It is another program's.</exception>
    public static List<string> Applied(SqliteConnection connection)
    {
        if (!HasTable(connection, "__EFMigrationsHistory"))
        {
            return HasTable(connection, "users")
                ? throw new DatabaseStartException(
                    $"The database ({connection.DataSource}) has a table 'users', but not from this service. "
                    + "Name another file with Database:Path; rows worth keeping can be copied into its tables once they are there.")
                : [];
        }

        using var select = connection.CreateCommand();
        select.CommandText = "SELECT MigrationId FROM __EFMigrationsHistory ORDER BY MigrationId";
        using var reader = select.ExecuteReader();
        var applied = new List<string>();
        while (reader.Read())
        {
            applied.Add(reader.GetString(0));
        }

        return applied;
    }

    private static bool HasTable(SqliteConnection connection, string name)
    {
        using var select = connection.CreateCommand();
        select.CommandText = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $name";
        select.Parameters.AddWithValue("$name", name);
        return select.ExecuteScalar() is not null;
    }

    private static string DataSource(string connectionString) => new SqliteConnectionStringBuilder(connectionString).DataSource;
}
