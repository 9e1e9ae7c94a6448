using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator.Recording;

/// <summary>The last requests that reached the "model", oldest first, bounded in number and in bytes.</summary>
internal sealed class RequestLog(IOptions<SimulatorOptions> options)
{
    private const long MaxBytes = 64 * 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly Queue<RecordedRequest> _requests = new();
    private long _bytes;
    private long _received;

    public void Add(RecordedRequest request)
    {
        var capacity = options.Value.RecordedRequests;
        lock (_lock)
        {
            request.Sequence = ++_received;
            _requests.Enqueue(request);
            _bytes += request.Body.Length;
            while (_requests.Count > capacity || (_bytes > MaxBytes && _requests.Count > 1))
            {
                _bytes -= _requests.Dequeue().Body.Length;
            }
        }
    }

    /// <summary>How many came since the start or the last <see cref="Clear"/>, and those still remembered.</summary>
    public (long Received, RecordedRequest[] Requests) Snapshot()
    {
        lock (_lock)
        {
            return (_received, [.. _requests]);
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _requests.Clear();
            _bytes = 0;
            _received = 0;
        }
    }
}
