using System.Globalization;
using System.Text.RegularExpressions;

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
internal static partial class SyscallTrace
{
    public static List<TraceEvent> Read(string path)
    {
        var events = new List<TraceEvent>();
        var unfinished = new Dictionary<int, Call>();
        foreach (var line in File.ReadLines(path))
        {
            if (Resumed().Match(line) is { Success: true } resumed)
            {
                var thread = Number(resumed.Groups[1]);
                if (unfinished.Remove(thread, out var begun))
                {
                    End(begun with { Rest = resumed.Groups[3].Value }, events);
                }
            }
            else if (Begun().Match(line) is { Success: true } match)
            {
                var call = new Call(Number(match.Groups[1]), match.Groups[2].Value, match.Groups[3].Value, "");
                Begin(call, events);
                if (call.Arguments.EndsWith("<unfinished ...>", StringComparison.Ordinal))
                {
                    unfinished[call.Thread] = call;
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
                events.Add(new TraceEvent.Written(call.File, long.Parse(LastNumber().Match(call.Arguments).Groups[1].Value, CultureInfo.InvariantCulture), call.Data, call.Thread));
                break;
            case "ftruncate":
                events.Add(new TraceEvent.Truncated(call.File, long.Parse(LastNumber().Match(call.Arguments).Groups[1].Value, CultureInfo.InvariantCulture)));
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
        if (Result().Match(call.Rest) is not { Success: true } result || result.Groups[1].Value[0] == '-')
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
                events.Add(new TraceEvent.Received(Bytes(Quoted().Matches(call.Rest).Select(match => match.Groups[1].Value))));
                break;
            case "pwrite64" when Number(result.Groups[1]) != call.Data.Length:
                throw new NotSupportedException("A write was cut short.");
        }
    }

    private static int Number(Group group) => int.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    private static byte[] Bytes(IEnumerable<string> hexadecimal) => Convert.FromHexString(string.Concat(hexadecimal).Replace("\\x", "", StringComparison.Ordinal));

    private sealed record Call(int Thread, string Name, string Arguments, string Rest)
    {
        /// <summary>The file of the descriptor that is the first argument.</summary>
        public string File => System.Text.Encoding.UTF8.GetString(Bytes([Descriptor().Match(Arguments).Groups[1].Value]));

        public byte[] Data => Bytes(Quoted().Matches(Arguments).Select(match => match.Groups[1].Value));

        public string[] Strings => [.. Quoted().Matches(Arguments).Select(match => System.Text.Encoding.UTF8.GetString(Bytes([match.Groups[1].Value])))];
    }

    [GeneratedRegex(@"^(\d+) +(\w+)\((.*)$")]
    private static partial Regex Begun();

    [GeneratedRegex(@"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")]
    private static partial Regex Resumed();

    [GeneratedRegex("^\\d+<((?:\\\\x[0-9a-f]{2})*)>")]
    private static partial Regex Descriptor();

    [GeneratedRegex("\"((?:\\\\x[0-9a-f]{2})*)\"")]
    private static partial Regex Quoted();

    [GeneratedRegex(@", (\d+)(?:\)| <unfinished)")]
    private static partial Regex LastNumber();

    [GeneratedRegex(@"\) += (-?\d+)[^)]*(?:\(INJECTED\))?[^=]*$")]
    private static partial Regex Result();
}
