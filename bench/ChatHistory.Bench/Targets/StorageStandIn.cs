using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using ChatHistory.Storage.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Win32.SafeHandles;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.Bench.Targets;

/// <summary>
/// What the gateway takes for storage where the limits are measured: it speaks the contract of first turns and has no database. With a file, each call's commands are
/// appended to it as they came and are on the disk before they are answered, which is the least that a storage process behind this contract can do; without one, nothing is kept at all.
/// </summary>
internal static partial class StorageStandIn
{
    /// <param name="log">The file for the commands; null: they are not kept.</param>
    public static async Task<ChildProcess> StartAsync(string folder, int grpcPort, int httpPort, string? log)
    {
        string[] arguments = [grpcPort.ToString(CultureInfo.InvariantCulture), httpPort.ToString(CultureInfo.InvariantCulture), .. log is null ? [] : (string[])[log]];
        // The runtime as the storage service has it, and not as this program.
        var settings = new Dictionary<string, string>
        {
            ["DOTNET_GCgen0size"] = "400000",
            ["DOTNET_gcServer"] = "0",
            ["DOTNET_ThreadPool_UnfairSemaphoreSpinLimit"] = "0",
        };
        var process = ChildProcess.StartSelf(Path.Combine(folder, "StorageStandIn.log"), ["storage-stand-in", .. arguments], settings);
        await process.WaitReadyAsync(httpPort);
        return process;
    }

    public static async Task<int> RunAsync(int grpcPort, int httpPort, string? log)
    {
        var builder = WebApplication.CreateSlimBuilder(Programs.WithoutWatching);
        builder.Logging.ClearProviders();
        // As the storage service has it.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.ListenLocalhost(grpcPort, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.ListenLocalhost(httpPort, listen => listen.Protocols = HttpProtocols.Http1);
        });
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(new Log(log));
        builder.Services.AddSingleton<Keys>();
        await using var app = builder.Build();
        app.UseGrpcWeb();
        app.MapGrpcService<Turns>().EnableGrpcWeb();
        app.MapGrpcService<Keys>();
        await app.RunAsync();
        return 0;
    }

    private sealed class Turns(Log log) : V1.Turns.TurnsBase
    {
        public override Task<WriteReply> Write(WriteRequest request, ServerCallContext context)
        {
            log.Append(request);
            return Task.FromResult(new WriteReply { Results = { request.Commands.Select(Answer) } });
        }

        private static WriteResult Answer(WriteCommand command) => command.CommandCase switch
        {
            WriteCommand.CommandOneofCase.BeginTurn => new WriteResult
            {
                TurnBegun = new TurnBegun
                {
                    SessionId = command.BeginTurn.SessionId,
                    AnswerMessageId = command.BeginTurn.AnswerMessageId,
                    UserMessageId = command.BeginTurn.Input[^1].MessageId,
                },
            },
            WriteCommand.CommandOneofCase.CompleteTurn => new WriteResult { TurnCompleted = new TurnCompleted() },
            _ => new WriteResult { Checkpointed = new Empty() },
        };
    }

    /// <summary>The keys of this run, in memory.</summary>
    private sealed class Keys : ApiKeys.ApiKeysBase
    {
        private readonly ConcurrentDictionary<string, ApiKey> _keys = [];

        public override Task<ApiKey> Create(CreateApiKeyRequest request, ServerCallContext context) => Task.FromResult(_keys.GetOrAdd(request.KeyId, new ApiKey
        {
            KeyId = request.KeyId,
            UserId = request.UserId,
            Name = request.Name,
            Hash = request.Hash,
            Role = request.Role is "" ? "user" : request.Role,
            CreatedAt = Timestamp.FromDateTimeOffset(TimeProvider.System.GetUtcNow()),
        }));

        public override Task<ApiKey> Find(FindApiKeyRequest request, ServerCallContext context) =>
            _keys.TryGetValue(request.KeyId, out var key) ? Task.FromResult(key) : throw new RpcException(new Status(StatusCode.NotFound, "no such key"));

        public override Task<AnyKeyWasMadeReply> AnyWasMade(AnyKeyWasMadeRequest request, ServerCallContext context) =>
            Task.FromResult(new AnyKeyWasMadeReply { Any = !_keys.IsEmpty });

        public override Task<Empty> ReportUsage(ReportUsageRequest request, ServerCallContext context) => Task.FromResult(new Empty());

        public override Task<Usage> GetUsage(GetUsageRequest request, ServerCallContext context) => Task.FromResult(new Usage());
    }

    /// <summary>Commands, one call behind the other.</summary>
    private sealed partial class Log
    {
        // Room that is there already: to grow a file is one more write of its metadata with each sync.
        private const long Room = 256 * 1024 * 1024;

        private readonly Lock _oneAtATime = new();
        private readonly SafeFileHandle? _file;
        private long _end;

        public Log(string? path)
        {
            if (path is null)
            {
                return;
            }

            _file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite);
            var zeros = new byte[1024 * 1024];
            for (var at = 0L; at < Room; at += zeros.Length)
            {
                RandomAccess.Write(_file, zeros, at);
            }

            RandomAccess.FlushToDisk(_file);
        }

        public void Append(WriteRequest request)
        {
            if (_file is null || request.Commands.Count == 0)
            {
                return;
            }

            var bytes = request.ToByteArray();
            lock (_oneAtATime)
            {
                _end = _end + bytes.Length > Room ? 0 : _end;
                RandomAccess.Write(_file, bytes, _end);
                _end += bytes.Length;
                if (SyncData(_file) != 0)
                {
                    throw new IOException($"The log could not be synced: {Marshal.GetLastPInvokeErrorMessage()}");
                }
            }
        }

        [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
        private static partial int SyncData(SafeFileHandle file);
    }
}
