using System.Text.Json;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;
using Microsoft.EntityFrameworkCore;

namespace ChatHistory.StorageService.Messages;

/// <summary>Lists of completions. What narrows one down is the caller's choice, so EF Core puts the query together. Takes the scope, or messages that were found by it.</summary>
internal static class CompletionQueries
{
    /// <summary>The other choices of completions, given by their first ones, in their order.</summary>
    public static async Task<List<Message>> ListAlternativesAsync(
        this ChatHistoryDbContext database, IReadOnlyCollection<Message> firstChoices, CancellationToken cancellationToken)
    {
        var ids = firstChoices.Select(m => m.CompletionId!).ToArray();
        var choices = await database.Messages
            .Where(m => m.CompletionId != null && ids.Contains(m.CompletionId))
            .OrderBy(m => m.Seq)
            .ToListAsync(cancellationToken);
        // A model server may give an id twice; a completion is what one turn asked for.
        var turns = firstChoices.Select(m => (m.CompletionId, m.SessionId, m.ParentId)).ToHashSet();
        var first = firstChoices.Select(m => m.MessageId).ToHashSet();
        return [.. choices.Where(m => !first.Contains(m.MessageId) && turns.Contains((m.CompletionId, m.SessionId, m.ParentId)))];
    }

    /// <summary>A page of completions by message id, which is the order in which they were begun.</summary>
    /// <param name="database">The database.</param>
    /// <param name="scope">Whose may be listed.</param>
    /// <param name="userId">Whose are; null for all in the scope.</param>
    /// <param name="model">Null for any.</param>
    /// <param name="metadata">Members that the metadata of each has.</param>
    /// <param name="after">Empty for the first page.</param>
    /// <param name="descending">Newest first.</param>
    /// <param name="limit">At most.</param>
    /// <param name="cancellationToken">Ends the query.</param>
    public static Task<List<Message>> ListCompletionsAsync(
        this ChatHistoryDbContext database, UserScope scope, string? userId, string? model, IDictionary<string, string> metadata,
        string after, bool descending, int limit, CancellationToken cancellationToken)
    {
        var completions = metadata.Count == 0 ? database.Messages : WithMetadata(database, metadata);
        completions = completions.Where(m => m.CompletionId != null && m.UserId != null);
        if ((userId ?? scope.Owner) is { } owner)
        {
            completions = completions.Where(m => m.UserId == owner);
        }

        if (model is not null)
        {
            completions = completions.Where(m => m.Model == model);
        }

        if (after.Length > 0)
        {
            completions = descending
                ? completions.Where(m => string.Compare(m.MessageId, after) < 0)
                : completions.Where(m => string.Compare(m.MessageId, after) > 0);
        }

        completions = FirstChoices(database, completions);
        return (descending ? completions.OrderByDescending(m => m.MessageId) : completions.OrderBy(m => m.MessageId))
            .Take(limit)
            .ToListAsync(cancellationToken);
    }

    private static IQueryable<Message> FirstChoices(ChatHistoryDbContext database, IQueryable<Message> completions) =>
        completions.Where(m => !database.Messages.Any(
            first => first.CompletionId == m.CompletionId && first.SessionId == m.SessionId && first.ParentId == m.ParentId && first.Seq < m.Seq));

    // The filter is one parameter, a JSON object, so that keys are never part of a path expression. Other tools may have written anything.
    private static IQueryable<Message> WithMetadata(ChatHistoryDbContext database, IDictionary<string, string> metadata)
    {
        var filter = JsonSerializer.Serialize(metadata);
        return database.Messages.FromSql(
            $$"""
            SELECT m.* FROM messages m
            WHERE NOT EXISTS (
                SELECT 1 FROM json_each({{filter}}) f
                WHERE NOT EXISTS (
                    SELECT 1 FROM json_each(CASE WHEN json_valid(m.metadata) THEN m.metadata ELSE '[]' END) v
                    WHERE v.key = f.key AND v.value = f.value))
            """);
    }
}
