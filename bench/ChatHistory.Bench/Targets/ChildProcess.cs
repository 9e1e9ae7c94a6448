using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace ChatHistory.Bench.Targets;

/// <summary>A process that was started for the run, with what it and its children use.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    // USER_HZ: the same on every Linux that .NET runs on.
    private const double TicksPerSecond = 100;

    // A large database may have a large log to be read at the start, and to be emptied at the end.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly Process _process;
    private readonly string _log;

    private ChildProcess(ProcessStartInfo start, string log) => (_process, _log) = (Process.Start(start)!, log);

    /// <param name="log">The file that takes what it prints.</param>
    public static ChildProcess Start(string log, string file, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        // A shell that becomes the program: its output goes to a file without a detour through this process.
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        foreach (var argument in (string[])["-c", $"exec \"$0\" \"$@\" >'{log}' 2>&1 </dev/null", file, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        // Set for the load generator by run.sh; what is measured runs as it runs everywhere.
        start.Environment.Remove("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS");
        foreach (var (key, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[key] = value;
        }

        return new ChildProcess(start, log);
    }

    /// <summary>A subcommand of this very program, in a process of its own.</summary>
    public static ChildProcess StartSelf(string log, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null) =>
        Start(log, "dotnet", [typeof(ChildProcess).Assembly.Location, .. arguments], environment);

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Processor time of it and its children so far.</summary>
    public TimeSpan Cpu => TimeSpan.FromSeconds(Family(_process.Id).Sum(CpuSeconds));

    public long RssBytes => Family(_process.Id).Sum(RssBytesOf);

    /// <summary>Waits until it answers, and returns how long that was after its start; throws with its last words when it ends instead.</summary>
    /// <param name="path">What answers with a success; null: a connection is enough.</param>
    public async Task<TimeSpan> WaitReadyAsync(int port, string? path = null)
    {
        using var http = new HttpClient();
        for (; Stopwatch.GetElapsedTime(_began) < s_patience; await Task.Delay(10))
        {
            if (_process.HasExited)
            {
                break;
            }

            try
            {
                if (path is not null)
                {
                    using var response = await http.GetAsync(new Uri($"http://127.0.0.1:{port}{path}"));
                    if (response.IsSuccessStatusCode)
                    {
                        return Stopwatch.GetElapsedTime(_began);
                    }
                }
                else
                {
                    using var client = new TcpClient();
                    await client.ConnectAsync(IPAddress.Loopback, port);
                    return Stopwatch.GetElapsedTime(_began);
                }
            }
            catch (Exception exception) when (exception is SocketException or HttpRequestException)
            {
            }
        }

        throw new InvalidOperationException($"A process did not start; it said:\n{string.Join('\n', File.ReadLines(_log).TakeLast(20))}");
    }

    /// <summary>SIGKILL: nothing is flushed, no handler runs.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(s_patience);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            using var kill = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]);
            using var patience = new CancellationTokenSource(s_patience);
            try
            {
                await _process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill(entireProcessTree: true);
            }
        }

        _process.Dispose();
    }

    private static IEnumerable<int> Family(int pid)
    {
        yield return pid;
        foreach (var child in Read($"/proc/{pid}/task/{pid}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            foreach (var member in Family(int.Parse(child, CultureInfo.InvariantCulture)))
            {
                yield return member;
            }
        }
    }

    // "1234 (name with) spaces) S 1 ...": utime and stime are the 14th and 15th field, of all threads, ended ones too.
    private static double CpuSeconds(int pid) =>
        Read($"/proc/{pid}/stat") is var stat && stat.LastIndexOf(')') is > 0 and var name
        && stat[(name + 2)..].Split(' ') is { Length: > 12 } fields
            ? (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond
            : 0;

    // "4321 1234 ...": resident pages are the second field.
    public static long RssBytesOf(int pid) =>
        Read($"/proc/{pid}/statm").Split(' ') is { Length: > 1 } fields ? long.Parse(fields[1], CultureInfo.InvariantCulture) * Environment.SystemPageSize : 0;

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
