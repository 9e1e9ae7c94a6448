using System.Buffers;

namespace ChatHistory.Gateway.Relay;

/// <summary>
/// Gives a writer what the relay has for it, without waiting for a client that reads slowly: storage and the model go on at their own pace, and the
/// client catches up from what waits for it here. Only when that is more than 1 MB does the answer wait for its reader.
/// </summary>
/// <remarks>
/// While the client keeps up there is no queue: frames go straight to the writer. What waits are the very arrays that the run's log holds. How long a
/// client may take nothing at all is the writer's affair (<see cref="Admission.ClientStall"/>).
/// </remarks>
internal sealed class ClientFlow(IAnswerWriter writer)
{
    private const int MaxWaitingBytes = 1024 * 1024;
    private const int BatchBytes = 64 * 1024;

    private readonly Lock _lock = new();
    private readonly Queue<(byte[] Frame, ChunkKind Kind)> _waiting = new();
    private int _waitingBytes;
    private bool _isBehind;
    private Task _catchingUp = Task.CompletedTask;

    /// <summary>A frame for the client.</summary>
    /// <param name="copy">The frame once more, as the run's log keeps it; null makes one when it is needed.</param>
    public void Write(in ReadOnlySequence<byte> frame, ReadOnlyMemory<byte> data, ChunkKind kind, byte[]? copy)
    {
        lock (_lock)
        {
            if (_isBehind)
            {
                copy ??= frame.ToArray();
                _waiting.Enqueue((copy, kind));
                _waitingBytes += copy.Length;
                return;
            }
        }

        // Only this side makes the other one begin, so nobody else uses the writer now.
        writer.Write(frame, data, kind);
    }

    /// <summary>What was written goes out. Completes at once, unless too much waits already.</summary>
    /// <param name="stopping">The answer is no longer wanted: not waited for any more.</param>
    public async ValueTask FlushAsync(CancellationToken stopping)
    {
        lock (_lock)
        {
            if (_isBehind && _waitingBytes <= MaxWaitingBytes)
            {
                return;
            }
        }

        if (!_catchingUp.IsCompleted)
        {
            await _catchingUp.WaitAsync(stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return;
        }

        Begin(writer.FlushAsync());
    }

    /// <summary>A sign of life, for a client that has got everything so far.</summary>
    public void Heartbeat()
    {
        if (_catchingUp.IsCompleted)
        {
            Begin(writer.HeartbeatAsync());
        }
    }

    /// <summary>Completes when the client has got everything, or is gone.</summary>
    public Task CaughtUpAsync() => _catchingUp;

    private void Begin(ValueTask flush)
    {
        if (flush.IsCompletedSuccessfully)
        {
            return;
        }

        lock (_lock)
        {
            _isBehind = true;
        }

        _catchingUp = CatchUpAsync(flush);
    }

    private async Task CatchUpAsync(ValueTask flush)
    {
        var batch = new List<(byte[] Frame, ChunkKind Kind)>();
        while (true)
        {
            await flush;
            batch.Clear();
            lock (_lock)
            {
                for (var bytes = 0; bytes < BatchBytes && _waiting.TryDequeue(out var next); bytes += next.Frame.Length)
                {
                    batch.Add(next);
                    _waitingBytes -= next.Frame.Length;
                }

                if (batch.Count == 0)
                {
                    _isBehind = false;
                    return;
                }
            }

            foreach (var (frame, kind) in batch)
            {
                var sequence = new ReadOnlySequence<byte>(frame);
                writer.Write(sequence, SseFrames.Data(sequence), kind);
            }

            flush = writer.FlushAsync();
        }
    }
}
