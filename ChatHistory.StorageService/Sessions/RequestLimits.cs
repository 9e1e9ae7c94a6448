using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Sessions;

/// <summary>The limits and offsets of lists.</summary>
internal static class RequestLimits
{
    /// <summary>Larger pages are cut to this; the reply then says that there is more.</summary>
    private const int Max = 1000;

    public static int Of(int limit, int byDefault) => limit switch
    {
        < 0 => throw StorageStatus.Invalid("limit", "must not be negative"),
        0 => byDefault,
        _ => Math.Min(limit, Max),
    };

    public static int Offset(int offset) => offset >= 0 ? offset : throw StorageStatus.Invalid("offset", "must not be negative");
}
