using System.Security.Cryptography;
using System.Text;
using SQLitePCL;

namespace ChatHistory.Bench.Storage;

/// <summary>
/// Fills a database that the service has made with as many messages as asked for, as the service would have written them: places, chains of hashes,
/// heads, counters. Much faster, because indexes and triggers are put aside and made again at the end.
/// </summary>
/// <remarks>
/// Sessions have 60 messages, and a thousand of them grow side by side, as they do in life. One session is a giant, with a tenth of all messages. A user
/// has a hundred sessions, whatever the size.
/// </remarks>
internal sealed class Filler(History history)
{
    private const string Time = "2026-01-01 00:00:00.000";

    private readonly Dictionary<int, Place> _places = [];

    public void Fill(string path)
    {
        using var database = new RawDatabase(path);
        // Messages come before their sessions here.
        database.Run("PRAGMA foreign_keys=0; PRAGMA synchronous=0; PRAGMA wal_autocheckpoint=2000; PRAGMA cache_size=-262144");
        var aside = PutAside(database);
        database.Run("BEGIN");
        using (var insert = database.Prepare(RawMessage.InsertInPlace))
        {
            foreach (var session in history.InOrderOfTime())
            {
                Append(database, insert, session);
            }
        }

        InsertSessions(database);
        database.Run("COMMIT");
        // One transaction for each: together they would grow the log by the whole file.
        aside.ForEach(database.Run);
        database.Run("ANALYZE sqlite_schema; PRAGMA wal_checkpoint(TRUNCATE)");
    }

    private void Append(RawDatabase database, sqlite3_stmt insert, int session)
    {
        if (!_places.TryGetValue(session, out var place))
        {
            _places.Add(session, place = new Place(SHA256.HashData(Encoding.UTF8.GetBytes(History.UserOf(session)))));
        }

        var (role, content) = History.Message(session, ++place.Seq);
        place.Hash = Texts.Chain(place.Hash, Texts.Digest(role, content));
        var id = History.MessageId(session, place.Seq);
        new RawMessage(id, History.SessionId(session), History.UserOf(session), place.Head, place.Seq, role, content, place.Hash).Bind(insert, Time);
        raw.sqlite3_bind_int(insert, 21, RowOf(session));
        database.Step(insert);
        place.Head = id;
        place.Bytes += Encoding.UTF8.GetByteCount(content);
    }

    private void InsertSessions(RawDatabase database)
    {
        using var insert = database.Prepare(
            """
            INSERT INTO sessions (rowid, session_id, user_id, title, created_at, updated_at, message_count, last_seq, prompt_tokens, completion_tokens, head_message_id)
            VALUES (?6, ?1, ?2, 'New Conversation', ?3, ?3, ?4, ?4, ?4 * 20, ?4 * 100, ?5)
            """);
        foreach (var (session, place) in _places)
        {
            raw.sqlite3_bind_text(insert, 1, History.SessionId(session));
            raw.sqlite3_bind_text(insert, 2, History.UserOf(session));
            raw.sqlite3_bind_text(insert, 3, Time);
            raw.sqlite3_bind_int(insert, 4, place.Seq);
            raw.sqlite3_bind_text(insert, 5, place.Head!);
            raw.sqlite3_bind_int(insert, 6, RowOf(session));
            database.Step(insert);
        }

        using var user = database.Prepare("INSERT INTO users (user_id, session_count, stored_bytes) VALUES (?1, ?2, ?3)");
        foreach (var sessions in _places.GroupBy(place => History.UserOf(place.Key)))
        {
            raw.sqlite3_bind_text(user, 1, sessions.Key);
            raw.sqlite3_bind_int(user, 2, sessions.Count());
            raw.sqlite3_bind_int64(user, 3, sessions.Sum(place => place.Value.Bytes + "New Conversation".Length));
            database.Step(user);
        }
    }

    // Behind the session that every new database has.
    private static int RowOf(int session) => session + 2;

    /// <summary>Drops indexes and triggers; returns the statements that make them again.</summary>
    private static List<string> PutAside(RawDatabase database)
    {
        var (drop, make) = (new List<string>(), new List<string>());
        using (var all = database.Prepare("SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type"))
        {
            while (raw.sqlite3_step(all) == raw.SQLITE_ROW)
            {
                drop.Add($"DROP {raw.sqlite3_column_text(all, 0).utf8_to_string()} \"{raw.sqlite3_column_text(all, 1).utf8_to_string()}\"");
                make.Add(raw.sqlite3_column_text(all, 2).utf8_to_string());
            }
        }

        drop.ForEach(database.Run);
        return make;
    }

    private sealed class Place(byte[] hash)
    {
        public byte[] Hash { get; set; } = hash;

        public string? Head { get; set; }

        public int Seq { get; set; }

        public long Bytes { get; set; }
    }
}
