using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ChatHistory.Storage.V1;
using CsCheck;
using static ChatHistory.Tests.StorageService.Wire;

namespace ChatHistory.Tests.StorageService;

/// <summary>
/// Random appends, forks, head switches and deletions, beside a tree in memory that knows nothing of rows and owners. After each step every
/// session's list, pages, paths, children, counters and hashes are those of the model. CsCheck prints the seed of what fails.
/// </summary>
public sealed class BranchModelTests
{
    private enum Act
    {
        Append, AppendMore, AppendAgain, Switch, Fork, ForkAtHead, DeleteMessage, DeleteSession,
    }

    private static readonly Gen<(Act Act, int Session, int Message)[]> s_steps =
        Gen.Select(Gen.Enum<Act>(), Gen.Int[0, 1000], Gen.Int[0, 1000]).Array[1, 30];

    [Fact]
    public async Task AnyHistory_ShowsWhatTheModelShows()
    {
        await using var storage = await StorageFixture.StartAsync();
        await s_steps.SampleAsync(
            async steps =>
            {
                var model = new Model();
                await storage.Sessions.CreateAsync(new CreateSessionRequest { Scope = Everyone, SessionId = model.Begin(), Session = new NewSession { UserId = "u" } });
                foreach (var step in steps)
                {
                    if (await ActAsync(storage, model, step.Act, step.Session, step.Message))
                    {
                        await CheckAsync(storage, model, step.Message);
                    }
                }
            },
            iter: 5,
            threads: 1);
    }

    private static async Task<bool> ActAsync(StorageFixture storage, Model model, Act act, int sessionNumber, int messageNumber)
    {
        if (model.Sessions.Count == 0)
        {
            return false;
        }

        var session = model.Sessions.Values.ElementAt(sessionNumber % model.Sessions.Count);
        var message = session.Shown.Count == 0 ? null : session.Shown[messageNumber % session.Shown.Count];
        switch (act)
        {
            case Act.Append or Act.AppendMore or Act.AppendAgain:
                model.Append(session, (await storage.AppendAllAsync(session.Id, $"{messageNumber}"))[0], $"{messageNumber}");
                return true;
            case Act.Switch when message is not null:
                await storage.MoveHeadAsync(session.Id, message.Id);
                session.Head = message;
                return true;
            case Act.Fork when message is not null:
                await storage.ForkAsync(session.Id, model.Fork(message), message.Id);
                return true;
            case Act.ForkAtHead when session.Head is { } head:
                await storage.ForkAsync(session.Id, model.Fork(head));
                return true;
            case Act.DeleteMessage when message is not null:
                await storage.Messages.DeleteAsync(new DeleteMessageRequest { Scope = Everyone, MessageId = message.Id });
                model.Delete(message);
                return true;
            case Act.DeleteSession when sessionNumber % 3 == 0:
                await storage.Sessions.DeleteAsync(new DeleteSessionRequest { Scope = Everyone, SessionId = session.Id });
                model.Sessions.Remove(session.Id);
                return true;
            default:
                return false;
        }
    }

    private static async Task CheckAsync(StorageFixture storage, Model model, int salt)
    {
        using (var database = storage.OpenAsOtherTool())
        {
            Assert.Empty(database.Query(StoredBytesTests.WrongCounters));
        }

        foreach (var expected in model.Sessions.Values)
        {
            var shown = string.Join(' ', expected.Shown.Select(message => message.Text));
            var backwards = string.Join(' ', Enumerable.Reverse(expected.Shown).Select(message => message.Text));
            var listed = await storage.Sessions.ListMessagesAsync(new ListMessagesRequest { Scope = Owner("u"), SessionId = expected.Id, Limit = 1000 });
            Assert.Equal(expected.Shown.Select(message => message.Id), listed.Messages.Select(message => message.MessageId));
            Assert.Equal((expected.Shown.Count, expected.Shown.Count), (listed.Total, listed.Session.MessageCount));
            Assert.Equal(listed.Messages.Select(message => message.Seq).Distinct().Order(), listed.Messages.Select(message => message.Seq));
            Assert.Equal(expected.Head?.Id, listed.Session.HasHeadMessageId ? listed.Session.HeadMessageId : null);
            Assert.Equal(shown, await storage.PagedAsync(expected.Id, 1 + (salt % 5), byOffset: salt % 2 == 0, descending: false));
            Assert.Equal(backwards, await storage.PagedAsync(expected.Id, 1 + (salt % 4), byOffset: salt % 2 == 1, descending: true));
            Assert.Equal(
                expected.Head?.Path.Select(message => $"user: {message.Text}") ?? [],
                await storage.TranscriptAsync(expected.Id));

            foreach (var parent in expected.Shown.Prepend(null))
            {
                var children = await storage.Messages.ListChildrenAsync(new ListChildrenRequest { Scope = Owner("u"), SessionId = expected.Id, MessageId = parent?.Id ?? "" });
                Assert.Equal(expected.ChildrenOf(parent).Select(child => (child.Id, expected.ChildrenOf(child).Count())), children.Messages.Select(child => (child.MessageId, child.Children)));
            }

            if (expected.Shown.Count > 0)
            {
                var last = expected.Shown[salt % expected.Shown.Count];
                var path = await storage.Messages.GetPathAsync(new GetPathRequest { Scope = Owner("u"), SessionId = expected.Id, MessageId = last.Id });
                Assert.Equal(last.Path.Select(message => message.Id), path.Messages.Select(message => message.MessageId));
                Assert.Equal(path.Messages.Count, path.Total);
            }
        }

        CheckRows(storage, model);
    }

    /// <summary>No row that nobody shows, and no hash that lies.</summary>
    private static void CheckRows(StorageFixture storage, Model model)
    {
        using var database = storage.OpenAsOtherTool();
        var rows = database.Query("SELECT message_id, coalesce(hex(prefix_hash), '') FROM messages ORDER BY message_id").Select(row => row.Split('|')).ToList();
        var shown = model.Sessions.Values.SelectMany(session => session.Shown).DistinctBy(message => message.Id).ToDictionary(message => message.Id);
        // The model of each run begins anew; what the run before left is its own.
        foreach (var row in rows.Where(row => model.All.ContainsKey(row[0])))
        {
            Assert.True(shown.ContainsKey(row[0]), $"message {row[0]} is stored, but no session shows it");
            Assert.True(row[1].Length == 0 || row[1] == shown[row[0]].Hash, $"message {row[0]} has the hash of another path");
        }

        Assert.Equal(shown.Count, rows.Count(row => shown.ContainsKey(row[0])));
        Assert.Equal([$"{model.Sessions.Count}"], database.Query($"SELECT count(*) FROM sessions WHERE session_id LIKE '{model.Prefix}%'"));
        Assert.Equal(["0"], database.Query("SELECT count(*) FROM users u WHERE session_count <> (SELECT count(*) FROM sessions s WHERE s.user_id = u.user_id)"));
    }

    private sealed class Model
    {
        public string Prefix { get; } = Guid.NewGuid().ToString("N");

        public SortedDictionary<string, ModelSession> Sessions { get; } = [];

        public Dictionary<string, ModelMessage> All { get; } = [];

        private int _sessions;

        public string Begin() => Add([]).Id;

        public string Fork(ModelMessage at) => Add([.. at.Path]).Id;

        public void Append(ModelSession session, string id, string text)
        {
            var message = new ModelMessage(id, text) { Parent = session.Head };
            All.Add(id, message);
            session.Shown.Add(message);
            session.Head = message;
        }

        public void Delete(ModelMessage message)
        {
            foreach (var child in All.Values.Where(child => child.Parent == message))
            {
                child.Parent = message.Parent;
            }

            foreach (var session in Sessions.Values)
            {
                session.Shown.Remove(message);
                session.Head = session.Head == message ? message.Parent : session.Head;
            }
        }

        private ModelSession Add(List<ModelMessage> shown)
        {
            var session = new ModelSession($"{Prefix}-{(_sessions++).ToString("0000", CultureInfo.InvariantCulture)}", shown) { Head = shown.LastOrDefault() };
            Sessions.Add(session.Id, session);
            return session;
        }
    }

    private sealed record ModelSession(string Id, List<ModelMessage> Shown)
    {
        public ModelMessage? Head { get; set; }

        public IEnumerable<ModelMessage> ChildrenOf(ModelMessage? parent) => Shown.Where(message => message.Parent == parent);
    }

    private sealed class ModelMessage(string id, string text)
    {
        public string Id => id;

        public string Text => text;

        public ModelMessage? Parent { get; set; }

        public IEnumerable<ModelMessage> Path => (Parent?.Path ?? []).Append(this);

        /// <summary>The chain as the contract describes it.</summary>
        public string Hash => Convert.ToHexString(
            Path.Aggregate(SHA256.HashData(Encoding.UTF8.GetBytes("u")), (hash, message) => SHA256.HashData([.. hash, .. SHA256.HashData(Encoding.UTF8.GetBytes($"user\n{message.Text}"))])));
    }
}
