using System.Buffers;
using ChatHistory.Gateway.Errors;
using ChatHistory.Gateway.Turns;

namespace ChatHistory.Gateway.Relay;

/// <summary>
/// Who gets an answer, in the dialect that was asked for: chat completion frames as they came, Responses events, or nobody (a background run).
/// The relay decides what may be sent when; a writer only how it looks.
/// </summary>
/// <remarks>
/// Calls come in this order, one at a time: <see cref="Begun"/>; then either <see cref="StartAsync"/>, any number of <see cref="Write"/> and
/// <see cref="FlushAsync"/>, and <see cref="EndAsync"/>; or <see cref="SendAsync"/>. <see cref="FailAsync"/> may take the place of any of them.
/// A client that has left is no failure: writing to it does nothing.
/// </remarks>
internal interface IAnswerWriter
{
    /// <summary>The turn's ids are known; nothing has been sent.</summary>
    void Begun(Turn turn);

    /// <summary>A stream begins: its headers go out.</summary>
    ValueTask StartAsync();

    /// <summary>One frame of the model's stream.</summary>
    /// <param name="frame">All of it, with its blank line.</param>
    /// <param name="data">Its data: the chunk's JSON, or <c>[DONE]</c>.</param>
    /// <param name="kind">What it is.</param>
    void Write(in ReadOnlySequence<byte> frame, ReadOnlyMemory<byte> data, ChunkKind kind);

    /// <summary>What was written goes out.</summary>
    ValueTask FlushAsync();

    /// <summary>Nothing has come for a while: a sign of life.</summary>
    ValueTask HeartbeatAsync();

    /// <summary>The turn is committed and the stream over: completed, or stopped on the client's wish.</summary>
    ValueTask EndAsync(RelayResult result, CompletionObserver observer);

    /// <summary>A whole answer, committed.</summary>
    ValueTask SendAsync(ReadOnlyMemory<byte> body, CompletionObserver observer);

    /// <summary>There is no answer, or not all of it.</summary>
    ValueTask FailAsync(OpenAIError error, CompletionObserver observer);
}
