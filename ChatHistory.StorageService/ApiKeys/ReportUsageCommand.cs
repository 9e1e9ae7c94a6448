using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Writing;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.ApiKeys;

/// <summary>Notes what was used. Totals of a source only grow, so one that is late or sent again changes nothing.</summary>
internal sealed class ReportUsageCommand(V1.ReportUsageRequest request) : WriteCommand
{
    private const string Report =
        """
        INSERT INTO usage (subject, day, source, tokens, requests) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (subject, day, source) DO UPDATE SET tokens = max(tokens, excluded.tokens), requests = max(requests, excluded.requests)
        """;

    public override int Size => request.CalculateSize();

    public override void Execute(PreparedConnection database, string now)
    {
        foreach (var total in request.Totals)
        {
            database.Execute(Report, total.Subject, total.Day, total.Source, total.Tokens, total.Requests);
        }
    }
}
