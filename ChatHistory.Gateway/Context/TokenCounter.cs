using System.Buffers;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Upstream;
using Microsoft.Extensions.Options;

namespace ChatHistory.Gateway.Context;

/// <summary>Asks the model server how many tokens a text or a chat has, and how many its models can take.</summary>
/// <remarks>
/// <code>
/// POST /tokenize {"model","messages","tools",...}                          →  {"count":9,"max_model_len":32768,"tokens":[...]}
/// POST /tokenize {"model","prompt","add_special_tokens":false}             →  the same
/// GET  /v1/models                                                          →  {"data":[{"id","max_model_len":32768,...}]}
/// </code>
/// All of it is vLLM's (<c>vllm/entrypoints/serve/tokenize</c>). Other servers have no such route, or one of another meaning: then the answer is null.
/// </remarks>
internal sealed class TokenCounter(VllmClient vllm, IOptions<ContextOptions> options, IOptions<VllmOptions> vllmOptions, TimeProvider time)
{
    private const string Path = "tokenize";

    // What a chat request and TokenizeChatRequest have in common, and what decides how many tokens the prompt has.
    private static readonly string[] s_prompt =
        ["model", "messages", "tools", "chat_template", "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "add_special_tokens", "mm_processor_kwargs"];

    // After a failure, so that a model server that hangs does not hold up every turn.
    private static readonly TimeSpan s_pauseAfterFailure = TimeSpan.FromSeconds(10);

    private Windows _windows = new(long.MinValue, []);
    private long _missingUntil = long.MinValue;

    /// <summary>How many tokens the prompt of a chat completion has, exactly; null when the server does not say.</summary>
    /// <param name="upstreamBody">The body as the model server gets it.</param>
    public async Task<int?> CountChatAsync(ReadOnlyMemory<byte> upstreamBody, CancellationToken cancellationToken) =>
        (await AskChatAsync(upstreamBody, cancellationToken)).Count;

    /// <summary>The same, with the reason where there is no count: a model that the server does not have, tools that are none.</summary>
    /// <inheritdoc cref="CountChatAsync"/>
    public async Task<TokenCount> AskChatAsync(ReadOnlyMemory<byte> upstreamBody, CancellationToken cancellationToken)
    {
        var buffer = new ArrayBufferWriter<byte>(upstreamBody.Length);
        using (var body = JsonDocument.Parse(upstreamBody))
        using (var writer = new Utf8JsonWriter(buffer, WireJson.Writer))
        {
            writer.WriteStartObject();
            foreach (var member in body.RootElement.EnumerateObject().Where(member => s_prompt.Contains(member.Name)))
            {
                member.WriteTo(writer);
            }

            writer.WriteEndObject();
        }

        return await AskAsync(buffer.WrittenMemory, cancellationToken);
    }

    /// <summary>How many tokens a text has by itself, as a part of an answer; null when the server does not say.</summary>
    public async Task<int?> CountTextAsync(string? model, string text, CancellationToken cancellationToken)
    {
        if (text.Length == 0)
        {
            return 0;
        }

        var request = new TokenizeTextRequest(model, text);
        return (await AskAsync(JsonSerializer.SerializeToUtf8Bytes(request, ContextJsonContext.Wire.TokenizeTextRequest), cancellationToken)).Count;
    }

    /// <summary>How many tokens prompt and answer of a model may have together; null when that is not known.</summary>
    /// <param name="model">The model's name; null for the default one.</param>
    public async Task<int?> WindowOfAsync(string? model, CancellationToken cancellationToken)
    {
        if (options.Value.MaxTokens is { } configured)
        {
            return configured;
        }

        var windows = _windows;
        if (Now >= windows.Until)
        {
            var read = await GetAsync("v1/models", ContextJsonContext.Wire.ModelWindows, cancellationToken);
            windows = _windows = read?.Data is { } models
                ? new Windows(After(options.Value.WindowMemory), [.. models.OfType<ModelWindow>()])
                : windows with { Until = After(s_pauseAfterFailure) };
        }

        model ??= vllmOptions.Value.Model;
        return model is null && windows.Models is [var only] ? only.MaxModelLen : windows.Models.FirstOrDefault(entry => entry.Id == model)?.MaxModelLen;
    }

    private async Task<TokenCount> AskAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        if (Now < Interlocked.Read(ref _missingUntil))
        {
            return default;
        }

        using var timedOut = new CancellationTokenSource(options.Value.CountTimeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(timedOut.Token, cancellationToken);
        var answer = await vllm.PostAsync(Path, request, Guid.NewGuid().ToString("N"), limit.Token);
        using var response = answer.Response;
        if (response is null)
        {
            return new TokenCount(Count: null, answer.Error ?? (timedOut.IsCancellationRequested ? UpstreamErrors.TimedOut(options.Value.CountTimeout) : null));
        }

        if (response.IsSuccessStatusCode)
        {
            // llama.cpp's /tokenize has another meaning and answers without "count".
            return new TokenCount((await ReadAsync(response, ContextJsonContext.Wire.TokenizeResponse, limit.Token))?.Count, Refusal: null);
        }

        var (error, body) = await UpstreamErrors.ReadAsync(response, options.Value.CountTimeout, time, limit.Token);
        var isMissing = response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented && !IsVllmError(body);
        if (isMissing)
        {
            Interlocked.Exchange(ref _missingUntil, After(options.Value.WindowMemory));
        }

        return new TokenCount(Count: null, isMissing ? null : error);
    }

    // vLLM's 404 for a model that it does not know is {"error":...}; that of a route that is not there is {"detail":...}.
    private static bool IsVllmError(string body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, ContextJsonContext.Wire.TokenizeResponse) is { Error: not null };
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private async Task<T?> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        using var timedOut = new CancellationTokenSource(options.Value.CountTimeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(timedOut.Token, cancellationToken);
        var answer = await vllm.GetAsync(path, limit.Token);
        using var response = answer.Response;
        return response is { IsSuccessStatusCode: true } ? await ReadAsync(response, type, limit.Token) : null;
    }

    private static async Task<T?> ReadAsync<T>(HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            return await JsonSerializer.DeserializeAsync(stream, type, cancellationToken);
        }
        catch (Exception exception) when (exception is JsonException or IOException or HttpRequestException or OperationCanceledException)
        {
            // Counting is a service to the turn; the turn goes on without it.
            return null;
        }
    }

    private long Now => time.GetTimestamp();

    private long After(TimeSpan span) => Now + (long)(span.TotalSeconds * time.TimestampFrequency);

    /// <param name="Until">The timestamp from which on it is asked for again.</param>
    private sealed record Windows(long Until, ModelWindow[] Models);
}

/// <param name="Count">Null when the server does not say.</param>
/// <param name="Refusal">Why not, when the server has said it, or was not reached; null when it has no such route.</param>
internal readonly record struct TokenCount(int? Count, OpenAIError? Refusal);

internal sealed record TokenizeTextRequest(
    [property: JsonPropertyName("model"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Model,
    [property: JsonPropertyName("prompt")] string Prompt)
{
    // No BOS: the text goes on where a prompt ended.
    [JsonPropertyName("add_special_tokens")]
    public bool AddSpecialTokens { get; }
}

internal sealed record TokenizeResponse([property: JsonPropertyName("count")] int? Count, [property: JsonPropertyName("error")] JsonElement? Error);

internal sealed record ModelWindows([property: JsonPropertyName("data")] ModelWindow?[]? Data);

internal sealed record ModelWindow([property: JsonPropertyName("id")] string? Id, [property: JsonPropertyName("max_model_len")] int? MaxModelLen);

[JsonSerializable(typeof(TokenizeTextRequest))]
[JsonSerializable(typeof(TokenizeResponse))]
[JsonSerializable(typeof(ModelWindows))]
[JsonSerializable(typeof(ContextPreview))]
internal sealed partial class ContextJsonContext : JsonSerializerContext
{
    public static ContextJsonContext Wire { get; } = new(WireJson.Options);
}
