using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ChatHistory.StorageService.Database;

/// <summary>
/// One open connection with statements that are compiled once and used again. For one thread at a time. What is put together from what its caller asks for
/// is queried through <see cref="ChatHistoryDbContext"/>.
/// </summary>
/// <remarks>Statements are found by the identity of their SQL text: pass constants. Their parameters are <c>?1</c>, <c>?2</c>, ...</remarks>
internal sealed class PreparedConnection(SqliteConnection connection, bool ownsConnection = true) : IDisposable
{
    private readonly Dictionary<string, PreparedStatement> _statements = new(ReferenceEqualityComparer.Instance);

    /// <summary>For what SQLite offers beside statements, such as its backup API.</summary>
    public sqlite3 Handle => connection.Handle!;

    /// <summary>Of the writer's connection only.</summary>
    public PathEpoch? Epoch { get; init; }

    /// <summary>Whether triggers fire. To change it costs: SQLite compiles each statement anew when it is next used.</summary>
    /// <remarks>Foreign keys are kept either way.</remarks>
    public bool HasTriggers
    {
        get;
        set
        {
            if (field != value)
            {
                SqliteException.ThrowExceptionForRC(raw.sqlite3_db_config(connection.Handle, raw.SQLITE_DBCONFIG_ENABLE_TRIGGER, value ? 1 : 0, out _), connection.Handle);
                field = value;
            }
        }
    } = true;

    /// <summary>Runs a statement and returns the number of rows it changed.</summary>
    public int Execute(string sql, params ReadOnlySpan<SqlValue> values) => Prepare(sql).Execute(values);

    /// <summary>Runs a query. Dispose the rows before the next use of the same SQL.</summary>
    public Rows Query(string sql, params ReadOnlySpan<SqlValue> values) => Prepare(sql).Query(values);

    /// <summary>Runs a query for one number: the first row's first column, 0 for NULL; null when there is no row.</summary>
    public long? Number(string sql, params ReadOnlySpan<SqlValue> values)
    {
        using var row = Query(sql, values);
        return row.Read() ? row.GetInt64(0) : null;
    }

    /// <summary>Runs queries that belong together, in one snapshot of the database.</summary>
    public T Snapshot<T>(Func<PreparedConnection, T> queries)
    {
        Execute("BEGIN");
        try
        {
            return queries(this);
        }
        finally
        {
            Rollback();
        }
    }

    public void Begin()
    {
        Execute("BEGIN IMMEDIATE");
        Epoch?.TransactionBegan(this);
    }

    public void Commit() => Execute("COMMIT");

    public void Rollback()
    {
        // SQLite has already rolled back by itself after some errors (disk full, I/O error).
        if (raw.sqlite3_get_autocommit(connection.Handle) == 0)
        {
            Execute("ROLLBACK");
        }
    }

    public void Dispose()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Dispose();
        }

        if (ownsConnection)
        {
            connection.Dispose();
        }
    }

    private PreparedStatement Prepare(string sql)
    {
        if (!_statements.TryGetValue(sql, out var statement))
        {
            _statements.Add(sql, statement = new PreparedStatement(Handle, sql));
        }

        return statement;
    }
}
