using ChatHistory.Gateway.Paths;
using ChatHistory.Storage.V1;
using Google.Protobuf;

namespace ChatHistory.Tests.Gateway.Paths;

/// <summary>A path that is kept turn by turn says what it would say had it been kept at once.</summary>
public sealed class CachedPathTests
{
    [Fact]
    public void ManyTurns_AreReadInTheirOrder_AndEachLeavesThePathBeforeAsItWas()
    {
        var said = new List<MessageContent>();
        CachedPath? path = null;
        for (var turn = 0; turn < 100; turn++)
        {
            var before = path;
            MessageContent[] more = [Message("user", $"question {turn}"), Message("assistant", $"Antwort {turn}: äöü 😀")];
            path = path?.With(Version(turn), more) ?? CachedPath.Of(Version(turn), more);

            if (before is not null)
            {
                Assert.Equal(said.Select(Stored), before.Read());
                Assert.Equal(Version(turn - 1), before.Version);
            }

            said.AddRange(more);
            Assert.Equal(said.Select(Stored), path.Read());
            Assert.Equal(Version(turn), path.Version);
        }
    }

    [Fact]
    public void LengthOfItsMessages_IsThatOfTheHistoryThatStorageWouldSend()
    {
        var path = CachedPath.Of(Version(0), [Message("user", "0")]);
        var history = new TurnBegun { History = { Stored(Message("user", "0")) } };
        for (var turn = 1; turn < 50; turn++)
        {
            path = path.With(Version(turn), [Message("assistant", $"{turn}")]);
            history.History.Add(Stored(Message("assistant", $"{turn}")));

            Assert.Equal(history.CalculateSize(), path.MessageBytes);
            // What is around it stays small, however many turns there were.
            Assert.InRange(path.Bytes - path.MessageBytes, 1, 2048);
        }
    }

    private static MessageContent Message(string role, string text) => new() { Role = role, Content = text, Digest = ByteString.CopyFromUtf8(text) };

    // Storage sends no digests.
    private static MessageContent Stored(MessageContent message) => new(message) { Digest = ByteString.Empty };

    private static PathVersion Version(int turn) => new() { EndMessageId = $"message {turn}" };
}
