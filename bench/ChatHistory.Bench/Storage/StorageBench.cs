namespace ChatHistory.Bench.Storage;

/// <summary>Measures the storage service by itself.</summary>
internal static class StorageBench
{
    public static Task<int> RunAsync(string[] args)
    {
        Console.Error.WriteLine($"The storage part is not there yet ({string.Join(' ', args)}).");
        return Task.FromResult(2);
    }
}
