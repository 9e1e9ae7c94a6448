using System.Globalization;
using System.Text;

namespace ChatHistory.Tests.Promises.Tracing;

/// <summary>One thing that a traced process did, or that had an end: in the order in which strace saw it.</summary>
internal abstract record TraceEvent
{
    /// <summary>A file was opened, and made if it was not there.</summary>
    public sealed record Opened(string Path) : TraceEvent;

    public sealed record Written(string Path, long Offset, byte[] Data, int Thread) : TraceEvent;

    public sealed record Truncated(string Path, long Length) : TraceEvent;

    public sealed record Unlinked(string Path) : TraceEvent;

    public sealed record Renamed(string From, string To) : TraceEvent;

    /// <summary>An fsync began: what was written before it is what it makes durable.</summary>
    public sealed record SyncBegun(string Path, int Thread) : TraceEvent;

    /// <summary>It ended well. Only now is anything durable.</summary>
    public sealed record SyncEnded(string Path, int Thread) : TraceEvent;

    /// <summary>Bytes went to a socket: from here on the client may know.</summary>
    public sealed record Sent(byte[] Data) : TraceEvent;

    /// <summary>Bytes came from a socket: whatever the client knew when it sent them was known by now.</summary>
    public sealed record Received(byte[] Data) : TraceEvent;
}

/// <summary>Reads what <see cref="Processes.Strace.Recording"/> writes.</summary>
/// <remarks>
/// <code>
/// 311 pwrite64(297&lt;\x2f\x74\x6d\x70&gt;, "\x00\x01", 2, 8192) = 2
/// 311 fsync(297&lt;\x2f\x74\x6d\x70&gt; &lt;unfinished ...&gt;
/// 312 sendmsg(311&lt;\x73\x6f\x63&gt;, {..., msg_iov=[{iov_base="\x00", iov_len=1}], ...}, 0) = 1
/// 311 &lt;... fsync resumed&gt;)             = 0
/// </code>
/// A call in two lines begins at the first and ends at the second. strace holds each thread at both ends of a call, so the lines are in an order
/// in which the calls can have happened.
/// </remarks>
internal static class SyscallTrace
{
    private static readonly HashSet<string> s_names = ["openat", "pwrite64", "pwritev", "write", "writev", "fsync", "fdatasync", "ftruncate", "fallocate", "unlink", "unlinkat", "rename", "renameat", "renameat2", "sendto", "sendmsg", "recvfrom", "recvmsg"];

    public static List<TraceEvent> Read(string path)
    {
        const string Resumed = " resumed>";
        var events = new List<TraceEvent>();
        var unfinished = new Dictionary<int, Call>();
        foreach (var line in File.ReadLines(path))
        {
            // The number of a thread, spaces, and then a call or what came of one; signals and ends of threads have neither.
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            var thread = int.Parse(line.AsSpan(0, space), CultureInfo.InvariantCulture);
            var rest = line.AsSpan(space).TrimStart().ToString();
            if (rest.StartsWith("<... ", StringComparison.Ordinal))
            {
                if (unfinished.Remove(thread, out var begun))
                {
                    End(begun with { Rest = rest[(rest.IndexOf(Resumed, StringComparison.Ordinal) + Resumed.Length)..] }, events);
                }
            }
            else if (rest.IndexOf('(', StringComparison.Ordinal) is > 0 and var bracket && char.IsAsciiLetter(rest[0]))
            {
                var call = new Call(thread, rest[..bracket], rest[(bracket + 1)..], "");
                if (!s_names.Contains(call.Name))
                {
                    continue;
                }

                Begin(call, events);
                if (rest.EndsWith("<unfinished ...>", StringComparison.Ordinal))
                {
                    unfinished[thread] = call;
                }
                else
                {
                    End(call with { Rest = call.Arguments }, events);
                }
            }
        }

        return events;
    }

    // What a call may do it may do from its beginning on. Calls that fail change nothing that matters here; the tests run them on a sound disk.
    private static void Begin(Call call, List<TraceEvent> events)
    {
        switch (call.Name)
        {
            case "pwrite64":
                events.Add(new TraceEvent.Written(call.File, call.LastNumber, call.Data, call.Thread));
                break;
            case "ftruncate":
                events.Add(new TraceEvent.Truncated(call.File, call.LastNumber));
                break;
            case "fsync" or "fdatasync":
                events.Add(new TraceEvent.SyncBegun(call.File, call.Thread));
                break;
            case "sendto" or "sendmsg" or "write" or "writev":
                events.Add(new TraceEvent.Sent(call.Data));
                break;
            case "pwritev" or "fallocate" when call.File.Contains("chat.db", StringComparison.Ordinal) && !call.File.EndsWith(".ballast", StringComparison.Ordinal):
                throw new NotSupportedException($"The model does not know {call.Name}.");
        }
    }

    private static void End(Call call, List<TraceEvent> events)
    {
        // ") = 24", ") = -1 EIO (Input/output error)", ") = 0 (INJECTED)"
        var equals = call.Rest.LastIndexOf(" = ", StringComparison.Ordinal);
        if (equals < 0 || !char.IsAsciiDigit(call.Rest[equals + 3]))
        {
            return;
        }

        switch (call.Name)
        {
            // A sync that strace let succeed without doing it is none.
            case "fsync" or "fdatasync" when !call.Rest.Contains("(INJECTED)", StringComparison.Ordinal):
                events.Add(new TraceEvent.SyncEnded(call.File, call.Thread));
                break;
            case "openat" when call.Arguments.Contains("O_CREAT", StringComparison.Ordinal):
                events.Add(new TraceEvent.Opened(call.Strings[0]));
                break;
            case "unlink" or "unlinkat":
                events.Add(new TraceEvent.Unlinked(call.Strings[0]));
                break;
            case "rename" or "renameat" or "renameat2":
                events.Add(new TraceEvent.Renamed(call.Strings[0], call.Strings[1]));
                break;
            case "recvfrom" or "recvmsg":
                events.Add(new TraceEvent.Received(Decode(call.Rest)));
                break;
            case "pwrite64" when !call.Rest.AsSpan(equals + 3).TrimEnd().SequenceEqual($"{call.Data.Length}"):
                throw new NotSupportedException("A write was cut short.");
        }
    }

    /// <summary>The bytes of all strings in a text; between their quotes is nothing but <c>\x..</c>.</summary>
    private static byte[] Decode(string text)
    {
        var bytes = new List<byte>();
        for (var quote = text.IndexOf('"', StringComparison.Ordinal); quote >= 0; quote = text.IndexOf('"', quote + 1))
        {
            var end = text.IndexOf('"', quote + 1);
            DecodeInto(bytes, text.AsSpan(quote + 1, end - quote - 1));
            quote = end;
        }

        return [.. bytes];
    }

    private static void DecodeInto(List<byte> bytes, ReadOnlySpan<char> text)
    {
        for (var i = 0; i + 3 < text.Length; i += 4)
        {
            bytes.Add((byte)((Digit(text[i + 2]) << 4) | Digit(text[i + 3])));
        }
    }

    private static int Digit(char digit) => char.IsAsciiDigit(digit) ? digit - '0' : digit - 'a' + 10;

    private sealed record Call(int Thread, string Name, string Arguments, string Rest)
    {
        private byte[]? _data;

        /// <summary>The file of the descriptor that is the first argument: <c>297&lt;\x2f\x74&gt;</c>.</summary>
        public string File
        {
            get
            {
                var (start, end) = (Arguments.IndexOf('<', StringComparison.Ordinal), Arguments.IndexOf('>', StringComparison.Ordinal));
                var bytes = new List<byte>();
                DecodeInto(bytes, start < 0 ? "" : Arguments.AsSpan(start + 1, end - start - 1));
                return Encoding.UTF8.GetString([.. bytes]);
            }
        }

        public byte[] Data => _data ??= Decode(Arguments);

        public string[] Strings => [.. Arguments.Split('"').Where((_, i) => i % 2 == 1).Select(text => Encoding.UTF8.GetString(Decode($"\"{text}\"")))];

        /// <summary>The last argument, of which some are offsets: <c>, 8192) = 24</c>.</summary>
        public long LastNumber
        {
            get
            {
                var end = Math.Max(Arguments.LastIndexOf(')'), Arguments.EndsWith("<unfinished ...>", StringComparison.Ordinal) ? Arguments.Length - "<unfinished ...>".Length : -1);
                var start = Arguments.LastIndexOf(',', end - 1) + 1;
                return long.Parse(Arguments.AsSpan(start, end - start).Trim(), CultureInfo.InvariantCulture);
            }
        }
    }
}
