using System.Net;
using System.Text;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;
using ChatHistory.Tests.Promises.Attacks;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>What a caller says about itself is not believed, and what it makes of a cursor opens nothing.</summary>
[Trait(Promise.Trait, "S6")]
public sealed class ForgedIdentityTests(KeyedSystem system, ITestOutputHelper output) : IClassFixture<KeyedSystem>
{
    private static readonly string[] s_identityHeaders =
    [
        "X-OpenWebUI-User-Id", "X-OpenWebUI-User-Email", "X-OpenWebUI-User-Name", "X-OpenWebUI-User-Role", "X-User-Id", "X-User", "X-Remote-User", "Remote-User", "X-Forwarded-User", "X-Forwarded-Email",
        "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Port", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Method-Override",
        "X-Auth-Request-User", "X-Authenticated-User", "X-WEBAUTH-USER", "X-API-Key", "Cookie", "Proxy-Authorization", "X-Admin", "X-Owner-Id", "X-Tenant-Id", "X-Original-Host", "X-ProxyUser-Ip", "X-MS-CLIENT-PRINCIPAL-ID",
    ];

    [Fact]
    public async Task IdentityHeaders_OfAKeyThatIsNoUIs_AreIgnored()
    {
        var promise = new Promise("S6", output);
        var (name, victim) = ($"ivo-{Guid.NewGuid():N}", $"vic-{Guid.NewGuid():N}");
        using var client = await system.Running.ClientOfAsync(name);
        using var victims = await system.Running.ClientOfAsync(victim);
        await victims.PostJsonAsync("/v1/sessions", """{"title":"secret"}""");
        foreach (var header in s_identityHeaders)
        {
            foreach (var value in new[] { victim, RunningSystem.AdminKey, "127.0.0.1", "admin", "/admin/keys", "DELETE" })
            {
                var made = await client.SendJsonAsync(HttpMethod.Post, "/v1/sessions", "{}", (header, value));
                var list = await client.SendJsonAsync(HttpMethod.Get, "/v1/sessions", headers: (header, value));
                Assert.Equal((HttpStatusCode.Created, name), (made.Status, made.Body.GetProperty("user_id").GetString()));
                Assert.DoesNotContain(victim, list.Text, StringComparison.Ordinal);
                Assert.Equal(HttpStatusCode.OK, list.Status);

                // And none of them opens anything without a key.
                var without = await system.Client.SendJsonAsync(HttpMethod.Get, "/v1/sessions", headers: (header, value));
                Assert.Equal(HttpStatusCode.Unauthorized, without.Status);
            }
        }

        // The users of two UIs, and of one UI by its two headers.
        using var first = await system.Running.TrustedClientOfAsync("ui-1");
        var hers = await first.SendJsonAsync(HttpMethod.Post, "/v1/sessions", "{}", ("X-OpenWebUI-User-Id", victim), ("X-User-Id", name));
        Assert.Equal(victim, hers.Body.GetProperty("user_id").GetString());
        promise.Figure($"{s_identityHeaders.Length} identity headers x 6 values from a key that is no UI's, and from nobody: 0 believed");
    }

    [Fact]
    public async Task ForgedCursor_OpensNothing()
    {
        var promise = new Promise("S6", output);
        using var client = await system.Running.ClientOfAsync($"cora-{Guid.NewGuid():N}");
        using var others = await system.Running.ClientOfAsync($"dana-{Guid.NewGuid():N}");
        var own = await Belongings.CreateAsync(new Party("cora", client), running: false, CancellationToken.None);
        var victim = await Belongings.CreateAsync(new Party("dana", others), running: false, CancellationToken.None);
        var random = new Random(promise.Seed);
        string[] lists =
        [
            "/v1/sessions?after=", "/v1/conversations?after=", "/v1/conversations?before=", "/v1/chat/completions?after=", $"/v1/chat/completions/{own.Completions[0]}/messages?after=", $"/v1/conversations/conv_{own.Sessions[0]}/items?after=",
            $"/v1/responses/{own.Responses[0]}/input_items?after=", $"/v1/sessions/{own.Sessions[0]}/messages?after=", $"/v1/sessions/{own.Sessions[0]}/messages?branch=", $"/v1/responses/{own.Responses[0]}?stream=true&starting_after=",
        ];
        string[] seeds = [.. own.Cursors, .. victim.Cursors, "1|2026-01-01 00:00:00.000|x", "1||x", "1|9999|", "2|a|b", "1|a", "|||", "1|" + new string('9', 3000) + "|x", "-1", "18446744073709551615", "0"];
        var (tried, refused) = (Promise.Size(400, 10_000), 0);
        for (var i = 0; i < tried; i++)
        {
            var seed = seeds[random.Next(seeds.Length)];
            var cursor = random.Next(4) switch
            {
                0 => seed,
                1 => Base64Url(Encoding.UTF8.GetBytes(seed)),
                2 => Base64Url(Mutated(Encoding.UTF8.GetBytes(seed), random)),
                _ => Encoding.Latin1.GetString(Mutated(Encoding.Latin1.GetBytes(seed), random)),
            };
            var path = lists[random.Next(lists.Length)] + Uri.EscapeDataString(cursor);

            var answer = await client.GetJsonAsync(path);

            Assert.True((int)answer.Status is 200 or (>= 400 and < 500), $"{path}: {answer.Status} {answer.Text}");
            Assert.All(victim.Marks.Where(mark => !cursor.Contains(mark, StringComparison.Ordinal)), mark => Assert.False(answer.Text.Contains(mark, StringComparison.Ordinal), $"{path} tells {mark}"));
            refused += (int)answer.Status >= 400 ? 1 : 0;
        }

        promise.Figure($"{tried} forged cursors on {lists.Length} lists: {refused} refused, the others began the caller's own list elsewhere; 0 of 5xx, nothing of the other owner's");
    }

    private static byte[] Mutated(byte[] bytes, Random random)
    {
        var changed = bytes.ToList();
        for (var changes = random.Next(1, 4); changes > 0 && changed.Count > 0; changes--)
        {
            var at = random.Next(changed.Count);
            switch (random.Next(3))
            {
                case 0:
                    changed[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    changed.RemoveAt(at);
                    break;
                default:
                    changed.Insert(at, (byte)random.Next(256));
                    break;
            }
        }

        return [.. changed];
    }

    private static string Base64Url(byte[] bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);
}
