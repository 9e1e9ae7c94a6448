using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.StorageService;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>R8: clients that read a byte a second, or nothing: they cost a bounded memory, their answers are stored whole, and nobody else notices.</summary>
[Trait(Promise.Trait, "R8")]
[Collection(Alone.Name)]
public sealed class SlowReadersTests(ITestOutputHelper output)
{
    private const long Megabyte = 1024 * 1024;

    [Fact]
    public async Task SlowReaders_HoldUpNobody_AndTheirAnswersAreStoredWhole()
    {
        var promise = new Promise("R8", output);
        var readers = Promise.Size(20, 200);
        await using var system = await RunningSystem.StartAsync();
        await TimesOfNormalTrafficAsync(system, 20);
        var alone = await TimesOfNormalTrafficAsync(system, Promise.Size(60, 400));
        var memory = system.Gateway.ResidentBytes();

        using var enough = new CancellationTokenSource();
        var began = Stopwatch.GetTimestamp();
        // About half a megabyte of stream each.
        var slow = Enumerable.Range(0, readers).Select(_ => SlowReader.BeginAsync(system.Client.BaseAddress!, """{"tokens":2000}""")).ToArray();
        var all = await Task.WhenAll(slow);
        var reading = all.Select(reader => reader.ReadAsync(enough.Token)).ToArray();
        using (var database = OtherTool.Open(system.DatabasePath))
        {
            await Eventually.GetAsync(
                () => Task.FromResult(database.Query($"SELECT count(*) FROM messages a JOIN messages u ON u.message_id = a.parent_id WHERE u.content LIKE 'slow %' AND a.status = 'completed' AND length(a.content) > 2000").Single()),
                count => count == readers.ToString(CultureInfo.InvariantCulture), TimeSpan.FromSeconds(60));
        }

        var storedAfter = Stopwatch.GetElapsedTime(began);
        var beside = await TimesOfNormalTrafficAsync(system, Promise.Size(60, 400));
        var grown = system.Gateway.ResidentBytes() - memory;

        await enough.CancelAsync();
        await Task.WhenAll(reading);
        promise.Figure(string.Create(CultureInfo.InvariantCulture,
            $"{readers} readers of 1 B/s: all answers stored after {storedAfter.TotalSeconds:0.0} s, with {all.Max(reader => reader.Bytes)} bytes read at most; memory +{grown.Megabytes()} ({(double)(grown ?? 0) / readers / Megabyte:0.00} MB each); first byte of normal traffic p50 {alone.Percentile(50).Milliseconds()} -> {beside.Percentile(50).Milliseconds()}, p99 {alone.Percentile(99).Milliseconds()} -> {beside.Percentile(99).Milliseconds()}"));
        // A heap that has just grown is not given back at once: beside the megabyte for each there is room for that.
        Assert.True(grown is null || grown < (readers * Megabyte) + (100 * Megabyte), $"memory grew by {grown.Megabytes()}");
        Assert.True(beside.Percentile(50) < (2 * alone.Percentile(50)) + TimeSpan.FromMilliseconds(20), $"{alone.Percentile(50)} became {beside.Percentile(50)}");
    }

    [Fact]
    public async Task AReaderThatStops_IsCut_AndCountsAsOneThatLeft()
    {
        // The answer must not reach its own limit before its reader's patience ends.
        await using var system = await RunningSystem.StartAsync(settings: [("Limits__ClientStallTimeout", "00:00:01"), ("Vllm__MaxAnswerBytes", $"{128 * Megabyte}")]);
        using var probe = new SimulatorProbe(system.Simulator!);
        // More than any buffer on the way holds.
        using var reader = await SlowReader.BeginAsync(system.Client.BaseAddress!, """{"fault":"endless"}""");

        await probe.WaitForOutcomeAsync(reader.Prompt, "aborted", TimeSpan.FromSeconds(30));

        using var database = OtherTool.Open(system.DatabasePath);
        var rows = await Eventually.GetAsync(
            () => Task.FromResult(database.Query($"SELECT a.status || ' ' || coalesce(json_extract(a.error, '$.code'), '') || ' ' || (length(a.content) > 1000) FROM messages a JOIN messages u ON u.message_id = a.parent_id WHERE u.content = '{reader.Prompt}'")),
            rows => rows is [var row] && !row.StartsWith("in_progress", StringComparison.Ordinal));
        Assert.True(rows is ["cancelled client_disconnected 1"], $"{string.Join(", ", rows)}\n{system.Gateway.Output}");
        Assert.DoesNotContain(" ERR ", system.Gateway.Output, StringComparison.Ordinal);
    }

    /// <summary>A whole answer of megabytes, and a page of history: what is not a stream must not wait for ever either.</summary>
    [Fact]
    public async Task AReaderOfAWholeAnswerThatStops_IsCut()
    {
        await using var system = await RunningSystem.StartAsync(settings: ("Limits__ClientStallTimeout", "00:00:02"));
        var files = system.Gateway.OpenFiles();
        using var reader = await SlowReader.BeginAsync(system.Client.BaseAddress!, """{"fault":"huge-line","fault_bytes":20000000}""", stream: false);

        Assert.True(await reader.IsCutWithinAsync(TimeSpan.FromSeconds(30)));
        await Eventually.GetAsync(() => Task.FromResult(system.Gateway.OpenFiles()), now => now is null || now <= files + 4);
    }

    /// <summary>Times to the first byte of a short streamed answer, one after the other.</summary>
    private static async Task<TimeSpan[]> TimesOfNormalTrafficAsync(RunningSystem system, int count)
    {
        var times = new TimeSpan[count];
        for (var i = 0; i < count; i++)
        {
            var began = Stopwatch.GetTimestamp();
            using var request = new HttpRequestMessage(HttpMethod.Post, Completions) { Content = RunningSystem.Json(Body(NewPrompt(), stream: true, """{"tokens":10}""")) };
            using var response = await system.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            await using var body = await response.Content.ReadAsStreamAsync();
            Assert.NotEqual(-1, body.ReadByte());
            times[i] = Stopwatch.GetElapsedTime(began);
            Assert.Contains("[DONE]", await new StreamReader(body).ReadToEndAsync(), StringComparison.Ordinal);
        }

        return times;
    }

    /// <summary>A connection with the smallest buffer that the system allows, from which a byte is read now and then, or nothing.</summary>
    private sealed class SlowReader : IDisposable
    {
        private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 2048 };

        public string Prompt { get; private init; } = "";

        public int Bytes { get; private set; }

        public static async Task<SlowReader> BeginAsync(Uri gateway, string simulator, bool stream = true)
        {
            var prompt = $"slow {NewPrompt()}";
            var json = Body(prompt, stream, simulator);
            var reader = new SlowReader { Prompt = prompt };
            await reader._socket.ConnectAsync(gateway.Host, gateway.Port);
            await reader._socket.SendAsync(Encoding.UTF8.GetBytes(
                $"POST {Completions} HTTP/1.1\r\nHost: {gateway.Authority}\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\n\r\n{json}"));
            return reader;
        }

        public async Task ReadAsync(CancellationToken enough)
        {
            using var second = new PeriodicTimer(TimeSpan.FromSeconds(1));
            var one = new byte[1];
            try
            {
                while (await second.WaitForNextTickAsync(enough))
                {
                    Bytes += await _socket.ReceiveAsync(one, enough);
                }
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException)
            {
            }
            finally
            {
                Dispose();
            }
        }

        /// <summary>Whether the server closes the connection, although there is more to read.</summary>
        public async Task<bool> IsCutWithinAsync(TimeSpan limit)
        {
            var began = Stopwatch.GetTimestamp();
            using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
            while (Stopwatch.GetElapsedTime(began) < limit && await pause.WaitForNextTickAsync())
            {
                // A reset can be seen without reading.
                if (_socket.Poll(0, SelectMode.SelectError) || (int)_socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! != 0)
                {
                    return true;
                }

                try
                {
                    await _socket.SendAsync("x"u8.ToArray());
                }
                catch (SocketException)
                {
                    return true;
                }
            }

            return false;
        }

        public void Dispose() => _socket.Dispose();
    }
}
