extern alias storage;

using System.Text.RegularExpressions;
using storage::ChatHistory.StorageService.Messages;
using storage::ChatHistory.StorageService.Sessions;

namespace ChatHistory.Tests.StorageService;

/// <summary>What a history is read by costs the same however much is stored: it never looks at a whole table, nor sorts.</summary>
public sealed class QueryPlanTests
{
    private static readonly string[] s_queries =
    [
        Session.SelectInScope,
        SessionPages.SelectOfUser,
        SessionPages.SelectOfUserAfter,
        SessionPages.CountOfUser,
        MessagePages.SelectAfter,
        MessagePages.SelectBefore,
        MessagePages.SelectById,
        MessagePages.SelectSeqAtOffset,
        MessagePages.SelectSeqAtOffsetFromEnd,
    ];

    [Fact]
    public async Task Page_IsFoundByAnIndex()
    {
        await using var storage = await StorageFixture.StartAsync();
        using var database = storage.OpenAsOtherTool();

        Assert.All(s_queries, sql =>
        {
            // id|parent|unused|detail. The plan is the same for any value.
            var steps = database.Query($"EXPLAIN QUERY PLAN {Regex.Replace(sql, @"\?\d", "1")}").Select(step => step.Split('|')[^1]).ToList();

            Assert.All(steps, step => Assert.StartsWith("SEARCH ", step, StringComparison.Ordinal));
            Assert.NotEmpty(steps);
        });
    }
}
