namespace ChatHistory.StorageService.Database;

/// <summary>
/// A number for as long as stored messages change only in ways that <c>prefix_hash</c> shows. Two equal hashes of the same message, seen in the same epoch, mean the
/// same path, word for word.
/// </summary>
/// <remarks>
/// A new epoch begins with each connection of the writer (start, restore, failed commit), when another program has written to the file (its
/// <c>data_version</c>; that is the same after an emptied log), with each deletion (a path may pass through a gap that another program has left, and the hashes behind
/// it do not chain over what is before it), and when an answer is changed that others follow: their hashes chain over what their clients hold of it
/// (<see cref="Turns.TranscriptMatch"/>), so they stay. It is a number of its own each time, for it outlives this process in its callers' memory.
/// </remarks>
internal sealed class PathEpoch
{
    private const string DataVersion = "PRAGMA data_version";

    private long _value = Random.Shared.NextInt64();
    private long _dataVersion;
    private bool _endsWithTransaction;

    /// <summary>The epoch. Whoever reads it before the database can tell later, in a transaction of the writer, whether what was read still holds.</summary>
    public long Value => Volatile.Read(ref _value);

    /// <summary>Called by the writer at the beginning of each transaction.</summary>
    public void TransactionBegan(PreparedConnection writer)
    {
        var dataVersion = writer.Number(DataVersion)!.Value;
        if (_endsWithTransaction || dataVersion != _dataVersion)
        {
            Renew();
        }

        (_dataVersion, _endsWithTransaction) = (dataVersion, false);
    }

    /// <summary>Called by the writer when it deletes something, or changes a message that others follow.</summary>
    public void End()
    {
        Renew();
        // Until the COMMIT readers see the message as it was, so what they read with this number does not hold either.
        _endsWithTransaction = true;
    }

    private void Renew() => Volatile.Write(ref _value, Random.Shared.NextInt64());
}
