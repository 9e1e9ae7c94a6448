using ChatHistory.StorageService.Database;

namespace ChatHistory.StorageService.Writing;

/// <summary>One change to the database. The writer runs it inside a transaction that it shares with others.</summary>
/// <remarks>
/// A refusal must be decided before the first change: there is no rollback for one command alone. <see cref="Execute"/> can run twice,
/// when another command of the same transaction failed and each is then run on its own; only the last run counts.
/// </remarks>
internal abstract class WriteCommand
{
    /// <summary>Why the command was not written; null when it was (or was refused, which each command says itself).</summary>
    public Exception? Failure { get; set; }

    /// <summary>About how many bytes it puts into the queue and into the log.</summary>
    public virtual int Size => 256;

    /// <summary>True for what deletes or ends something: it is written also when the disk is full, into the space held back for it.</summary>
    public virtual bool MayUseBallast => false;

    /// <summary>
    /// True for a command that counts what its owner has (<see cref="Users.OwnerCounters"/>) by itself, and so runs without triggers. They keep the
    /// counters for every other writer; but because of them SQLite copies each page that a statement changes, to undo half a statement.
    /// </summary>
    public virtual bool CountsItself => false;

    /// <summary>Runs while its thread is the one that writes.</summary>
    /// <param name="database">The writer's connection, inside a transaction.</param>
    /// <param name="now">The transaction's time, as the database holds times.</param>
    public abstract void Execute(PreparedConnection database, string now);
}
