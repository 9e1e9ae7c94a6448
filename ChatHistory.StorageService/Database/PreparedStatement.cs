using System.Buffers;
using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ChatHistory.StorageService.Database;

/// <summary>
/// A statement that was compiled once. It speaks to SQLite itself: a turn runs fifteen of them, and what Microsoft.Data.Sqlite does around each
/// (parameters found by name, a command and a reader made anew) cost more than the statement (decision 29).
/// </summary>
internal sealed class PreparedStatement : IDisposable
{
    private const int OnStack = 512;

    /// <summary>The longest text, in characters, for which the pool is asked: it keeps what it has lent, and lends up to six times as much as is needed.</summary>
    private const int Pooled = 64 * 1024;

    private readonly sqlite3 _database;
    private readonly sqlite3_stmt _statement;

    /// <exception cref="SqliteException">The SQL does not compile.</exception>
    public PreparedStatement(sqlite3 database, string sql)
    {
        _database = database;
        // Persistent: SQLite may take memory for it that it keeps for long.
        Check(raw.sqlite3_prepare_v3(database, sql, raw.SQLITE_PREPARE_PERSISTENT, out _statement));
    }

    /// <summary>Runs it to its end and returns the number of rows it changed.</summary>
    public int Execute(ReadOnlySpan<SqlValue> values)
    {
        try
        {
            Bind(values);
            while (Step())
            {
            }

            return raw.sqlite3_changes(_database);
        }
        finally
        {
            Reset();
        }
    }

    /// <summary>Starts a query; <see cref="Rows"/> gives its rows.</summary>
    public Rows Query(ReadOnlySpan<SqlValue> values)
    {
        try
        {
            Bind(values);
            return new Rows(this);
        }
        catch
        {
            Reset();
            throw;
        }
    }

    public void Dispose() => _statement.Dispose();

    /// <summary>On to the next row. False: there is none.</summary>
    internal bool Step()
    {
        var code = raw.sqlite3_step(_statement);
        if (code == raw.SQLITE_ROW)
        {
            return true;
        }

        return code == raw.SQLITE_DONE ? false : throw Failed(code);
    }

    /// <summary>Ready to be used again; what was bound is let go, for it may be megabytes.</summary>
    internal void Reset()
    {
        // It says once more what the last step said already. (Of a statement that changes something and returns rows, read the rows to their end: only then has it all been checked.)
        _ = raw.sqlite3_reset(_statement);
        _ = raw.sqlite3_clear_bindings(_statement);
    }

    internal bool IsNull(int column) => raw.sqlite3_column_type(_statement, column) == raw.SQLITE_NULL;

    internal long Integer(int column) => raw.sqlite3_column_int64(_statement, column);

    internal double Real(int column) => raw.sqlite3_column_double(_statement, column);

    // The bytes as they are, and not up to the first NUL.
    internal ReadOnlySpan<byte> Bytes(int column) => raw.sqlite3_column_blob(_statement, column);

    private void Bind(ReadOnlySpan<SqlValue> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            var (value, place) = (values[i], i + 1);
            Check(value.Kind switch
            {
                SqlKind.Text => BindText(place, value.Text),
                SqlKind.Integer => raw.sqlite3_bind_int64(_statement, place, value.Integer),
                SqlKind.Real => raw.sqlite3_bind_double(_statement, place, value.Real),
                SqlKind.Blob when value.Blob.Length > 0 => raw.sqlite3_bind_blob(_statement, place, value.Blob),
                // No bytes at no address would be NULL.
                SqlKind.Blob => raw.sqlite3_bind_zeroblob(_statement, place, 0),
                _ => raw.sqlite3_bind_null(_statement, place),
            });
        }
    }

    private int BindText(int place, string text)
    {
        if (text.Length == 0)
        {
            return raw.sqlite3_bind_text(_statement, place, text);
        }

        if (text.Length > Pooled)
        {
            return raw.sqlite3_bind_text(_statement, place, Encoding.UTF8.GetBytes(text));
        }

        var longest = Encoding.UTF8.GetMaxByteCount(text.Length);
        var rented = longest > OnStack ? ArrayPool<byte>.Shared.Rent(longest) : null;
        Span<byte> bytes = rented ?? stackalloc byte[OnStack];
        try
        {
            // SQLite copies it.
            return raw.sqlite3_bind_text(_statement, place, bytes[..Encoding.UTF8.GetBytes(text, bytes)]);
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    private void Check(int code)
    {
        if (code != raw.SQLITE_OK)
        {
            throw Failed(code);
        }
    }

    private InvalidOperationException Failed(int code)
    {
        SqliteException.ThrowExceptionForRC(code, _database);
        return new InvalidOperationException($"SQLite said {code}, which is no error.");
    }
}

/// <summary>The rows of a query that is under way. Disposed, its statement can be used again.</summary>
internal readonly struct Rows(PreparedStatement statement) : IDisposable
{
    /// <summary>On to the next row. False: there is none.</summary>
    public bool Read() => statement.Step();

    public bool IsNull(int column) => statement.IsNull(column);

    public long GetInt64(int column) => statement.Integer(column);

    /// <summary>A number, or null.</summary>
    public long? GetNumber(int column) => IsNull(column) ? null : GetInt64(column);

    /// <summary>A number; one that is too large, which only another tool can have written, is the largest.</summary>
    public int GetInt32(int column) => (int)Math.Clamp(statement.Integer(column), int.MinValue, int.MaxValue);

    public bool GetBoolean(int column) => statement.Integer(column) != 0;

    public double GetDouble(int column) => statement.Real(column);

    /// <summary>A text; empty for NULL.</summary>
    public string GetString(int column) => Encoding.UTF8.GetString(statement.Bytes(column));

    /// <summary>A text, or null.</summary>
    public string? GetText(int column) => IsNull(column) ? null : GetString(column);

    /// <summary>A blob, or null.</summary>
    public byte[]? GetBlob(int column) => IsNull(column) ? null : statement.Bytes(column).ToArray();

    public void Dispose() => statement.Reset();
}
