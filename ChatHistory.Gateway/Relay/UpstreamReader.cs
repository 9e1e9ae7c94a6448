using System.Buffers;
using System.IO.Pipelines;

namespace ChatHistory.Gateway.Relay;

/// <summary>What a wait for the model server's next bytes ended with.</summary>
internal enum ReadOutcome
{
    /// <summary>More bytes are in <see cref="UpstreamReader.Buffer"/>.</summary>
    Arrived,

    /// <summary>The answer's body has ended; <see cref="UpstreamReader.Buffer"/> holds what is left of it.</summary>
    Ended,

    /// <summary>Nothing came for a heartbeat's time; the wait goes on with the next call.</summary>
    Silent,

    /// <summary>Nothing came for the idle timeout.</summary>
    Idle,

    /// <summary>The caller's token fired.</summary>
    Stopped,

    /// <summary>The connection broke; see <see cref="UpstreamReader.Exception"/>.</summary>
    Broken,
}

/// <summary>
/// Reads an answer's body with a limit on silence instead of on time, and tells who ended a wait. Outcomes are values: a broken upstream is an
/// everyday event here.
/// </summary>
internal sealed class UpstreamReader(HttpResponseMessage response, Stream body, TimeSpan idleTimeout, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(15);
    private const int BufferSize = 16 * 1024;

    private readonly PipeReader _reader = PipeReader.Create(body, new StreamPipeReaderOptions(bufferSize: BufferSize));
    private Task<ReadResult>? _pending;
    private long _lastArrival = time.GetTimestamp();
    private long _consumed;
    private long _unread;

    public ReadOnlySequence<byte> Buffer { get; private set; }

    public Exception? Exception { get; private set; }

    /// <summary>How many bytes have come.</summary>
    public long Received => _consumed + _unread;

    public static async Task<UpstreamReader> OpenAsync(HttpResponseMessage response, TimeSpan idleTimeout, TimeProvider time) =>
        // Headers are there already, so this neither waits nor fails.
        new(response, await response.Content.ReadAsStreamAsync(CancellationToken.None), idleTimeout, time);

    /// <summary>Waits for more bytes.</summary>
    public async ValueTask<ReadOutcome> ReadAsync(CancellationToken stop)
    {
        // Asked first: where the next bytes are always there already, nobody ever waits.
        if (stop.IsCancellationRequested)
        {
            return ReadOutcome.Stopped;
        }

        try
        {
            ReadResult result;
            if (_pending is null)
            {
                var read = _reader.ReadAsync(CancellationToken.None);
                _pending = read.IsCompletedSuccessfully ? null : read.AsTask();
                result = _pending is null ? read.Result : default;
            }
            else
            {
                result = default;
            }

            if (_pending is { } pending)
            {
                // The read itself must not be cancelled for a heartbeat: that would close the connection to the model server.
                await ((Task)pending).WaitAsync(NextLook(), time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (!pending.IsCompleted)
                {
                    return stop.IsCancellationRequested ? ReadOutcome.Stopped
                        : time.GetElapsedTime(_lastArrival) >= idleTimeout ? ReadOutcome.Idle
                        : ReadOutcome.Silent;
                }

                _pending = null;
                result = await pending;
            }

            _lastArrival = time.GetTimestamp();
            Buffer = result.Buffer;
            _unread = Buffer.Length;
            return result.IsCompleted ? ReadOutcome.Ended : ReadOutcome.Arrived;
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException or OperationCanceledException)
        {
            _pending = null;
            Exception = exception;
            return ReadOutcome.Broken;
        }
    }

    /// <summary>Gives back what was read: everything before <paramref name="consumed"/> is done with, the rest waits for more.</summary>
    public void Advance(SequencePosition consumed)
    {
        // Before the reader takes its segments back: their lengths are not theirs any more then.
        var unread = Buffer.Slice(consumed).Length;
        _consumed += Buffer.Length - unread;
        _unread = unread;
        _reader.AdvanceTo(consumed, Buffer.End);
        Buffer = default;
    }

    /// <summary>
    /// Starts reading what should be the end of the body. A connection that was read to its end can be used again; nobody waits for it, though.
    /// </summary>
    public void ReadAhead() => _pending ??= _reader.ReadAsync(CancellationToken.None).AsTask();

    /// <summary>Before its end, this closes the connection, and the model server stops generating.</summary>
    public void Close() => response.Dispose();

    public async ValueTask DisposeAsync()
    {
        Close();
        if (_pending is not null)
        {
            await ((Task)_pending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await _reader.CompleteAsync();
    }

    private TimeSpan NextLook()
    {
        var untilIdle = idleTimeout - time.GetElapsedTime(_lastArrival);
        return untilIdle < TimeSpan.Zero ? TimeSpan.Zero : untilIdle < s_heartbeat ? untilIdle : s_heartbeat;
    }
}
