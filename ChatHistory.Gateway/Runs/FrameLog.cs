namespace ChatHistory.Gateway.Runs;

/// <summary>
/// The frames of one streamed answer, numbered from 1. One writes (the relay), any number read along: those who joined, those who
/// resume, and the checkpoints.
/// </summary>
internal sealed class FrameLog
{
    private readonly List<byte[]> _frames = [];
    private readonly Lock _lock = new();

    // Made by the first who waits: mostly nobody does, and there is a frame for each token.
    private TaskCompletionSource? _changed;
    private bool _ended;

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _frames.Count;
            }
        }
    }

    public void Add(byte[] frame)
    {
        lock (_lock)
        {
            _frames.Add(frame);
            WakeUp();
        }
    }

    /// <summary>No frame follows.</summary>
    public void End()
    {
        lock (_lock)
        {
            _ended = true;
            WakeUp();
        }
    }

    /// <summary>The frames with a number above <paramref name="number"/>.</summary>
    public byte[][] After(int number)
    {
        lock (_lock)
        {
            return number >= _frames.Count ? [] : [.. _frames.Skip(Math.Max(number, 0))];
        }
    }

    /// <summary>Completes when there is a frame above <paramref name="number"/> (true), or none will follow (false).</summary>
    public async Task<bool> WaitAsync(int number, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (_frames.Count > number)
                {
                    return true;
                }

                if (_ended)
                {
                    return false;
                }

                _changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    // Under the lock: who waits goes on elsewhere.
    private void WakeUp()
    {
        _changed?.SetResult();
        _changed = null;
    }
}
