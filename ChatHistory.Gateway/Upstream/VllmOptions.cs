using System.ComponentModel.DataAnnotations;

namespace ChatHistory.Gateway.Upstream;

/// <summary>
/// The model server; section <c>Vllm</c>. What is not set here comes from the connection string <c>vllm</c>
/// (<c>Endpoint=http://host:8000/v1;Key=...;Model=...</c>), which the AppHost gives.
/// </summary>
internal sealed class VllmOptions
{
    public const string Section = "Vllm";

    /// <summary>
    /// Where it is, with or without a trailing <c>/v1</c>. The default is a name that service discovery resolves
    /// (<c>services__vllm__http__0</c>).
    /// </summary>
    [Required]
    public string Endpoint { get; set; } = "http://vllm";

    /// <summary>Sent as the bearer key, instead of the caller's own.</summary>
    public string? ApiKey { get; set; }

    /// <summary>The model for requests that name none.</summary>
    public string? Model { get; set; }

    /// <summary>True: each owner has a prefix cache of its own in the model server (<see cref="CacheSalt"/>). Needs vLLM; other servers may refuse the parameter.</summary>
    public bool CacheSaltPerOwner { get; set; }

    /// <summary>The longest to wait for a connection.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The longest to wait for an answer's headers: a long prompt in a long queue, or a whole answer that is not streamed.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    public TimeSpan ResponseTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>The longest silence inside an answer. It begins anew with every byte: a stream may last as long as it flows.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// The longest answer, in bytes as the model server sends them (a token takes about 250 in a stream, 4000 with all its logprobs). A model that does not find an end is stopped
    /// there: a stream ends with finish_reason <c>length</c>, and what has come of it is kept. The whole answer of a request is in memory while it lasts.
    /// </summary>
    [Range(1024, 128L * 1024 * 1024)]
    public long MaxAnswerBytes { get; set; } = 64L * 1024 * 1024;

    /// <summary>The longest time for one answer, from the start of its turn; it ends there in the same way.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "7.00:00:00")]
    public TimeSpan MaxAnswerTime { get; set; } = TimeSpan.FromHours(6);
}
