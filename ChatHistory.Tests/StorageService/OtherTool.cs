using Microsoft.Data.Sqlite;

namespace ChatHistory.Tests.StorageService;

/// <summary>Uses the database file as a program would that knows nothing of this service: the sqlite3 shell, a script.</summary>
internal static class OtherTool
{
    public static SqliteConnection Open(string databasePath)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = databasePath, Pooling = false, ForeignKeys = true }.ToString());
        connection.Open();
        return connection;
    }

    public static int Execute(this SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteNonQuery();
    }

    /// <summary>The file is whole, and nothing in it refers to what is not there.</summary>
    public static void AssertSound(this SqliteConnection connection)
    {
        Assert.Equal(["ok"], connection.Query("PRAGMA integrity_check"));
        Assert.Empty(connection.Query("PRAGMA foreign_key_check"));
    }

    /// <summary>The rows, each as its columns joined with <c>|</c>, as the sqlite3 shell prints them.</summary>
    public static List<string> Query(this SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        var rows = new List<string>();
        while (reader.Read())
        {
            rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(column => reader.IsDBNull(column) ? "" : reader.GetString(column))));
        }

        return rows;
    }
}
