using System.Text.Json.Serialization;

namespace ChatHistory.Bench.Load;

[JsonSerializable(typeof(string))]
internal sealed partial class BenchJson : JsonSerializerContext;
