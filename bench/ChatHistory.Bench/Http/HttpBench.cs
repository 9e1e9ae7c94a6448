using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using ChatHistory.Bench.Load;
using ChatHistory.Bench.Targets;
using ChatHistory.Bench.Upstream;
using Microsoft.Data.Sqlite;

namespace ChatHistory.Bench.Http;

/// <summary>Everything over HTTP in one run: all targets stand side by side the whole time and take turns.</summary>
internal sealed class HttpBench : IAsyncDisposable
{
    // Between two slices: what the one before left to do in the background is not the next one's.
    private static readonly TimeSpan s_settle = TimeSpan.FromMilliseconds(250);

    private readonly string _repository;
    private readonly string _folder;
    private readonly Pace _pace;
    private readonly Results _results = new();
    private readonly List<Target> _targets = [];
    private readonly List<string> _leftOut = [];
    private ChildProcess? _upstream;
    private TelemetrySink? _telemetry;
    private int _upstreamPort;

    // Of the product: what it answered, and what it was asked and nobody waited for: wrk leaves when its time is over.
    private long _answered;
    private long _abandoned;
    private TimeSpan _cpuInSlices;

    private HttpBench(string repository, string folder, Pace pace) => (_repository, _folder, _pace) = (repository, folder, pace);

    /// <returns>0; 1 when an answer was wrong or a turn is missing in the database. A missed target is a result and no failure.</returns>
    public static async Task<int> RunAsync(string repository, string[] args)
    {
        if (!Wrk.IsThere)
        {
            Console.Error.WriteLine("wrk is needed: apt-get install wrk");
            return 2;
        }

        var folder = Path.Combine(repository, "bench/.work");
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        Directory.CreateDirectory(folder);
        await using var bench = new HttpBench(repository, folder, Pace.From(args));
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, bench.Stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, bench.Stop);
        return await bench.RunAsync();
    }

    private async Task<int> RunAsync()
    {
        var machine = Machine.Here(_folder);
        Console.WriteLine(machine);
        if (!machine.IsRealDisk)
        {
            Console.Error.WriteLine("The repository lies in memory: commits would cost nothing. Measure on a disk.");
            return 2;
        }

        var others = new OthersCpu();
        await StartAsync();
        foreach (var target in _targets)
        {
            await CheckAsync(target);
        }

        await WarmUpAsync();
        await LetCompileAsync();
        var product = _targets.Single(target => target.Name == Target.Product);
        using var tables = new TablesAlone(Path.Combine(_folder, "tables.db"), ChatHistoryProduct.Database(_folder));
        var (cpuBefore, slicesBefore) = (product.Cpu, _cpuInSlices);
        for (var round = 0; round < _pace.Rounds; round++)
        {
            foreach (var (number, workload) in Workload.All.Where(workload => _pace.Includes(workload.Name)).Index())
            {
                await RoundAsync(workload, round + number);
            }

            if (_pace.Includes(TablesAlone.Name))
            {
                await tables.RoundAsync(_results, TimeSpan.FromSeconds(_pace.SliceSeconds));
            }

            if (_pace.Includes(SessionWorkload.Name))
            {
                await SessionWorkload.RoundAsync(product, _pace.SessionTurns, _results, run => MeasureAsync(product, run));
            }

            Console.WriteLine($"round {round + 1} of {_pace.Rounds} is done");
        }

        // Metrics and the last spans go a while after the load.
        await Task.Delay(_pace.Afterwards);
        var (cpu, inSlices) = (product.Cpu - cpuBefore, _cpuInSlices - slicesBefore);
        await StopTargetsAsync();
        var busy = others.ShareOfMachine();
        var durable = CountCompleted();
        var report = new Report(machine, _pace, _results, _leftOut)
        {
            Answered = _answered,
            Abandoned = _abandoned,
            Completed = durable,
            CpuOutsideSlices = (cpu - inSlices) / cpu,
            OthersCpu = busy,
            Telemetry = _telemetry!.Received,
        };
        await report.WriteAsync(_repository);
        return _results.Errors > 0 || !report.IsEveryAnswerStored ? 1 : 0;
    }

    private async Task StartAsync()
    {
        _upstreamPort = ChildProcess.FreePort();
        // Its answers are sent on the thread that read the request.
        var light = new Dictionary<string, string> { ["DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS"] = "1", ["DOTNET_gcServer"] = "0" };
        _upstream = ChildProcess.StartSelf(Path.Combine(_folder, "upstream.log"), ["upstream", _upstreamPort.ToString(CultureInfo.InvariantCulture)], light);
        await _upstream.WaitReadyAsync(_upstreamPort, "/health");

        var telemetryPort = ChildProcess.FreePort();
        _telemetry = await TelemetrySink.StartAsync(telemetryPort);

        _targets.Add(new Target(Target.Direct, _upstreamPort, new Dictionary<string, string>(), []));
        Add(await NginxProxy.StartAsync(_folder, _upstreamPort), "nginx is left out: it is not installed (apt-get install nginx-light).");
        Add(await YarpProxy.StartAsync(_folder, _upstreamPort), "");
        Add(await PortkeyGateway.StartAsync(_repository, _folder, _upstreamPort), "Portkey is left out: Node.js or its package is missing (npm ci in bench/portkey).");
        Add(await ChatHistoryProduct.StartAsync(_repository, _folder, _upstreamPort, telemetryPort), "");
        if (_pace.Limits)
        {
            Add(await YarpProxy.StartWithTelemetryAsync(Path.Combine(_folder, "yarp-telemetry"), _upstreamPort, telemetryPort), "");
            Add(await ChatHistoryProduct.StartGatewayAsync(_repository, Path.Combine(_folder, "log-only"), _upstreamPort, telemetryPort, keepsLog: true), "");
            Add(await ChatHistoryProduct.StartGatewayAsync(_repository, Path.Combine(_folder, "gateway-alone"), _upstreamPort, telemetryPort, keepsLog: false), "");
        }
    }

    private void Add(Target? target, string otherwise)
    {
        if (target is not null)
        {
            _targets.Add(target);
            return;
        }

        _leftOut.Add(otherwise);
        Console.Error.WriteLine(otherwise);
    }

    /// <summary>One whole answer and one whole stream of each, before anything is timed.</summary>
    private async Task CheckAsync(Target target)
    {
        foreach (var model in (string[])["bench-instant", "bench-burst"])
        {
            var stream = model == "bench-burst";
            using var connection = new TurnConnection();
            await connection.ConnectAsync(target.Port);
            if (!await connection.AskAsync(Question.Renumbered(target, Question.Body(model, stream)), stream))
            {
                throw new InvalidOperationException($"{target.Name} does not answer {model} as it should: {connection.Head}{System.Text.Encoding.UTF8.GetString(connection.Body)}");
            }

            Count(target, 1, 0);
        }
    }

    private async Task WarmUpAsync()
    {
        foreach (var target in _targets)
        {
            // By answers and not by time: a compiler that works beside a busy machine would be measured for the rest of the run.
            var (answers, started) = (0L, Stopwatch.GetTimestamp());
            while (answers < _pace.WarmUpAnswers && Stopwatch.GetElapsedTime(started) < _pace.LongestWarmUp)
            {
                var json = await WrkAsync(target, Workload.Json64, 1);
                var stream = await ClosedLoop.RunAsync(target, Workload.Burst32.Model, stream: true, Workload.Burst32.Connections, TimeSpan.FromSeconds(0.5));
                answers += json.Answers + stream.Answers;
                Count(target, json.Answers + stream.Answers, Workload.Json64.Connections);
                if (json.Errors + stream.Errors > 0)
                {
                    throw new InvalidOperationException($"{target.Name}: {json.Errors + stream.Errors} wrong answers while it was warming up");
                }
            }

            if (target.Name == Target.Product && _pace.Includes(SessionWorkload.Name))
            {
                await SessionWorkload.RoundAsync(target, _pace.SessionTurns, new Results(), run => MeasureAsync(target, run));
            }
        }
    }

    /// <summary>.NET compiles for seconds after the load that made it want to; that would be part of whatever is measured first.</summary>
    private Task LetCompileAsync() => Task.Delay(_pace.Compiling);

    private async Task RoundAsync(Workload workload, int rotation)
    {
        for (var i = 0; i < _targets.Count; i++)
        {
            var target = _targets[(i + rotation) % _targets.Count];
            var slice = await MeasureAsync(target, () => workload.IsStream
                ? ClosedLoop.RunAsync(target, workload.Model, stream: true, workload.Connections, TimeSpan.FromSeconds(_pace.SliceSeconds), workload.Spread)
                : WrkAsync(target, workload, _pace.SliceSeconds));
            if (!workload.IsStream)
            {
                Count(target, 0, workload.Connections);
            }

            _results.Add(workload.Name, target.Name, slice);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{workload.Name,-46} {target.Name,-12} {slice.Rate,9:0} /s  p50 {slice.P50,9:0} us  p99 {slice.P99,9:0} us  cpu {slice.Cpu,7:0.0} us  {slice.RssMegabytes,5:0} MB  {slice.Errors} errors"));
        }
    }

    private Task<Slice> WrkAsync(Target target, Workload workload, int seconds) =>
        Wrk.RunAsync(target, _folder, workload.Model, workload.Connections, seconds, Answers.Text.Length);

    private async Task<Slice> MeasureAsync(Target target, Func<Task<Slice>> run)
    {
        await Task.Delay(s_settle);
        var before = target.Cpu;
        var slice = await run();
        var cpu = target.Cpu - before;
        Count(target, slice.Answers, 0);
        _cpuInSlices += target.Name == Target.Product ? cpu : TimeSpan.Zero;
        return slice with { Cpu = cpu.TotalMicroseconds / Math.Max(1, slice.Answers), RssMegabytes = target.RssMegabytes };
    }

    private void Count(Target target, long answered, long abandoned)
    {
        if (target.Name == Target.Product)
        {
            _answered += answered;
            _abandoned += abandoned;
        }
    }

    // Answers only: a transcript brings messages of the assistant that no model was asked for here.
    private long CountCompleted()
    {
        using var database = new SqliteConnection($"Data Source={ChatHistoryProduct.Database(_folder)}");
        database.Open();
        using var command = database.CreateCommand();
        command.CommandText = "SELECT count(*) FROM messages WHERE role = 'assistant' AND status = 'completed' AND completion_id IS NOT NULL";
        return (long)command.ExecuteScalar()!;
    }

    /// <summary>All that was started, the upstream last.</summary>
    private async Task StopTargetsAsync()
    {
        foreach (var target in _targets)
        {
            await target.DisposeAsync();
        }

        _targets.Clear();
        if (_upstream is not null)
        {
            await _upstream.DisposeAsync();
            _upstream = null;
        }
    }

    private void Stop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        StopTargetsAsync().Wait(TimeSpan.FromSeconds(30));
        Environment.Exit(130);
    }

    public async ValueTask DisposeAsync()
    {
        await StopTargetsAsync();
        if (_telemetry is not null)
        {
            await _telemetry.DisposeAsync();
        }
    }
}
