using System.Diagnostics;
using System.Globalization;
using ChatHistory.Bench.Load;
using SQLitePCL;

namespace ChatHistory.Bench.Storage;

/// <summary>
/// What SQLite alone takes in the same files, by this process, when the service is gone: no service that keeps these tables comes below it. The last part of a run,
/// because rows are added where the service would not put them.
/// </summary>
internal static class LimitsBench
{
    private const int Reads = 60;
    private const int Page = 51;
    private const string SelectSession = "SELECT * FROM sessions WHERE session_id = ?1";
    private const string SelectLast = "SELECT * FROM messages WHERE session_id = ?1 AND seq < 9223372036854775807 ORDER BY seq DESC LIMIT ?2";

    public static async Task<Section> RunAsync(IReadOnlyList<FilledStorage> storages, Pace pace)
    {
        var section = new Section(
            "Limits",
            "The files of the parts before, with what was appended to them there, and no service: SQLite alone, in the load generator's process. Reads with a reader's cache, p50 / p99 in milliseconds. "
            + "Appends by one thread that commits what 64 producers have given it: the session's row, and one row for a message, each written once.",
            ["what", .. storages.Select(storage => $"{storage.History.Messages:N0} messages"), "largest to smallest"], [], []);
        var cold = new List<TimeSpan[]>();
        foreach (var storage in storages)
        {
            cold.Add(await ReadColdAsync(storage));
        }

        section.Rows.Add([
            "last 50 of a session, cold",
            .. cold.Select(times => times.P50AndP99()),
            (cold[^1].Percentile(50) / cold[0].Percentile(50)).Text("0.00"),
        ]);

        section.Rows.Add(["messages in the file", .. storages.Select(storage => CountOf(storage.DatabasePath)), ""]);
        var appends = storages.Select(_ => new List<double>()).ToArray();
        for (var round = -1; round < pace.Rounds; round++)
        {
            foreach (var (index, storage) in storages.Index())
            {
                using var load = new RawLoad(storage.DatabasePath, likeTheService: true);
                var result = await load.RunAsync(64, pace.Settle, pace.Slice, pace.TurnsPerSession);
                if (round >= 0)
                {
                    appends[index].Add(result.MessagesPerSecond);
                }
            }
        }

        section.Rows.Add([
            "appends, messages/s",
            .. appends.Select(rates => rates.Median().Text("0")),
            appends[^1].Zip(appends[0], (large, small) => large / small).Median().Text("0.00"),
        ]);
        return section;
    }

    private static async Task<TimeSpan[]> ReadColdAsync(FilledStorage storage)
    {
        using var database = new RawDatabase(storage.DatabasePath);
        database.Run("PRAGMA cache_size=-2000");
        using var session = database.Prepare(SelectSession);
        using var last = database.Prepare(SelectLast);
        // The same in every run.
        var random = new Random(5);
        var times = new TimeSpan[Reads];
        for (var i = 0; i < Reads; i++)
        {
            var id = History.SessionId(random.Next(1, storage.History.Sessions + 1));
            await OsCache.PutOutAsync(storage.DatabasePath);
            var began = Stopwatch.GetTimestamp();
            raw.sqlite3_bind_text(session, 1, id);
            raw.sqlite3_bind_text(last, 1, id);
            raw.sqlite3_bind_int(last, 2, Page);
            var rows = Read(session) + Read(last);
            times[i] = Stopwatch.GetElapsedTime(began);
            if (rows != Page + 1)
            {
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"SQLite has {rows} rows of session {id}, and not {Page + 1}."));
            }
        }

        return times;
    }

    private static string CountOf(string path)
    {
        using var database = new RawDatabase(path);
        return database.Texts("SELECT count(*) FROM messages").Single();
    }

    // Each column is looked at: a long text lies on pages of its own.
    private static int Read(sqlite3_stmt statement)
    {
        var rows = 0;
        for (; raw.sqlite3_step(statement) == raw.SQLITE_ROW; rows++)
        {
            for (var column = 0; column < raw.sqlite3_column_count(statement); column++)
            {
                _ = raw.sqlite3_column_blob(statement, column);
            }
        }

        raw.sqlite3_reset(statement);
        return rows;
    }
}
