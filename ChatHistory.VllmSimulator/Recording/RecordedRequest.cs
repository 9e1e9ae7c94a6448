namespace ChatHistory.VllmSimulator.Recording;

/// <summary>How a request went, as far as the simulator can know.</summary>
internal enum RecordedOutcome
{
    Running,
    Answered,
    Aborted,
}

/// <summary>One request as it arrived. The outcome is filled in while it is answered.</summary>
internal sealed class RecordedRequest(DateTimeOffset receivedAt, string path, IReadOnlyList<KeyValuePair<string, string>> headers, ReadOnlyMemory<byte> body)
{
    /// <summary>Position among all requests since the start, from 1.</summary>
    public long Sequence { get; set; }

    public DateTimeOffset ReceivedAt => receivedAt;

    public string Path => path;

    public IReadOnlyList<KeyValuePair<string, string>> Headers => headers;

    public ReadOnlyMemory<byte> Body => body;

    public RecordedOutcome Outcome { get; set; }

    public int Status { get; set; }
}
