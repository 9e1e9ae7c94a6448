using System.Text.Json.Serialization;

namespace ChatHistory.VllmSimulator.Faults;

/// <summary><c>GET /simulator/faults</c>: the table, for people.</summary>
internal static class FaultsEndpoints
{
    public static void MapFaults(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/simulator/faults", () => TypedResults.Json(
            FaultCatalog.All.Select(fault => new FaultRow(fault.Name, fault.Streamed, fault.Whole)).ToArray(),
            FaultsJsonContext.Wire.FaultRowArray));
}

internal sealed record FaultRow(string Name, string Streamed, string Whole);

[JsonSerializable(typeof(FaultRow[]))]
internal sealed partial class FaultsJsonContext : JsonSerializerContext
{
    public static FaultsJsonContext Wire { get; } = new(Json.NewOptions());
}
