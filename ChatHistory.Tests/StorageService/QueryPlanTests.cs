extern alias storage;

using System.Text.RegularExpressions;
using storage::ChatHistory.StorageService.ApiKeys;
using storage::ChatHistory.StorageService.Messages;
using storage::ChatHistory.StorageService.Sessions;
using storage::ChatHistory.StorageService.Turns;

namespace ChatHistory.Tests.StorageService;

/// <summary>What a history is read by costs the same however much is stored: it never looks at a whole table, nor sorts.</summary>
public sealed class QueryPlanTests
{
    private static readonly string[] s_queries =
    [
        ApiKey.SelectById,
        ApiKey.SelectOfUser,
        ApiKeysService.SelectStoredBytes,
        ApiKeysService.SelectUsageOfMonth,
        Session.SelectInScope,
        SessionPages.SelectOfUser,
        SessionPages.SelectOfUserAfter,
        SessionPages.CountOfUser,
        MessagePages.SelectAfter,
        MessagePages.SelectBefore,
        MessagePages.SelectById,
        MessagePages.SelectSeqAtOffset,
        MessagePages.SelectSeqAtOffsetFromEnd,
        Message.SelectInScope,
        Children.CountOfParent,
        FrameRows.SelectAfter,
    ];

    // Few rows each, which are sorted: by what they are found.
    private static readonly (string Sql, string Index)[] s_sorted =
    [
        (Children.SelectOfParent, "idx_messages_parent (parent_id=?)"),
        (Choices.SelectOfTurn, "idx_messages_completion (completion_id=?)"),
        (Choices.SelectFirst, "idx_messages_completion (completion_id=?)"),
    ];

    [Fact]
    public async Task Page_IsFoundByAnIndex()
    {
        await using var storage = await StorageFixture.StartAsync();

        Assert.All(s_queries, sql => Assert.All(Plan(storage, sql), IsSearch));
        Assert.All(s_sorted, query =>
        {
            var steps = Plan(storage, query.Sql);

            Assert.Contains(query.Index, steps[0], StringComparison.Ordinal);
            Assert.All(steps.Where(step => step != "USE TEMP B-TREE FOR ORDER BY"), IsSearch);
        });
    }

    private static void IsSearch(string step) => Assert.StartsWith("SEARCH ", step, StringComparison.Ordinal);

    // id|parent|unused|detail. The plan is the same for any value. An EXISTS is a step of its own, below one that has only its name.
    private static List<string> Plan(StorageFixture storage, string sql)
    {
        using var database = storage.OpenAsOtherTool();
        var steps = database.Query($"EXPLAIN QUERY PLAN {Regex.Replace(sql, @"\?\d", "1")}").Select(step => step.Split('|')[^1]).Where(step => !step.Contains("SUBQUERY", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(steps);
        return steps;
    }
}
