using System.Collections.Concurrent;
using System.Globalization;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Database;

/// <summary>The SQLite file: every way in which this service opens it. Nothing is left to a default that a build of SQLite may change.</summary>
internal sealed class DatabaseFile(IOptions<DatabaseOptions> options) : IDisposable
{
    private const int MaxIdleReaders = 16;

    /// <summary>A checkpoint that waits holds up the writer: it had better come again later.</summary>
    private const int CheckpointerBusyTimeoutMilliseconds = 250;

    // Settings of every connection. No memory mapping: an I/O error must be an error code, not a signal that ends the process.
    private static readonly (string Name, string Value)[] s_everyConnection =
    [
        ("mmap_size", "0"),
    ];

    // What the writer adds.
    //  journal_mode, synchronous: with WAL, FULL is one fsync per commit, and a commit that was acknowledged survives a power loss.
    //  wal_autocheckpoint: the writer never stops to copy pages; WalCheckpointer does that on its own connection.
    //  cache_size (KiB): a whole transaction fits, so that none of its pages is written twice.
    //  temp_store: what SQLite keeps to undo half a statement stays in memory. In a file it was most of what the writer wrote (decision 27).
    //  secure_delete: what a user deletes is overwritten, not only forgotten.
    // recursive_triggers stays off: it would only matter to REPLACE, which we do not use.
    private static readonly (string Name, string Value)[] s_writer =
    [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("foreign_keys", "1"),
        ("wal_autocheckpoint", "0"),
        ("journal_size_limit", Text(64 * 1024 * 1024)),
        ("cache_size", "-16384"),
        ("temp_store", "2"),
        ("secure_delete", "1"),
    ];

    private static readonly UnixFileMode s_others = UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private readonly int _busyTimeoutMilliseconds = (int)options.Value.BusyTimeout.TotalMilliseconds;
    private readonly ConcurrentBag<PreparedConnection> _idleReaders = [];

    public string Path { get; } = DatabasePath.Resolve(options.Value.Path);

    public string WalPath => Path + "-wal";

    /// <summary>Through which everybody goes who reads.</summary>
    public ReaderGate Readers { get; } = new();

    /// <summary>Of the connection that writes.</summary>
    public PathEpoch Epoch { get; private set; } = new();

    /// <summary>For the DbContexts that answer queries. Pooled: opening is cheap.</summary>
    public string ReadOnlyConnectionString => ConnectionString(SqliteOpenMode.ReadOnly, pooling: true);

    /// <summary>For migrations.</summary>
    public string MigrationConnectionString => ConnectionString(SqliteOpenMode.ReadWriteCreate, pooling: false);

    /// <summary>Opens the connection that writes, and creates the file when it is missing.</summary>
    /// <exception cref="DatabaseStartException">A setting was not accepted, or SQLite is too old.</exception>
    public PreparedConnection OpenWriter()
    {
        var connection = Open(SqliteOpenMode.ReadWriteCreate);
        SqliteFloor.Require(Version.Parse(connection.ServerVersion));
        // Only a file that is still empty takes it. A turn touches a page of each of thirty trees and the log gets all of them whole, so small ones
        // are half of the log; a longer message has pages of its own (decision 29).
        Set(connection, "page_size", "4096");
        ApplyAndVerify(connection, s_writer);
        RequireUtf8(connection);
        return new PreparedConnection(connection) { Epoch = Epoch = new PathEpoch() };
    }

    /// <summary>Takes others' permissions from a database that was made before the service kept what it makes to its own user. Those of a group are left: an operator may have given them.</summary>
    public void KeepFromOthers()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        foreach (var path in (string[])[Path, WalPath, Path + "-shm"])
        {
            try
            {
                if (File.Exists(path) && File.GetUnixFileMode(path) is var mode && (mode & s_others) != 0)
                {
                    File.SetUnixFileMode(path, mode & ~s_others);
                }
            }
            catch (UnauthorizedAccessException)
            {
                // It belongs to another user, who decides.
            }
        }
    }

    /// <summary>Opens a database file beside the service's own, such as a backup: nothing is kept open of it, and it keeps its settings.</summary>
    public static SqliteConnection OpenAlone(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false }.ToString());
        connection.Open();
        return connection;
    }

    /// <summary>Opens a connection that only checkpoints.</summary>
    public SqliteConnection OpenCheckpointer()
    {
        var connection = Open(SqliteOpenMode.ReadWrite);
        ApplyAndVerify(connection, s_writer);
        Set(connection, "busy_timeout", Text(CheckpointerBusyTimeoutMilliseconds));
        return connection;
    }

    /// <summary>Runs a query on a read-only connection of its own.</summary>
    public T Read<T>(Func<PreparedConnection, T> query)
    {
        var visit = new object();
        Readers.Enter(visit);
        try
        {
            return ReadInside(query);
        }
        finally
        {
            Readers.Leave(visit);
        }
    }

    /// <summary>The same, for queries that belong together: they see one state of the database.</summary>
    public T ReadInSnapshot<T>(Func<PreparedConnection, T> queries) => Read(reader => reader.Snapshot(queries));

    /// <summary>Closes what is open for reading but not in use.</summary>
    public void CloseIdleReaders()
    {
        while (_idleReaders.TryTake(out var reader))
        {
            reader.Dispose();
        }

        using var pooled = new SqliteConnection(ReadOnlyConnectionString);
        SqliteConnection.ClearPool(pooled);
    }

    /// <summary>The settings that a pooled read-only connection needs each time it is handed out.</summary>
    public void ConfigureReader(SqliteConnection connection)
    {
        Set(connection, "busy_timeout", Text(_busyTimeoutMilliseconds));
        foreach (var (name, value) in s_everyConnection)
        {
            Set(connection, name, value);
        }
    }

    public void Dispose() => CloseIdleReaders();

    private T ReadInside<T>(Func<PreparedConnection, T> query)
    {
        if (!_idleReaders.TryTake(out var reader))
        {
            reader = new PreparedConnection(Open(SqliteOpenMode.ReadOnly));
        }

        // A connection that failed is not used again.
        var isWell = false;
        try
        {
            var result = query(reader);
            isWell = true;
            return result;
        }
        catch (Exception exception) when (exception is RpcException or OperationCanceledException)
        {
            // It was the question that was refused, or its caller has left.
            isWell = true;
            throw;
        }
        finally
        {
            if (isWell && _idleReaders.Count < MaxIdleReaders)
            {
                _idleReaders.Add(reader);
            }
            else
            {
                reader.Dispose();
            }
        }
    }

    private SqliteConnection Open(SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(ConnectionString(mode, pooling: false));
        connection.Open();
        ApplyAndVerify(connection, [("busy_timeout", Text(_busyTimeoutMilliseconds)), .. s_everyConnection]);
        return connection;
    }

    private string ConnectionString(SqliteOpenMode mode, bool pooling) =>
        new SqliteConnectionStringBuilder
        {
            DataSource = Path,
            Mode = mode,
            Pooling = pooling,
            // Microsoft.Data.Sqlite repeats what SQLite gave up as busy until this has passed; 0 would be for ever.
            DefaultTimeout = Math.Max(1, _busyTimeoutMilliseconds / 1000),
        }.ToString();

    private static void ApplyAndVerify(SqliteConnection connection, (string Name, string Value)[] settings)
    {
        foreach (var (name, value) in settings)
        {
            Set(connection, name, value);
            var actual = Get(connection, name);
            if (actual != value)
            {
                throw new DatabaseStartException(
                    $"The database {connection.DataSource} did not take PRAGMA {name}={value}; it says '{actual}'. "
                    + "Its file system must support locking and shared memory (no network share), and no other program may hold the file.");
            }
        }
    }

    // Texts are read as the bytes that they are stored as. The encoding of a file is its maker's, and cannot be changed in it.
    private static void RequireUtf8(SqliteConnection connection)
    {
        if (Get(connection, "encoding") is var encoding and not "UTF-8")
        {
            throw new DatabaseStartException(
                $"The database {connection.DataSource} was made by another program, with texts in {encoding}; this service needs UTF-8. "
                + "Move the file away, make a new one with PRAGMA encoding='UTF-8' and read the old one's .dump into it (sqlite3).");
        }
    }

    private static string? Get(SqliteConnection connection, string name)
    {
        using var get = connection.CreateCommand();
        get.CommandText = $"PRAGMA {name}";
        return get.ExecuteScalar()?.ToString();
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static void Set(SqliteConnection connection, string name, string value)
    {
        using var set = connection.CreateCommand();
        set.CommandText = $"PRAGMA {name}={value}";
        set.ExecuteNonQuery();
    }
}
