using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;
using static ChatHistory.Tests.Processes.ChatRequests;

namespace ChatHistory.Tests.Promises;

/// <summary>R9: connections that say nothing, or a byte now and then: all are cut, and honest clients do not notice.</summary>
[Trait(Promise.Trait, "R9")]
public sealed class SlowlorisTests(ITestOutputHelper output)
{
    private static readonly TimeSpan s_cutWithin = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task SlowConnections_AreCut_AndHonestOnesServed()
    {
        var promise = new Promise("R9", output);
        var random = new Random(promise.Seed);
        // The short form does not wait for the default of 15 s.
        (string, string)[] settings = Promise.IsLong ? [] : [("Limits__HeadTimeout", "00:00:05")];
        await using var system = await RunningSystem.StartAsync(settings: settings);
        var (files, gateway) = (system.Gateway.OpenFiles(), system.Client.BaseAddress!);
        using var enough = new CancellationTokenSource();
        var honest = ChatAsync(system, enough.Token);

        var attackers = await Task.WhenAll(Enumerable.Range(0, Promise.Size(100, 1000)).Select(i => AttackAsync(gateway, s_attacks[i % s_attacks.Length], random.Next(500, 1500))));

        await enough.CancelAsync();
        var (answered, failed) = await honest;
        Assert.Empty(failed);
        Assert.True(answered > 0);
        Assert.All(attackers, attacker => Assert.True(attacker.CutAfter < s_cutWithin, $"'{attacker.Name}' was not cut within {s_cutWithin}"));
        await Eventually.GetAsync(() => Task.FromResult(system.Gateway.OpenFiles()), now => now is null || now <= files + 10);
        promise.Figure(string.Create(CultureInfo.InvariantCulture,
            $"{attackers.Length} slow connections cut after {attackers.Min(attacker => attacker.CutAfter).TotalSeconds:0.0} to {attackers.Max(attacker => attacker.CutAfter).TotalSeconds:0.0} s; {answered} honest chats beside them, all answered"));
    }

    // What is sent at once, and what then comes byte by byte, for ever.
    private static readonly (string Name, string Begin, string Drip)[] s_attacks =
    [
        ("says nothing", "", ""),
        ("half a request line", "POST /v1/chat/comp", ""),
        ("drips a request line", "", "GET /v1/sessions/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("drips headers", "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n", "X-a: b\r\nX-b: c\r\nX-c: d\r\nX-d: e\r\nX-e: f\r\nX-f: g\r\nX-g: h\r\n"),
        ("no body", "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30000000\r\n\r\n", ""),
        ("drips a chat", "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30000000\r\n\r\n", "{\"messages\":[{\"role\":\"user\",\"content\":\"                                             "),
        ("drips chunks", "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n{\r\n1\r\n\"\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n"),
        ("drips what passes through", "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30000000\r\n\r\n", "{\"input\":\"                                                                      "),
        ("drips to no route", "POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30000000\r\n\r\n", "                                                                                "),
    ];

    private static async Task<(string Name, TimeSpan CutAfter)> AttackAsync(Uri gateway, (string Name, string Begin, string Drip) attack, int pauseMs)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(gateway.Host, gateway.Port);
        var began = Stopwatch.GetTimestamp();
        using var limit = new CancellationTokenSource(s_cutWithin);
        try
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(attack.Begin), limit.Token);
            await Task.WhenAny(DripAsync(socket, attack.Drip, pauseMs, limit.Token), ReadToTheEndAsync(socket, limit.Token)).Unwrap();
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException)
        {
        }

        return (attack.Name, Stopwatch.GetElapsedTime(began));
    }

    private static async Task DripAsync(Socket socket, string text, int pauseMs, CancellationToken limit)
    {
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(pauseMs));
        for (var i = 0; await pause.WaitForNextTickAsync(limit); i++)
        {
            if (text.Length > 0)
            {
                await socket.SendAsync(Encoding.ASCII.GetBytes(text[(i % text.Length)..(i % text.Length + 1)]), limit);
            }
        }
    }

    private static async Task ReadToTheEndAsync(Socket socket, CancellationToken limit)
    {
        var buffer = new byte[4096];
        while (await socket.ReceiveAsync(buffer, limit) > 0)
        {
        }
    }

    private static async Task<(int Answered, List<string> Failed)> ChatAsync(RunningSystem system, CancellationToken enough)
    {
        var (answered, failed) = (0, new List<string>());
        while (!enough.IsCancellationRequested)
        {
            // A connection of its own each time: a new client must get in, too.
            using var client = new HttpClient { BaseAddress = system.Client.BaseAddress };
            var answer = await client.PostJsonAsync(Completions, Body(NewPrompt(), stream: false));
            if (answer.Status == HttpStatusCode.OK)
            {
                answered++;
            }
            else
            {
                failed.Add(answer.Text);
            }
        }

        return (answered, failed);
    }
}
