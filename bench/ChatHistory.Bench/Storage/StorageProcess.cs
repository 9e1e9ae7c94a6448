using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Reflection;
using ChatHistory.Bench.Targets;
using Grpc.Net.Client;

namespace ChatHistory.Bench.Storage;

/// <summary>The storage service as a process of its own, started the way it is deployed, on a volume of ours.</summary>
internal sealed class StorageProcess : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly Uri _health;

    private StorageProcess(Process process, int grpcPort, int healthPort)
    {
        _process = process;
        _health = new Uri($"http://127.0.0.1:{healthPort}/health");
        Address = new Uri($"http://127.0.0.1:{grpcPort}");
        Channel = GrpcChannel.ForAddress(Address, new GrpcChannelOptions { MaxReceiveMessageSize = null, MaxSendMessageSize = null });
    }

    public Uri Address { get; }

    public GrpcChannel Channel { get; }

    public int Id => _process.Id;

    public double RssMegabytes => RssMegabytesOf(Id);

    /// <summary>From the start of the process until <c>/health</c> says yes.</summary>
    public TimeSpan ReadyAfter { get; private set; }

    public static string RepositoryRoot =>
        typeof(StorageProcess).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == "RepositoryRoot").Value!;

    /// <summary>Starts it and waits until it is ready.</summary>
    /// <param name="volume">Its folder; the database is <c>db/chat.db</c> in it.</param>
    /// <param name="settings">More of its settings, as environment variables.</param>
    public static async Task<StorageProcess> StartAsync(string volume, IReadOnlyDictionary<string, string> settings)
    {
        Directory.CreateDirectory(volume);
        var (grpcPort, healthPort) = (ChildProcess.FreePort(), ChildProcess.FreePort());
        // Another build of the service can be measured with the same harness.
        var assembly = Environment.GetEnvironmentVariable("BENCH_STORAGE_SERVICE")
            ?? Path.Combine(RepositoryRoot, "ChatHistory.StorageService", "bin", "Release", "net10.0", "ChatHistory.StorageService.dll");
        var start = new ProcessStartInfo("dotnet", [assembly])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["VOLUME_DIR"] = volume;
        start.Environment["Kestrel__Endpoints__grpc__Url"] = $"http://127.0.0.1:{grpcPort}";
        start.Environment["Kestrel__Endpoints__http__Url"] = $"http://127.0.0.1:{healthPort}";
        foreach (var (key, value) in settings)
        {
            start.Environment[key] = value;
        }

        var began = Stopwatch.GetTimestamp();
        var process = Process.Start(start)!;
        // Read to its end, so that it never waits for us. What it says is in its log file, too.
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var storage = new StorageProcess(process, grpcPort, healthPort);
        await storage.WaitUntilHealthyAsync(began, volume);
        return storage;
    }

    /// <summary>Processor time so far, of all its threads.</summary>
    public TimeSpan Cpu
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>What a process holds in memory.</summary>
    /// <remarks><c>VmRSS:	   91236 kB</c></remarks>
    public static double RssMegabytesOf(int processId) =>
        File.ReadLines($"/proc/{processId}/status").Where(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))
            .Select(line => double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1024).First();

    /// <summary>SIGKILL: nothing is flushed, no handler runs.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(s_patience);
    }

    /// <summary>SIGTERM, as run.sh and container engines send it: the log is emptied into the database.</summary>
    public async Task StopAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", Id.ToString(CultureInfo.InvariantCulture)]);
        await _process.WaitForExitAsync().WaitAsync(s_patience);
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        if (!_process.HasExited)
        {
            await StopAsync();
        }

        _process.Dispose();
    }

    private async Task WaitUntilHealthyAsync(long began, string volume)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (true)
        {
            try
            {
                using var answer = await http.GetAsync(_health);
                if (answer.StatusCode == HttpStatusCode.OK)
                {
                    ReadyAfter = Stopwatch.GetElapsedTime(began);
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }

            if (_process.HasExited || Stopwatch.GetElapsedTime(began) > s_patience)
            {
                throw new InvalidOperationException($"The storage service did not start; its log is in {volume}/logs.");
            }

            await pause.WaitForNextTickAsync();
        }
    }
}
