using System.Text.Json.Nodes;
using ChatHistory.Gateway.Sessions;

namespace ChatHistory.Gateway.Items;

/// <summary>
/// A page of items: <c>?limit=1..100&amp;order=asc|desc&amp;after={item id}</c>, by default the newest 20.
/// </summary>
internal readonly record struct ItemPage(int Limit, bool Descending, string After)
{
    public static ItemPage Read(HttpRequest request) =>
        new(CursorPage.LimitOf(request), ListOrder.IsDescending(request, byDefault: true), request.Query["after"].ToString());

    /// <summary>The page of these items, which are given oldest first.</summary>
    public IResult Of(IEnumerable<JsonObject> items)
    {
        var ordered = Descending ? [.. items.Reverse()] : items.ToArray();
        var after = After;
        var start = after.Length == 0 ? 0 : Array.FindIndex(ordered, item => (string?)item["id"] == after) + 1;
        if (start == 0 && after.Length > 0)
        {
            throw CursorPage.Unknown(after, "an item of this list");
        }

        var page = ordered.Skip(start).Take(Limit).ToArray();
        return CursorPage.Json(page, item => (string)item["id"]!, (writer, item) => item.WriteTo(writer), hasMore: ordered.Length > start + page.Length);
    }
}
