using System.Collections.Concurrent;
using ChatHistory.Tests.Processes;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;

namespace ChatHistory.Tests.EndToEnd;

/// <summary>Takes what services export by OTLP over HTTP, as a collector or the Aspire dashboard does.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<(string Path, byte[] Body)> _exports = new();

    private OtlpReceiver(WebApplication app) => _app = app;

    public Uri Address => new(_app.Urls.Single());

    /// <summary>All bodies that were exported to a path: <c>/v1/traces</c>, <c>/v1/logs</c> or <c>/v1/metrics</c>.</summary>
    public byte[][] Exports(string path) => [.. _exports.Where(export => export.Path == path).Select(export => export.Body)];

    public ExportedSpan[] Spans => [.. Exports("/v1/traces").SelectMany(ExportedSpan.ReadAll)];

    public static async Task<OtlpReceiver> StartAsync()
    {
        var app = LoopbackServer.NewBuilder().Build();
        var receiver = new OtlpReceiver(app);
        app.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            receiver._exports.Enqueue((context.Request.Path, body.ToArray()));
            context.Response.ContentType = "application/x-protobuf";
        });
        await app.StartAsync();
        return receiver;
    }

    public ValueTask DisposeAsync() => _app.EndAsync();
}

/// <summary>One span of an export, with as much of it as tests look at (opentelemetry/proto/trace/v1/trace.proto).</summary>
internal sealed record ExportedSpan(string Service, string Name, string TraceId, string SpanId, string ParentId, Dictionary<string, string> Attributes)
{
    public override string ToString() => $"{Service}: {Name} {SpanId} below {ParentId}";

    public static IEnumerable<ExportedSpan> ReadAll(byte[] export)
    {
        // ExportTraceServiceRequest { ResourceSpans = 1 { Resource = 1 { attributes = 1 }, ScopeSpans = 2 { Span = 2 } } }
        foreach (var resourceSpans in Fields(export, 1))
        {
            var service = Fields(resourceSpans, 1).SelectMany(resource => Fields(resource, 1)).Select(Attribute).First(attribute => attribute.Key == "service.name").Value;
            foreach (var span in Fields(resourceSpans, 2).SelectMany(scopeSpans => Fields(scopeSpans, 2)))
            {
                // Span { trace_id = 1, span_id = 2, parent_span_id = 4, name = 5, attributes = 9 }
                yield return new ExportedSpan(
                    service,
                    Text(span, 5),
                    Convert.ToHexStringLower(Fields(span, 1).First()),
                    Convert.ToHexStringLower(Fields(span, 2).First()),
                    Convert.ToHexStringLower(Fields(span, 4).FirstOrDefault([])),
                    Fields(span, 9).Select(Attribute).ToDictionary());
            }
        }
    }

    // KeyValue { key = 1, value = 2: AnyValue }
    private static KeyValuePair<string, string> Attribute(byte[] keyValue) => new(Text(keyValue, 1), Value(Fields(keyValue, 2).First()));

    // AnyValue { string = 1, bool = 2, int = 3, double = 4, array = 5 { values = 1 } }
    private static string Value(byte[] any)
    {
        var input = new CodedInputStream(any);
        return WireFormat.GetTagFieldNumber(input.ReadTag()) switch
        {
            1 => input.ReadString(),
            2 => input.ReadBool() ? "true" : "false",
            3 => input.ReadInt64().ToString(System.Globalization.CultureInfo.InvariantCulture),
            4 => input.ReadDouble().ToString(System.Globalization.CultureInfo.InvariantCulture),
            5 => string.Join(",", Fields(input.ReadBytes().ToByteArray(), 1).Select(Value)),
            _ => "",
        };
    }

    private static string Text(byte[] message, int field) => System.Text.Encoding.UTF8.GetString(Fields(message, field).FirstOrDefault([]));

    /// <summary>The values of a length-delimited field.</summary>
    private static List<byte[]> Fields(byte[] message, int field)
    {
        var values = new List<byte[]>();
        var input = new CodedInputStream(message);
        while (input.ReadTag() is var tag and not 0)
        {
            if (WireFormat.GetTagFieldNumber(tag) == field)
            {
                values.Add(input.ReadBytes().ToByteArray());
            }
            else
            {
                input.SkipLastField();
            }
        }

        return values;
    }
}
