using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Sessions;

/// <summary><c>?order=asc|desc</c> of a list.</summary>
internal static class ListOrder
{
    public static bool IsDescending(HttpRequest request, bool byDefault = false) => request.Query["order"].ToString() switch
    {
        "" => byDefault,
        "asc" => false,
        "desc" => true,
        var order => throw new OpenAIErrorException(OpenAIError.InvalidRequest($"order is '{order}'; it must be asc or desc.", "order")),
    };
}
