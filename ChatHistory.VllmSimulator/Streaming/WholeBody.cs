using System.Buffers;
using System.Text;
using ChatHistory.VllmSimulator.Directives;
using ChatHistory.VllmSimulator.Faults;

namespace ChatHistory.VllmSimulator.Streaming;

/// <summary>A JSON answer in one piece, or as the script's fault deforms it.</summary>
internal static class WholeBody
{
    private static readonly TimeSpan s_betweenSlices = TimeSpan.FromMilliseconds(1);

    public static async ValueTask WriteAsync(HttpContext context, ReadOnlyMemory<byte> json, Script script, TimeProvider time, CancellationToken cancellationToken)
    {
        var response = context.Response;
        response.ContentType = "application/json";
        switch (script.Fault)
        {
            case FaultKind.Close:
                // Without a Content-Length the end looks clean: only the JSON tells that something is missing.
                await HalfAsync();
                return;
            case FaultKind.HangMidStream:
                await HalfAsync();
                await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
                return;
            case FaultKind.Reset:
                response.ContentLength = json.Length;
                response.BodyWriter.Write(json.Span[..(json.Length / 2)]);
                await EventStream.ResetAsync(context, cancellationToken);
                return;
            case FaultKind.InvalidJson:
                json = json[..(json.Length / 2)];
                break;
            case FaultKind.HugeLine:
                json = Padded(json.Span, script.FaultBytes);
                break;
            case FaultKind.SplitUtf8:
                await SlicedAsync();
                return;
        }

        response.ContentLength = json.Length;
        await response.BodyWriter.WriteAsync(json, cancellationToken);

        async ValueTask HalfAsync()
        {
            await response.BodyWriter.WriteAsync(json[..(json.Length / 2)], cancellationToken);
            await response.BodyWriter.FlushAsync(cancellationToken);
        }

        async ValueTask SlicedAsync()
        {
            while (!json.IsEmpty)
            {
                var cut = json.Span.IndexOfAnyInRange((byte)0xC0, (byte)0xFF) + 1;
                cut = cut > 0 ? cut : json.Length;
                await response.BodyWriter.WriteAsync(json[..cut], cancellationToken);
                await Task.Delay(s_betweenSlices, TimeProvider.System, cancellationToken);
                json = json[cut..];
            }
        }
    }

    private static byte[] Padded(ReadOnlySpan<byte> json, int bytes) =>
        [.. json[..^1], .. ",\"padding\":\""u8, .. Encoding.ASCII.GetBytes(new string('x', bytes)), .. "\"}"u8];
}
