using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.EndToEnd;

/// <summary><c>./run.sh --direct</c> as a person starts it, on a port and a volume of its own.</summary>
internal sealed class RunScript : IAsyncDisposable
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(120);

    // Output and errors end each for themselves, in any order.
    private int _streamsEnded;

    private readonly Process _process;
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();
    private readonly DirectoryInfo _volume = Directory.CreateTempSubdirectory("chathistory-");

    private RunScript(int port, (string Key, string Value)[] settings)
    {
        Port = port;
        _process = new Process
        {
            StartInfo = new ProcessStartInfo(Path.Combine(ServiceProcess.RepositoryRoot, "run.sh"), "--direct")
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = Path.GetTempPath(),
                Environment = { ["GATEWAY_PORT"] = $"{port}", ["VOLUME_DIR"] = _volume.FullName },
            },
        };
        foreach (var (key, value) in settings)
        {
            _process.StartInfo.Environment[key] = value;
        }

        _process.OutputDataReceived += (_, line) => Read(line.Data);
        _process.ErrorDataReceived += (_, line) => Read(line.Data);
    }

    public int Port { get; }

    public string VolumeDirectory => _volume.FullName;

    public List<string> Output { get; } = [];

    public static RunScript Start(int? port = null, params (string Key, string Value)[] settings)
    {
        var script = new RunScript(port ?? FreePort(), settings);
        script._process.Start();
        script._process.BeginOutputReadLine();
        script._process.BeginErrorReadLine();
        return script;
    }

    /// <summary>Reads what it prints up to a line that begins so, and returns that line.</summary>
    public async Task<string> ReadToAsync(string beginning)
    {
        using var timeout = new CancellationTokenSource(s_timeout);
        await foreach (var line in _lines.Reader.ReadAllAsync(timeout.Token))
        {
            Output.Add(line);
            if (line.StartsWith(beginning, StringComparison.Ordinal))
            {
                return line;
            }
        }

        throw new InvalidOperationException($"run.sh ended without '{beginning}':\n{string.Join('\n', Output)}");
    }

    public async Task<int> StopAsync()
    {
        ServiceProcess.Terminate(_process.Id);
        return await WaitForExitAsync();
    }

    public async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(s_timeout);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await StopAsync();
        }

        _process.Dispose();
        _volume.Delete(recursive: true);
    }

    private void Read(string? line)
    {
        if (line is not null)
        {
            _lines.Writer.TryWrite(line);
        }
        else if (Interlocked.Increment(ref _streamsEnded) == 2)
        {
            _lines.Writer.TryComplete();
        }
    }

    // Below the range from which the system gives ports to everybody else: run.sh also takes the ports after this one.
    private static int FreePort()
    {
        while (true)
        {
            var port = Random.Shared.Next(20_000, 30_000);
            using var listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken: the next one.
            }
        }
    }
}
