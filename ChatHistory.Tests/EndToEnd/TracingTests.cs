using System.Text;
using ChatHistory.Tests.Processes;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>One trace per turn through all services, and nothing in it of what was said.</summary>
public sealed class TracingTests(TracedSystem system) : IClassFixture<TracedSystem>
{
    private const string Chat = "chat " + RunningSystem.Model;
    private const string TheCallersSpan = "0123456789abcdef";

    private HttpClient Client => system.Client;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Turn_IsOneTrace_ThroughAllServices(bool stream)
    {
        var prompt = NewPrompt();
        const string Sampling = $"\"model\":\"{RunningSystem.Model}\",\"temperature\":0.5,\"top_p\":0.9,\"seed\":7,\"max_tokens\":40";
        var asked = stream ? (await Client.StreamAsync(Body(prompt, stream, more: Sampling))).SessionId : (await Client.PostJsonAsync(Completions, Body(prompt, stream, more: Sampling))).SessionId;
        var answer = (await Client.MessagesOfAsync(asked))[1];
        var traceId = answer.GetProperty("trace_id").GetString()!;

        var trace = await TraceAsync(traceId);

        // One root, and every other span hangs on another one of this trace.
        Assert.Equal("POST /v1/chat/completions", Assert.Single(trace, span => span.ParentId.Length == 0).Name);
        Assert.Empty(trace.Where(span => span.ParentId.Length > 0).Select(span => span.ParentId).Except(trace.Select(span => span.SpanId)));
        Assert.Equal(["gateway", "storage", "vllm-simulator"], trace.Select(span => span.Service).Distinct().Order());
        Assert.Single(trace, span => span is { Service: "storage", Name: "storage begin_turn" });
        Assert.Single(trace, span => span is { Service: "storage", Name: "storage complete_turn" });

        var chat = Assert.Single(trace, span => span.Name == Chat).Attributes;
        Dictionary<string, string> expected = new()
        {
            ["gen_ai.operation.name"] = "chat",
            ["gen_ai.provider.name"] = "vllm",
            ["gen_ai.conversation.id"] = asked,
            ["gen_ai.request.model"] = RunningSystem.Model,
            ["gen_ai.request.stream"] = stream ? "true" : "false",
            ["gen_ai.request.max_tokens"] = "40",
            ["gen_ai.request.temperature"] = "0.5",
            ["gen_ai.request.top_p"] = "0.9",
            ["gen_ai.request.seed"] = "7",
            ["gen_ai.response.id"] = answer.GetProperty("completion_id").GetString()!,
            ["gen_ai.response.model"] = RunningSystem.Model,
            ["gen_ai.response.finish_reasons"] = answer.GetProperty("finish_reason").GetString()!,
            ["gen_ai.usage.input_tokens"] = answer.GetProperty("prompt_tokens").GetRawText(),
            ["gen_ai.usage.output_tokens"] = answer.GetProperty("tokens").GetRawText(),
            ["server.address"] = "vllm",
            ["server.port"] = "80",
        };
        Assert.Equal(expected.OrderBy(tag => tag.Key), chat.OrderBy(tag => tag.Key));

        using var simulator = new SimulatorProbe(system.Running.Simulator!);
        var received = Assert.Single(await simulator.RequestsWithAsync(prompt));
        Assert.Contains(traceId, received.GetProperty("headers").GetProperty("traceparent").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task FailedTurn_SaysSoInItsSpan()
    {
        var answer = await Client.StreamAsync(Body(NewPrompt(), stream: true, """{"fault":"close"}"""));
        var traceId = (await Client.MessagesOfAsync(answer.SessionId))[1].GetProperty("trace_id").GetString()!;

        var trace = await TraceAsync(traceId);

        Assert.Equal("upstream_ended_early", trace.Single(span => span.Name == Chat).Attributes["error.type"]);
    }

    [Fact]
    public async Task TraceOfTheCaller_IsContinued()
    {
        var traceId = Guid.NewGuid().ToString("N");

        var answer = await Client.SendJsonAsync(HttpMethod.Post, Completions, Body(NewPrompt(), stream: false), ("traceparent", $"00-{traceId}-{TheCallersSpan}-01"));

        Assert.Equal(traceId, (await Client.MessagesOfAsync(answer.SessionId))[1].GetProperty("trace_id").GetString());
        Assert.Contains("storage complete_turn", (await TraceAsync(traceId)).Select(span => span.Name));
    }

    [Fact]
    public async Task WhatIsSaid_IsInNoTelemetryAndInNoLog()
    {
        var (asked, answered) = ($"canary-asked-{Guid.NewGuid():N}", $"canary-answered-{Guid.NewGuid():N}");
        string[] scripts =
        [
            $$"""{"text":"{{answered}}"}""", $$"""{"text":"{{answered}}","reasoning":true}""", $$"""{"text":"{{answered}}","fault":"close"}""", $$"""{"text":"{{answered}}","fault":"error-400"}""",
            $$"""{"text":"{{answered}}","fault":"error-500"}""", $$"""{"{{answered}}":1}""",
        ];
        foreach (var script in scripts)
        {
            await Client.StreamAsync(Body(asked, stream: true, script));
            await Client.PostJsonAsync(Completions, Body(asked, stream: false, script));
        }

        await Client.PostJsonAsync(Completions, $$"""{"messages":[{"role":"{{asked}}"}]}""");
        await Client.PostJsonAsync("/v1/sessions/session_001/messages", $$"""{"role":"user","content":"{{asked}}"}""");
        await RestartAllAsync();

        var (traces, logs, metrics) = (system.Receiver.Exports("/v1/traces"), system.Receiver.Exports("/v1/logs"), system.Receiver.Exports("/v1/metrics"));
        Assert.All(new[] { traces, logs, metrics }, Assert.NotEmpty);
        var files = await Task.WhenAll(Directory.GetFiles(system.Running.LogsDirectory).Select(file => File.ReadAllBytesAsync(file)));
        Assert.NotEmpty(files);
        foreach (var canary in new[] { asked, answered })
        {
            Assert.DoesNotContain(traces.Concat(logs).Concat(metrics).Concat(files), written => written.AsSpan().IndexOf(Encoding.UTF8.GetBytes(canary)) >= 0);
            Assert.DoesNotContain(canary, system.Running.Gateway.Output + system.Running.Storage.Output + system.Running.Simulator!.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task WhatIsSaid_IsInTheTrace_WhenThatIsSwitchedOn()
    {
        const string Switch = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        await system.Running.Gateway.StopAsync();
        await system.Running.Gateway.RestartAsync((Switch, "true"));
        try
        {
            var prompt = NewPrompt();
            var answer = await Client.StreamAsync(Body(prompt, stream: true));
            var traceId = (await Client.MessagesOfAsync(answer.SessionId))[1].GetProperty("trace_id").GetString()!;

            var chat = (await TraceAsync(traceId)).Single(span => span.Name == Chat).Attributes;

            Assert.Equal($$"""[{"role":"user","parts":[{"type":"text","content":"{{prompt}}"}]}]""", chat["gen_ai.input.messages"]);
            Assert.Contains(prompt, chat["gen_ai.output.messages"], StringComparison.Ordinal);
        }
        finally
        {
            await system.Running.Gateway.StopAsync();
            await system.Running.Gateway.RestartAsync((Switch, ""));
        }
    }

    /// <summary>The spans of a turn's trace, once all have arrived: each service exports in its own time.</summary>
    private Task<ExportedSpan[]> TraceAsync(string traceId) => Eventually.GetAsync(
        () => Task.FromResult(system.Receiver.Spans.Where(span => span.TraceId == traceId).ToArray()),
        spans => spans.Any(span => span.Name == "storage complete_turn")
            && spans.Any(span => span.Service == "vllm-simulator")
            && spans.All(span => span.ParentId is "" or TheCallersSpan || spans.Any(parent => parent.SpanId == span.ParentId)));

    // Stopping is what makes a service send all that it still has.
    private async Task RestartAllAsync()
    {
        await system.Running.Gateway.StopAsync();
        await system.Running.Storage.StopAsync();
        await system.Running.Simulator!.StopAsync();
        await system.Running.Storage.RestartAsync();
        await system.Running.Simulator.RestartAsync();
        await system.Running.Gateway.RestartAsync();
        await system.Running.WaitUntilHealthyAsync();
    }
}
