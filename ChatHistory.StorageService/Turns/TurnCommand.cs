using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>A command of a turn. Its outcome is a value: many turns travel in one call, and one's refusal is not the others'.</summary>
internal abstract class TurnCommand(UserScope scope, int size) : Writing.WriteCommand
{
    public override int Size => size;

    public sealed override bool CountsItself => true;

    /// <summary>The name of its span.</summary>
    public abstract string Operation { get; }

    /// <summary>Set by <see cref="Execute"/>.</summary>
    public WriteResult Result { get; private set; } = new();

    protected UserScope Scope => scope;

    public sealed override void Execute(PreparedConnection database, string now) => Result = Write(database, now);

    protected abstract WriteResult Write(PreparedConnection database, string now);

    public static WriteResult Refuse(Refusal.Types.Reason reason, string detail) =>
        new() { Refusal = new Refusal { Reason = reason, Detail = detail } };

    public static WriteResult Invalid(string detail) => Refuse(Refusal.Types.Reason.Invalid, detail);

    protected static WriteResult QuotaExceeded() => Refuse(Refusal.Types.Reason.QuotaExceeded, "The owner has stored as much as it may.");

    protected static WriteResult SessionNotFound() => Refuse(Refusal.Types.Reason.SessionNotFound, "No such session.");

    protected static WriteResult MessageNotFound() => Refuse(Refusal.Types.Reason.MessageNotFound, "No such message in this session.");
}
