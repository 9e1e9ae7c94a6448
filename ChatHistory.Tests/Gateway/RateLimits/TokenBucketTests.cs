using ChatHistory.Gateway.RateLimits;
using Microsoft.Extensions.Time.Testing;

namespace ChatHistory.Tests.Gateway.RateLimits;

public sealed class TokenBucketTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 5, 1, 12, 0, 0, TimeSpan.Zero));

    private DateTimeOffset Now => _time.GetUtcNow();

    [Fact]
    public void Bucket_FillsEvenly()
    {
        var bucket = new TokenBucket(60, Now);
        for (var i = 0; i < 60; i++)
        {
            Assert.True(bucket.TryTake(1, Now, out _));
        }

        Assert.False(bucket.TryTake(1, Now, out var wait));
        Assert.Equal(TimeSpan.FromSeconds(1), wait);
        Assert.Equal((0L, TimeSpan.FromMinutes(1)), (bucket.Remaining(Now), bucket.UntilFull(Now)));
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(10, bucket.Remaining(Now));
        Assert.True(bucket.TryTake(10, Now, out _));
        Assert.False(bucket.TryTake(1, Now, out _));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(60, bucket.Remaining(Now));
    }

    [Fact]
    public void WhatWasUsedBeyondTheEstimate_IsPaidFor()
    {
        var bucket = new TokenBucket(600, Now);
        Assert.True(bucket.TryTake(100, Now, out _));
        bucket.Give(100 - 1000, Now);
        Assert.False(bucket.TryTake(100, Now, out var wait));
        // 400 too many, and 100 wanted, at ten a second.
        Assert.Equal(TimeSpan.FromSeconds(50), wait);
        bucket.Give(10_000, Now);
        Assert.Equal(600, bucket.Remaining(Now));
    }

    [Fact]
    public void WhatNeverFits_HasNoWait()
    {
        var bucket = new TokenBucket(10, Now);
        Assert.False(bucket.TryTake(11, Now, out var wait));
        Assert.Null(wait);
        Assert.Equal(10, bucket.Remaining(Now));
    }

    [Fact]
    public void Resize_KeepsWhatWasUsed()
    {
        var bucket = new TokenBucket(10, Now);
        bucket.TryTake(10, Now, out _);
        bucket.Resize(15, Now);
        Assert.Equal(5, bucket.Remaining(Now));
        bucket.Resize(2, Now);
        Assert.False(bucket.TryTake(1, Now, out _));
    }

    [Fact]
    public void ClockThatIsSetBack_NeitherFillsNorTakes()
    {
        var bucket = new TokenBucket(60, Now);
        bucket.TryTake(60, Now, out _);
        var earlier = Now.AddHours(-1);
        Assert.Equal(0, bucket.Remaining(earlier));
        Assert.Equal(30, bucket.Remaining(earlier.AddSeconds(30)));
    }

    [Theory]
    [InlineData(0, "0ms")]
    [InlineData(19.2, "20ms")]
    [InlineData(1000, "1s")]
    [InlineData(59_100, "1m0s")]
    [InlineData(360_000, "6m0s")]
    [InlineData(7_384_000, "2h3m4s")]
    public void Durations_AreWrittenAsOpenAIDoes(double milliseconds, string text) =>
        Assert.Equal(text, RateLimitErrors.Duration(TimeSpan.FromMilliseconds(milliseconds)));
}
