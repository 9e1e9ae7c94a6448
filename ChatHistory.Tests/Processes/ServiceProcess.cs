using System.Collections.Concurrent;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace ChatHistory.Tests.Processes;

/// <summary>A service as a process of its own, started the way it is deployed: <c>dotnet ChatHistory.X.dll</c> with settings in the environment.</summary>
internal sealed partial class ServiceProcess : IAsyncDisposable
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(60);
    private const string AdminEndpoint = "Kestrel__Endpoints__admin__Url";

    private readonly string _project;
    private readonly Dictionary<string, string> _settings;
    private readonly ConcurrentQueue<string> _output = new();
    private Process _process;
    private SortedDictionary<string, Uri> _addresses = [];

    private ServiceProcess(string project, Dictionary<string, string> settings)
    {
        _project = project;
        _settings = settings;
        _process = new Process();
    }

    /// <summary>Where it listens for its users, in the order of its endpoints.</summary>
    public IReadOnlyList<Uri> Addresses => [.. _addresses.Where(endpoint => endpoint.Key != AdminEndpoint).Select(endpoint => endpoint.Value)];

    /// <summary>Where the gateway's keys and backups are managed.</summary>
    public Uri AdminAddress => _addresses[AdminEndpoint];

    public int Id => _process.Id;

    public string Output => string.Join('\n', _output);

    /// <summary>What the next start is put behind, such as strace with its options.</summary>
    public IReadOnlyList<string> Launcher { get; set; } = [];

    /// <summary>Starts a service and waits until it listens on as many addresses as it has endpoints.</summary>
    public static async Task<ServiceProcess> StartAsync(string project, Dictionary<string, string> settings, params string[] launcher)
    {
        var service = new ServiceProcess(project, settings) { Launcher = launcher };
        await service.StartAsync();
        return service;
    }

    /// <summary>Runs a service that is expected to end by itself.</summary>
    public static async Task<(int ExitCode, string Output)> RunToItsEndAsync(string project, Dictionary<string, string> settings, params string[] arguments)
    {
        await using var service = new ServiceProcess(project, settings);
        service.Launch(_ => { }, arguments);
        await service._process.WaitForExitAsync().WaitAsync(s_timeout);
        return (service._process.ExitCode, service.Output);
    }

    /// <summary>Starts the storage service and returns as soon as it is time for something, which may be before it listens.</summary>
    /// <param name="isTime">Asked again and again, with whether the database is open.</param>
    public static async Task<ServiceProcess> LaunchAsync(string project, Dictionary<string, string> settings, Func<bool, bool> isTime)
    {
        var service = new ServiceProcess(project, settings);
        var isReady = false;
        service.Launch(line => isReady |= line.Contains(" is open after ", StringComparison.Ordinal));
        var began = Stopwatch.GetTimestamp();
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        while (!isTime(Volatile.Read(ref isReady)))
        {
            Assert.False(service._process.HasExited, service.Output);
            Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromMinutes(10), service.Output);
            await pause.WaitForNextTickAsync();
        }

        return service;
    }

    /// <summary>SIGKILL: no handler runs, nothing is flushed.</summary>
    public async Task KillAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync().WaitAsync(s_timeout);
    }

    /// <summary>SIGTERM, as run.sh and container engines send it.</summary>
    /// <remarks>It has to end with 0.</remarks>
    public async Task StopAsync()
    {
        if (!_process.HasExited)
        {
            Terminate(_process.Id);
            await _process.WaitForExitAsync().WaitAsync(s_timeout);
        }

        Assert.True(_process.ExitCode == 0, $"{_project} ended with {_process.ExitCode}:\n{Output}");
    }

    /// <summary>Starts it again, on the same addresses.</summary>
    /// <param name="changed">Settings that are different from now on; an empty value is none.</param>
    public async Task RestartAsync(params (string Key, string Value)[] changed)
    {
        foreach (var (key, value) in changed)
        {
            _settings[key] = value;
        }

        foreach (var (key, address) in _addresses)
        {
            _settings[key] = address.ToString().TrimEnd('/');
        }

        _process.Dispose();
        await StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await KillAsync();
        }

        _process.Dispose();
    }

    private async Task StartAsync()
    {
        // Kestrel listens, and says so, in the order of their names.
        string[] endpoints =
        [
            .. _settings.Keys.Where(key => key.StartsWith("Kestrel__Endpoints__", StringComparison.Ordinal) && key.EndsWith("__Url", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal),
        ];
        var listening = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var addresses = new List<Uri>();
        Launch(line =>
        {
            if (ListeningOn().Match(line) is { Success: true } match)
            {
                lock (addresses)
                {
                    addresses.Add(new Uri(match.Groups[1].Value));
                    if (addresses.Count == endpoints.Length)
                    {
                        _addresses = new(endpoints.Zip(addresses).ToDictionary(pair => pair.First, pair => pair.Second), StringComparer.Ordinal);
                        listening.TrySetResult();
                    }
                }
            }
        });
        _process.Exited += (_, _) => listening.TrySetException(new InvalidOperationException($"{_project} ended:\n{Output}"));
        _process.EnableRaisingEvents = true;
        await listening.Task.WaitAsync(s_timeout);
    }

    private void Launch(Action<string> read, params string[] arguments)
    {
        string[] command = [.. Launcher, "dotnet", Binary(_project)];
        _process = new Process
        {
            StartInfo = new ProcessStartInfo(command[0], [.. command[1..], .. arguments])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = Path.GetTempPath(),
            },
        };
        foreach (var (key, value) in _settings)
        {
            _process.StartInfo.Environment[key] = value;
        }

        void Read(object sender, DataReceivedEventArgs line)
        {
            if (line.Data is not null)
            {
                _output.Enqueue(line.Data);
                read(line.Data);
            }
        }

        _process.OutputDataReceived += Read;
        _process.ErrorDataReceived += Read;
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public static string RepositoryRoot => Metadata("RepositoryRoot");

    /// <summary>Sends SIGTERM.</summary>
    public static void Terminate(int processId) => Assert.Equal(0, SendSignal(processId, 15));

    private static string Binary(string project) =>
        Path.Combine(RepositoryRoot, project, "bin", Metadata("Configuration"), "net10.0", project + ".dll");

    private static string Metadata(string key) =>
        typeof(ServiceProcess).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int pid, int signal);

    [GeneratedRegex(@"Now listening on: (http://\S+)")]
    private static partial Regex ListeningOn();
}
