using ChatHistory.Storage.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;

namespace ChatHistory.Tests.StorageService;

public sealed class ApiKeysTests
{
    private static readonly DateTimeOffset s_now = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Key_IsFoundUntilAndAfterItIsRevoked()
    {
        var time = new FakeTimeProvider(s_now);
        await using var storage = await StorageFixture.StartAsync(time: time);
        var request = NewKey("k1", 1);
        request.ExpiresAt = Timestamp.FromDateTimeOffset(s_now.AddDays(1));
        request.Role = "trusted_proxy";
        request.Limits = new KeyLimits { RequestsPerMinute = 60, StoredBytes = 0 };

        var created = await storage.ApiKeys.CreateAsync(request);
        var again = await storage.ApiKeys.CreateAsync(request);
        var found = await storage.ApiKeys.FindAsync(new FindApiKeyRequest { KeyId = "k1" });
        time.Advance(TimeSpan.FromHours(1));
        var revoked = await storage.ApiKeys.RevokeAsync(new RevokeApiKeyRequest { KeyId = "k1" });
        time.Advance(TimeSpan.FromHours(1));
        var revokedAgain = await storage.ApiKeys.RevokeAsync(new RevokeApiKeyRequest { KeyId = "k1" });

        Assert.Equal(
            new ApiKey
            {
                KeyId = "k1",
                UserId = "alice",
                Name = "laptop",
                Hash = request.Hash,
                CreatedAt = Timestamp.FromDateTimeOffset(s_now),
                ExpiresAt = request.ExpiresAt,
                Role = "trusted_proxy",
                Limits = request.Limits,
            },
            created);
        Assert.Equal([created, created], [again, found]);
        Assert.Equal(Timestamp.FromDateTimeOffset(s_now.AddHours(1)), revoked.RevokedAt);
        Assert.Equal(revoked, revokedAgain);
    }

    [Fact]
    public async Task Keys_AreListedByUser()
    {
        await using var storage = await StorageFixture.StartAsync();
        await storage.ApiKeys.CreateAsync(NewKey("k1", 1));
        await storage.ApiKeys.CreateAsync(NewKey("k2", 2));
        await storage.ApiKeys.CreateAsync(NewKey("k3", 3, "bob"));

        var alices = await storage.ApiKeys.ListAsync(new ListApiKeysRequest { UserId = "alice" });
        var all = await storage.ApiKeys.ListAsync(new ListApiKeysRequest());

        Assert.Equal(["k1", "k2"], alices.Keys.Select(key => key.KeyId));
        Assert.Equal(["k1", "k2", "k3"], all.Keys.Select(key => key.KeyId));
    }

    [Fact]
    public async Task Failures_HaveTheirStatus()
    {
        await using var storage = await StorageFixture.StartAsync();
        await storage.ApiKeys.CreateAsync(NewKey("k1", 1));

        Assert.Equal(StatusCode.AlreadyExists, await StatusAsync(async () => await storage.ApiKeys.CreateAsync(NewKey("k1", 2))));
        Assert.Equal(StatusCode.NotFound, await StatusAsync(async () => await storage.ApiKeys.FindAsync(new FindApiKeyRequest { KeyId = "k" })));
        Assert.Equal(StatusCode.NotFound, await StatusAsync(async () => await storage.ApiKeys.RevokeAsync(new RevokeApiKeyRequest { KeyId = "k" })));
        Assert.Equal(StatusCode.InvalidArgument, await StatusAsync(async () => await storage.ApiKeys.CreateAsync(new CreateApiKeyRequest { KeyId = "k2", UserId = "u" })));

        static async Task<StatusCode> StatusAsync(Func<Task> call) => (await Assert.ThrowsAsync<RpcException>(call)).StatusCode;
    }

    private static CreateApiKeyRequest NewKey(string keyId, byte fill, string userId = "alice") =>
        new() { KeyId = keyId, UserId = userId, Name = "laptop", Hash = ByteString.CopyFrom([.. Enumerable.Repeat(fill, 32)]) };
}
