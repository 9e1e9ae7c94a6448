using System.Globalization;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Sessions;

/// <summary>Which page of a list is asked for: the seed's <c>limit</c> and <c>offset</c>, or the cursor <c>after</c> of an earlier page, whose cost does not grow with its depth.</summary>
internal readonly record struct Page(int Limit, int Offset, string After)
{
    public const int DefaultLimit = 50;
    public const int MaxLimit = 1000;

    /// <summary>Reads the three from the query, by hand, so that a mistake gets a sentence instead of a bare 400.</summary>
    public static Page Read(HttpRequest request) =>
        new(Number(request, "limit", DefaultLimit, 1, MaxLimit), Number(request, "offset", 0, 0, int.MaxValue), request.Query["after"].ToString());

    private static int Number(HttpRequest request, string name, int byDefault, int min, int max)
    {
        var text = request.Query[name].ToString();
        if (text.Length == 0)
        {
            return byDefault;
        }

        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? number
            : throw new OpenAIErrorException(OpenAIError.InvalidRequest($"{name} is '{text}'; it must be a whole number from {min} to {max}.", name));
    }
}
