using System.Diagnostics;

namespace ChatHistory.Tests.Processes;

/// <summary>Waits for what another process does in its own time: asks again until it is so, at most for a given time.</summary>
internal static class Eventually
{
    public static readonly TimeSpan DefaultLimit = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Asks until the answer is as expected, and returns it.</summary>
    public static async Task<T> GetAsync<T>(Func<Task<T>> ask, Func<T, bool> isExpected, TimeSpan? limit = null)
    {
        var began = Stopwatch.GetTimestamp();
        using var pause = new PeriodicTimer(s_interval);
        while (true)
        {
            var answer = await ask();
            if (isExpected(answer))
            {
                return answer;
            }

            if (Stopwatch.GetElapsedTime(began) > (limit ?? DefaultLimit))
            {
                var shown = answer is IEnumerable<object> list ? string.Join('\n', list) : $"{answer}";
                Assert.Fail($"After {Stopwatch.GetElapsedTime(began)} it was still: {shown}");
            }

            await pause.WaitForNextTickAsync();
        }
    }
}
