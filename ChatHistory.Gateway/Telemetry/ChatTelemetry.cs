using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using ChatHistory.Gateway.ChatCompletions;
using ChatHistory.Gateway.Relay;
using ChatHistory.Gateway.Turns;
using ChatHistory.Gateway.Upstream;

namespace ChatHistory.Gateway.Telemetry;

/// <summary>The span <c>chat {model}</c> around each call of the model, and the metrics of the GenAI conventions.</summary>
internal sealed class ChatTelemetry : IDisposable
{
    private const string Name = "ChatHistory.Gateway";

    private readonly ActivitySource _source = new(Name);
    private readonly Histogram<double> _duration;
    private readonly Histogram<int> _tokens;
    private readonly Histogram<double> _firstChunk;
    private readonly Histogram<double> _perChunk;
    private readonly UpDownCounter<int> _running;
    private readonly bool _captureContent;

    public ChatTelemetry(IMeterFactory meters, IConfiguration configuration)
    {
        var meter = meters.Create(Name);
        var seconds = new InstrumentAdvice<double> { HistogramBucketBoundaries = GenAI.Metrics.Seconds };
        _duration = meter.CreateHistogram(GenAI.Metrics.OperationDuration, "s", "Duration of a completion.", advice: seconds);
        _firstChunk = meter.CreateHistogram(GenAI.Metrics.TimeToFirstChunk, "s", "Time from the request to the answer's first chunk.", advice: seconds);
        _perChunk = meter.CreateHistogram(GenAI.Metrics.TimePerOutputChunk, "s", "Mean time between chunks after the first.", advice: seconds);
        _tokens = meter.CreateHistogram(
            GenAI.Metrics.TokenUsage, "{token}", "Tokens of a completion, by type.", advice: new InstrumentAdvice<int> { HistogramBucketBoundaries = GenAI.Metrics.Tokens });
        _running = meter.CreateUpDownCounter<int>("chathistory.turns.running", "{turn}", "Turns under way.");
        _captureContent = string.Equals(configuration[GenAI.CaptureContentVariable], "true", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>True where the user has switched message content in telemetry on; only then may logs have any.</summary>
    public bool CapturesContent => _captureContent;

    /// <summary>Begins the span; the HTTP call to the model becomes its child, and the model server's own span that one's.</summary>
    public Chat Start(ChatCompletionRequest request, Turn turn, VllmOptions options)
    {
        var model = request.Model ?? options.Model ?? "";
        var activity = _source.StartActivity(model.Length > 0 ? $"{GenAI.OperationChat} {model}" : GenAI.OperationChat, ActivityKind.Client);
        if (activity is not null)
        {
            Describe(activity, request, turn, options, model);
        }

        _running.Add(1);
        return new Chat(this, activity, model, request);
    }

    public void Dispose() => _source.Dispose();

    private void Describe(Activity activity, ChatCompletionRequest request, Turn turn, VllmOptions options, string model)
    {
        activity.SetTag(GenAI.OperationName, GenAI.OperationChat);
        activity.SetTag(GenAI.ProviderName, GenAI.ProviderVllm);
        activity.SetTag(GenAI.Request.Model, model);
        activity.SetTag(GenAI.Request.Stream, request.Stream);
        activity.SetTag(GenAI.ConversationId, turn.SessionId);
        activity.SetTag(GenAI.Request.ChoiceCount, request.Choices > 1 ? request.Choices : null);
        activity.SetTag(GenAI.Request.MaxTokens, Number(request.Root, "max_completion_tokens") ?? Number(request.Root, "max_tokens"));
        activity.SetTag(GenAI.Request.Temperature, Number(request.Root, "temperature"));
        activity.SetTag(GenAI.Request.TopP, Number(request.Root, "top_p"));
        activity.SetTag(GenAI.Request.Seed, Number(request.Root, "seed"));
        var endpoint = new Uri(options.Endpoint);
        activity.SetTag(GenAI.ServerAddress, endpoint.Host);
        activity.SetTag(GenAI.ServerPort, endpoint.Port);
        if (_captureContent)
        {
            activity.SetTag(GenAI.InputMessages, ContentCapture.Input(turn.ReadHistory(), request.Messages));
        }
    }

    private static double? Number(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) ? number : null;

    /// <summary>One call of the model, from <see cref="Start"/> to <see cref="End"/>.</summary>
    internal sealed class Chat(ChatTelemetry telemetry, Activity? activity, string model, ChatCompletionRequest request) : IDisposable
    {
        public void End(RelayResult result, CompletionObserver observer, Turn turn)
        {
            var error = result.Outcome switch
            {
                RelayOutcome.Completed => null,
                RelayOutcome.StopAsked or RelayOutcome.LimitReached => null,
                RelayOutcome.ClientLeft => "client_disconnected",
                _ => result.Error?.Code ?? "upstream_error",
            };
            var tags = new TagList
            {
                { GenAI.OperationName, GenAI.OperationChat },
                { GenAI.ProviderName, GenAI.ProviderVllm },
                { GenAI.Request.Model, model },
                { GenAI.Response.Model, observer.Model },
            };
            RecordTokens(tags, "input", observer.PromptTokens);
            RecordTokens(tags, "output", observer.CompletionTokens);
            if (error is not null)
            {
                tags.Add(GenAI.ErrorType, error);
            }

            telemetry._duration.Record(turn.Elapsed.TotalSeconds, tags);
            if (request.Stream && turn.TimeToFirstChunk is { } first)
            {
                telemetry._firstChunk.Record(first.TotalSeconds, tags);
                if (observer.Chunks > 1)
                {
                    telemetry._perChunk.Record((turn.Elapsed - first).TotalSeconds / (observer.Chunks - 1), tags);
                }
            }

            if (activity is not null)
            {
                Describe(activity, observer, error);
            }
        }

        public void Dispose()
        {
            telemetry._running.Add(-1);
            activity?.Dispose();
        }

        private void Describe(Activity activity, CompletionObserver observer, string? error)
        {
            activity.SetTag(GenAI.Response.Id, observer.CompletionId);
            activity.SetTag(GenAI.Response.Model, observer.Model);
            activity.SetTag(GenAI.Response.FinishReasons, observer.Choices.Select(choice => choice.FinishReason ?? "error").ToArray());
            activity.SetTag(GenAI.Usage.InputTokens, observer.PromptTokens);
            activity.SetTag(GenAI.Usage.OutputTokens, observer.CompletionTokens);
            if (error is not null)
            {
                activity.SetTag(GenAI.ErrorType, error);
                activity.SetStatus(ActivityStatusCode.Error, error);
            }

            if (telemetry._captureContent)
            {
                activity.SetTag(GenAI.OutputMessages, ContentCapture.Output(observer));
            }
        }

        private void RecordTokens(TagList tags, string type, int? tokens)
        {
            if (tokens is { } count)
            {
                tags.Add(GenAI.TokenType, type);
                telemetry._tokens.Record(count, tags);
            }
        }
    }
}
