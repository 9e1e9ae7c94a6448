namespace ChatHistory.Gateway.Turns;

/// <summary>What a turn does when its session is being answered already; <c>multitask</c> in the body.</summary>
internal enum MultitaskRule
{
    /// <summary><c>enqueue</c>, the default: wait for the turns before, for a bounded time.</summary>
    Enqueue,

    /// <summary><c>reject</c>: 409 <c>session_busy</c> at once.</summary>
    Reject,

    /// <summary><c>branch</c>: begin at once, from what is answered so far; both answers are kept, side by side.</summary>
    Branch,

    /// <summary><c>interrupt</c>: stop the running turn, keep what it has, and begin.</summary>
    Interrupt,
}
