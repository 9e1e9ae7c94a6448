using Microsoft.Data.Sqlite;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>The tables as other tools see them: everything of the first design holds, whatever was added.</summary>
public sealed class SchemaTests
{
    [Fact]
    public async Task Tables_HaveTheFirstDesignsColumnsFirst()
    {
        await using var storage = await StorageFixture.StartAsync();
        using var database = storage.OpenAsOtherTool();

        Assert.Equal(
            [
                "user_id|TEXT||1", "username|TEXT||0", "created_at|DATETIME|CURRENT_TIMESTAMP|0", "last_active|DATETIME|CURRENT_TIMESTAMP|0",
            ],
            Columns("users", 4));
        Assert.Equal(
            [
                "session_id|TEXT||1", "user_id|TEXT||0", "title|TEXT|'New Conversation'|0", "created_at|DATETIME|CURRENT_TIMESTAMP|0",
                "updated_at|DATETIME|CURRENT_TIMESTAMP|0", "is_active|BOOLEAN|TRUE|0",
            ],
            Columns("sessions", 6));
        Assert.Equal(
            [
                "message_id|TEXT||1", "session_id|TEXT||0", "role|TEXT||0", "content|TEXT||0", "model|TEXT||0", "tokens|INTEGER|0|0",
                "created_at|DATETIME|CURRENT_TIMESTAMP|0",
            ],
            Columns("messages", 7));
        Assert.Equal(["users|user_id|NO ACTION"], ForeignKeys("sessions"));
        Assert.Equal(["sessions|session_id|CASCADE"], ForeignKeys("messages"));

        List<string> Columns(string table, int count) =>
            database.Query($"SELECT name, type, dflt_value, pk FROM pragma_table_info('{table}') ORDER BY cid LIMIT {count}");
        List<string> ForeignKeys(string table) =>
            database.Query($"SELECT \"table\", \"to\", on_delete FROM pragma_foreign_key_list('{table}')");
    }

    [Theory]
    [InlineData("idx_users_last_active", "last_active|0")]
    [InlineData("idx_sessions_user_id", "user_id|0")]
    [InlineData("idx_sessions_created_at", "created_at|1")]
    [InlineData("idx_sessions_active", "is_active|0,updated_at|1")]
    [InlineData("idx_messages_session_id", "session_id|0")]
    [InlineData("idx_messages_created_at", "created_at|0")]
    [InlineData("idx_messages_role", "role|0")]
    [InlineData("idx_messages_session_seq", "session_id|0,seq|0")]
    [InlineData("idx_sessions_user_updated", "user_id|0,updated_at|1,session_id|1")]
    public async Task Indexes_AreThere(string index, string columns)
    {
        await using var storage = await StorageFixture.StartAsync();
        using var database = storage.OpenAsOtherTool();

        Assert.Equal(columns.Split(','), database.Query($"SELECT name, \"desc\" FROM pragma_index_xinfo('{index}') WHERE key = 1"));
    }

    [Fact]
    public async Task DefaultRows_AreThere()
    {
        await using var storage = await StorageFixture.StartAsync();
        using var database = storage.OpenAsOtherTool();

        Assert.Equal(["default_user|Developer|1"], database.Query("SELECT user_id, username, session_count FROM users"));
        Assert.Equal(
            ["session_001|default_user|First Conversation|1|1"],
            database.Query("SELECT session_id, user_id, title, is_active, datetime(created_at) IS created_at FROM sessions"));
    }

    [Fact]
    public async Task InsertsOfOtherTools_MeanTheSame()
    {
        await using var storage = await StorageFixture.StartAsync();
        using (var database = storage.OpenAsOtherTool())
        {
            database.Execute("INSERT INTO users (user_id, username) VALUES ('u', 'U')");
            database.Execute("INSERT INTO sessions (session_id, user_id) VALUES ('s', 'u')");
            database.Execute("INSERT INTO messages (message_id, session_id, role, content) VALUES ('m1', 's', 'user', 'hi'), ('m2', 's', 'assistant', 'hello')");
            database.Execute("INSERT INTO messages (message_id, session_id, role, content, model, tokens) VALUES ('m3', 's', 'user', 'more', 'x', 9)");
            Assert.Equal(
                ["m1|1||0|completed", "m2|2|m1|0|completed", "m3|3|m2|9|completed"],
                database.Query("SELECT message_id, seq, parent_id, tokens, status FROM messages WHERE session_id = 's' ORDER BY seq"));
        }

        var session = await storage.GetSessionAsync("s");
        var begun = (await storage.WriteOneAsync(Ask("s", Says("user", "and now?")).In())).TurnBegun;
        var listed = await storage.ListAsync("s");

        Assert.Equal(("New Conversation", 3L, "m3", true), (session.Title, session.MessageCount, session.HeadMessageId, session.IsActive));
        Assert.Equal(["hi", "hello", "more"], begun.History.Select(message => message.Content));
        Assert.Equal([1L, 2L, 3L, 4L, 5L], listed.Select(message => message.Seq));
    }

    [Theory]
    [InlineData("INSERT INTO messages (message_id, session_id, role, content) VALUES ('m', 'session_001', 'robot', 'x')")]
    [InlineData("INSERT INTO messages (message_id, session_id, role, content) VALUES ('m', 'session_001', 'user', NULL)")]
    [InlineData("INSERT INTO messages (message_id, session_id, role, content) VALUES ('m', 'unknown', 'user', 'x')")]
    [InlineData("INSERT INTO messages (message_id, session_id, role, content, status) VALUES ('m', 'session_001', 'user', 'x', 'odd')")]
    [InlineData("INSERT INTO sessions (session_id, user_id) VALUES ('s', 'unknown')")]
    [InlineData("INSERT INTO sessions (session_id) VALUES ('s')")]
    [InlineData("INSERT INTO users (user_id) VALUES ('default_user')")]
    [InlineData("DELETE FROM users WHERE user_id = 'default_user'")]
    public async Task WhatTheFirstDesignRefuses_IsRefused(string sql)
    {
        await using var storage = await StorageFixture.StartAsync();
        using var database = storage.OpenAsOtherTool();

        var refused = Assert.Throws<SqliteException>(() => database.Execute(sql));

        Assert.Equal(19, refused.SqliteErrorCode);
    }

    [Fact]
    public async Task DeletedSession_TakesItsMessagesAlong()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "alice", Says("user", "one"));
        await storage.WriteAsync(turn.In(), turn.Answered("1").In());
        using var database = storage.OpenAsOtherTool();

        database.Execute($"DELETE FROM sessions WHERE session_id = '{turn.SessionId}'");

        Assert.Equal(["0"], database.Query("SELECT count(*) FROM messages"));
        Assert.Equal(["alice|0", "default_user|1"], database.Query("SELECT user_id, session_count FROM users ORDER BY user_id"));
    }

    [Fact]
    public async Task DeletedMessages_LeaveAWholeSession()
    {
        await using var storage = await StorageFixture.StartAsync();
        var ids = Enumerable.Range(1, 6).Select(i => $"m{i}").ToList();
        using (var database = storage.OpenAsOtherTool())
        {
            foreach (var id in ids)
            {
                database.Execute($"INSERT INTO messages (message_id, session_id, role, content) VALUES ('{id}', 'session_001', 'user', '{id}')");
            }

            database.Execute("DELETE FROM messages WHERE message_id IN ('m3', 'm6')");
        }

        var session = await storage.GetSessionAsync("session_001");
        var begun = (await storage.WriteOneAsync(Ask("session_001", Says("user", "next")).In())).TurnBegun;

        Assert.Equal((4L, "m5"), (session.MessageCount, session.HeadMessageId));
        Assert.Equal(["m1", "m2", "m4", "m5"], begun.History.Select(message => message.Content));
        Assert.Equal([1L, 2L, 4L, 5L, 7L, 8L], (await storage.ListAsync("session_001")).Select(message => message.Seq));
    }

    [Fact]
    public async Task AllMessagesDeleted_LeaveAnEmptySession()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = Ask("session_001", Says("user", "one"));
        await storage.WriteAsync(turn.In(), turn.Answered("1").In());
        using (var database = storage.OpenAsOtherTool())
        {
            database.Execute("DELETE FROM messages");
        }

        var session = await storage.GetSessionAsync("session_001");
        var begun = (await storage.WriteOneAsync(Ask("session_001", Says("user", "two")).In())).TurnBegun;

        Assert.Equal((0L, false), (session.MessageCount, session.HasHeadMessageId));
        Assert.Empty(begun.History);
    }

    [Fact]
    public async Task TimesOfBothKinds_SortTogether()
    {
        await using var storage = await StorageFixture.StartAsync();
        var turn = AskNew(NewId(), "default_user", Says("user", "one"));
        await storage.WriteOneAsync(turn.In());
        using var database = storage.OpenAsOtherTool();
        database.Execute("INSERT INTO sessions (session_id, user_id, created_at, updated_at) VALUES ('null times', 'default_user', NULL, NULL)");

        Assert.Equal(
            ["1|1"],
            database.Query("SELECT count(*) = 3, sum(updated_at GLOB '????-??-?? ??:??:??*') = 3 FROM sessions"));
        Assert.Equal(
            ["23"],
            database.Query($"SELECT length(updated_at) FROM sessions WHERE session_id = '{turn.SessionId}'"));
    }
}
