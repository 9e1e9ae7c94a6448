using Grpc.Core;
using Microsoft.Data.Sqlite;

namespace ChatHistory.StorageService.Database;

/// <summary>The gRPC status of every way in which a call can fail; the one place that spells them.</summary>
internal static class StorageStatus
{
    private const int SqliteBusy = 5;
    private const int SqliteFull = 13;

    /// <summary>Also for what belongs to somebody else: the two answers must not differ.</summary>
    public static RpcException NotFound(string what) => new(new Status(StatusCode.NotFound, $"No such {what}."));

    public static RpcException Invalid(string field, string rule) => new(new Status(StatusCode.InvalidArgument, $"{field} {rule}."));

    public static RpcException AlreadyExists(string what) => new(new Status(StatusCode.AlreadyExists, $"{what} already exists with other content."));

    /// <summary>The scope's owner has stored as much as it may (Scope.max_stored_bytes).</summary>
    public static RpcException QuotaExceeded() => new(new Status(StatusCode.PermissionDenied, "The owner has stored as much as it may."));

    public static RpcException Unavailable(string why) => new(new Status(StatusCode.Unavailable, why));

    public static RpcException Overloaded(string why) => new(new Status(StatusCode.ResourceExhausted, why));

    /// <summary>Not RESOURCE_EXHAUSTED, which is gone in a moment: here somebody has to do something first.</summary>
    public static RpcException DiskFull() =>
        new(new Status(StatusCode.FailedPrecondition, "The disk is full: nothing was written. Free space on the database's volume, or delete sessions."));

    /// <summary>What the database said. Its own text stays in the log: it may name paths, and constraints may quote values.</summary>
    public static RpcException Of(SqliteException exception) => exception.SqliteErrorCode switch
    {
        SqliteFull => DiskFull(),
        SqliteBusy => Unavailable("The database is locked by another program; try again."),
        var code => Unavailable($"The database could not be used (SQLite error {code}); nothing was written."),
    };
}
