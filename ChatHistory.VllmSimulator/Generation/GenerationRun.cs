using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Metrics;

namespace ChatHistory.VllmSimulator.Generation;

/// <summary>
/// One request "on the GPU": its pace and its place in the metrics. Disposed before <see cref="Finish"/> it counts as aborted,
/// whether the client left or a fault cut it.
/// </summary>
internal sealed class GenerationRun : IDisposable
{
    private readonly SimulatorMetrics _metrics;
    private readonly Pacer _pacer;
    private readonly int _promptTokens;
    private int _generatedTokens;
    private bool _hasFirstToken;
    private string? _finishReason;

    public GenerationRun(SimulatorMetrics metrics, Script script, TimeProvider time, int promptTokens)
    {
        _metrics = metrics;
        _promptTokens = promptTokens;
        _pacer = new(script, time);
        metrics.Started(promptTokens);
    }

    /// <summary>Waits for the tokens of step <paramref name="step"/> (from 0); a step makes one token per choice.</summary>
    public async ValueTask WaitForStepAsync(int step, CancellationToken cancellationToken)
    {
        await _pacer.WaitForTokenAsync(step, cancellationToken);
        if (!_hasFirstToken)
        {
            _hasFirstToken = true;
            _metrics.FirstToken(_pacer.Elapsed);
        }
    }

    /// <summary>Waits as long as all of these answers take side by side, as a request that does not stream waits.</summary>
    public async ValueTask WaitForAllAsync(IReadOnlyList<Answer> answers, CancellationToken cancellationToken)
    {
        await WaitForStepAsync(0, cancellationToken);
        await WaitForStepAsync(Math.Max(0, answers.Max(answer => answer.CompletionTokens) - 1), cancellationToken);
        Generated(answers.Sum(answer => answer.CompletionTokens));
    }

    public void Generated(int tokens) => _generatedTokens += tokens;

    public void Finish(IReadOnlyList<Answer> answers) => _finishReason = answers[0].FinishReason;

    public void Dispose() => _metrics.Ended(_promptTokens, _generatedTokens, _finishReason);
}
