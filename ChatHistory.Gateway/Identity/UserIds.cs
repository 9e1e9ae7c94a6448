using System.Globalization;
using ChatHistory.Gateway.Errors;

namespace ChatHistory.Gateway.Identity;

/// <summary>The names of users, as clients and administrators give them.</summary>
internal static class UserIds
{
    public const int MaxLength = 256;

    /// <exception cref="OpenAIErrorException">It is too long for a name.</exception>
    public static string Check(string userId, string param = "user_id") => userId.Length <= MaxLength
        ? userId
        : throw new OpenAIErrorException(OpenAIError.InvalidRequest(
            $"{param} has {userId.Length.ToString(CultureInfo.InvariantCulture)} characters; at most {MaxLength} are taken. Use an id, such as a UUID.", param));
}
