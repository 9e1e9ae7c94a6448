namespace ChatHistory.StorageService.Database;

/// <summary>
/// Knows which connections read at the moment, and can shut them out. The file is put in another's place only when nobody has it open: the last
/// connection that closes removes the write-ahead log by its name, and that would then be the log of the new file.
/// </summary>
internal sealed class ReaderGate
{
    private readonly HashSet<object> _reading = [];
    private readonly Lock _lock = new();
    private string? _closedBecause;
    private TaskCompletionSource? _empty;

    /// <summary>Lets a connection in.</summary>
    /// <exception cref="Grpc.Core.RpcException">UNAVAILABLE: the gate is closed.</exception>
    public void Enter(object reader)
    {
        lock (_lock)
        {
            if (_closedBecause is not null)
            {
                throw StorageStatus.Unavailable(_closedBecause);
            }

            _reading.Add(reader);
        }
    }

    /// <summary>The connection reads no more. It may never have come in.</summary>
    public void Leave(object reader)
    {
        lock (_lock)
        {
            _reading.Remove(reader);
            if (_reading.Count == 0)
            {
                _empty?.TrySetResult();
            }
        }
    }

    /// <summary>Lets nobody in any more, and waits until all are out.</summary>
    /// <exception cref="TimeoutException">Somebody still reads; the gate stays closed.</exception>
    public Task CloseAsync(string because, TimeSpan patience, TimeProvider time)
    {
        lock (_lock)
        {
            _closedBecause = because;
            _empty = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _reading.Count == 0 ? Task.CompletedTask : _empty.Task.WaitAsync(patience, time);
        }
    }

    public void Open()
    {
        lock (_lock)
        {
            _closedBecause = null;
            _empty = null;
        }
    }
}
