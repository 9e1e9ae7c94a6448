namespace ChatHistory.Bench.Http;

/// <summary>What is asked, and by how many at once. The model tells the upstream how to answer.</summary>
internal sealed record Workload(string Name, string Model, int Connections)
{
    public static readonly Workload Json1 = new("JSON, 1 connection", "bench-instant", 1);
    public static readonly Workload Json16 = new("JSON, 16 connections", "bench-instant", 16);
    public static readonly Workload Json64 = new("JSON, 64 connections", "bench-instant", 64);
    public static readonly Workload Json256 = new("JSON, 256 connections", "bench-instant", 256);
    public static readonly Workload Think64 = new("JSON, 20 ms think time, 64 connections", "bench-think", 64);
    public static readonly Workload Think256 = new("JSON, 20 ms think time, 256 connections", "bench-think", 256);
    public static readonly Workload Burst32 = new("SSE of 64 chunks at full speed, 32 streams", "bench-burst", 32);
    public static readonly Workload Paced32 = new("SSE of 64 chunks paced at 5 ms, 32 streams", "bench-paced", 32);
    public static readonly Workload Paced128 = new("SSE of 64 chunks paced at 5 ms, 128 streams", "bench-paced", 128);

    public static readonly IReadOnlyList<Workload> All = [Json1, Json16, Json64, Json256, Think64, Think256, Burst32, Paced32, Paced128];

    /// <summary>The length of a paced stream, over which its connections begin.</summary>
    public TimeSpan Spread => Model == "bench-paced" ? TimeSpan.FromMilliseconds(320) : TimeSpan.Zero;

    public bool IsStream => Model is "bench-burst" or "bench-paced";
}
