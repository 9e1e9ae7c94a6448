using System.Diagnostics;

namespace ChatHistory.Bench.Upstream;

/// <summary>
/// Waits that are exact to a millisecond. Task.Delay counts in the kernel's coarse ticks: where those are 4 ms long, 5 ms become 8. What waited goes on on the one thread here: it only sends.
/// </summary>
internal sealed class Metronome
{
    private readonly PriorityQueue<TaskCompletionSource, long> _waiting = new();

    public Metronome() => new Thread(Run) { IsBackground = true, Name = nameof(Metronome) }.Start();

    /// <param name="due">As <see cref="Stopwatch.GetTimestamp"/> has it.</param>
    public Task UntilAsync(long due)
    {
        var waiter = new TaskCompletionSource();
        lock (_waiting)
        {
            _waiting.Enqueue(waiter, due);
            if (_waiting.Count == 1)
            {
                Monitor.Pulse(_waiting);
            }
        }

        return waiter.Task;
    }

    private void Run()
    {
        while (true)
        {
            TaskCompletionSource? due = null;
            lock (_waiting)
            {
                while (_waiting.Count == 0)
                {
                    Monitor.Wait(_waiting);
                }

                if (_waiting.TryPeek(out _, out var when) && when <= Stopwatch.GetTimestamp())
                {
                    due = _waiting.Dequeue();
                }
            }

            if (due is null)
            {
                Thread.Sleep(1);
            }
            else
            {
                due.SetResult();
            }
        }
    }
}
