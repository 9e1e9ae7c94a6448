using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using Xunit.Abstractions;

namespace ChatHistory.Tests.Promises;

/// <summary>
/// R10: requests that almost are some: whatever is done to a body, a query, a header or a length, of every route in the OpenAPI document, the answer is
/// never a failure of the gateway, and it gets over it.
/// </summary>
[Trait(Promise.Trait, "R10")]
public sealed class MalformedRequestsTests(ITestOutputHelper output)
{
    private const int MaxBytes = 1024 * 1024;
    private const int AtOnce = 8;
    private const int HttpVersionNotSupported = 505;

    [Fact]
    public async Task MalformedRequest_IsNeverTheGatewaysFailure()
    {
        var promise = new Promise("R10", output);
        await using var system = await RunningSystem.StartAsync(settings: [("Limits__MaxRequestBodyBytes", $"{MaxBytes}"), ("Simulator__RecordedRequests", "0")]);
        var routes = await MalformedRoutes.ReadAsync(system.Client);
        Assert.True(routes.Count(route => route.Bodies.Length > 0) >= 10, string.Join(", ", routes.Select(route => $"{route.Route}")));
        var (count, process, memory) = (Promise.Size(400, 10_000), system.Gateway.Id, system.Gateway.ResidentBytes());
        var statuses = new int[600];
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (i, _) =>
        {
            // Each case has a seed of its own: the order in which they run changes nothing.
            var random = new Random(unchecked((promise.Seed * 397) ^ i));
            Interlocked.Increment(ref statuses[i % 12 == 0 ? await LieAsync(system.Client.BaseAddress!, random, promise.Seed, i) : await SendAsync(system.Client, routes, random, promise.Seed, i)]);
        });

        // Nor was anything stored that cannot be read again, nor is anything the worse for it.
        foreach (var path in new[] { "/v1/sessions?user_id=ada&limit=1000", "/v1/users/ada/history?limit=1000", "/v1/users/default_user/history?limit=1000", "/health" })
        {
            Assert.Equal(HttpStatusCode.OK, (await system.Client.GetAsync(path)).StatusCode);
        }

        Assert.Equal(process, system.Gateway.Id);
        var failures = system.Gateway.Output.Split('\n').SkipWhile(line => !line.Contains(" ERR ", StringComparison.Ordinal)).Take(60);
        Assert.False(failures.Any(), string.Join('\n', failures));
        var now = await Eventually.GetAsync(() => Task.FromResult(system.Gateway.ResidentBytes()), bytes => bytes is null || bytes < memory + (256L * 1024 * 1024));
        promise.Figure(string.Create(CultureInfo.InvariantCulture,
            $"{count} requests to {routes.Length} routes: {statuses[400..500].Sum()} x 4xx, {statuses[200..400].Sum()} taken, {statuses[0]} cut off, {statuses[500..].Sum()} x 5xx, 0 restarts; memory {memory.Megabytes()} -> {now.Megabytes()}"));
    }

    private static async Task<int> SendAsync(HttpClient client, MalformedRoute[] routes, Random random, int seed, int number)
    {
        var route = routes[random.Next(routes.Length)];
        var body = route.Bodies.Length == 0 && random.Next(3) > 0 ? null : Mutations.Body(route.Bodies.Length == 0 ? "{}" : random.Pick(route.Bodies), random);
        using var request = new HttpRequestMessage(route.Route.Method, route.Path + (random.Next(4) == 0 ? Mutations.Query(random) : ""));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", random.Next(10) == 0 ? random.Pick(Mutations.ContentTypes) : "application/json");
            if (random.Next(15) == 0)
            {
                request.Content.Headers.TryAddWithoutValidation("Content-Encoding", random.Pick(Mutations.Encodings));
            }
        }

        if (random.Next(4) == 0)
        {
            var (name, value) = random.Pick(Mutations.Headers);
            request.Headers.TryAddWithoutValidation(name, value);
        }

        HttpResponseMessage response;
        try
        {
            response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        }
        catch (HttpRequestException exception) when (exception.InnerException is IOException or SocketException || exception.HttpRequestError == HttpRequestError.InvalidResponse)
        {
            // A body that is far too large is answered and cut off while it is still being sent; the client then sees one or the other.
            return 0;
        }

        using (response)
        {
            var answer = await StreamedAnswer.ReadAsync(response);
            var text = $"seed {seed}, case {number}: {request.Method} {request.RequestUri} gives {answer.Status} {answer.Text} for {(body is null ? "" : Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, 2000))))}";
            Assert.True((int)answer.Status < 500, text);
            if ((int)answer.Status >= 400)
            {
                Assert.True(JsonElement.Parse(answer.Text).GetProperty("error").GetProperty("message").GetString()!.Length > 0, text);
            }

            return (int)answer.Status;
        }
    }

    /// <summary>What HttpClient would never send: lengths, chunks and heads that are not what they say.</summary>
    private static async Task<int> LieAsync(Uri gateway, Random random, int seed, int number)
    {
        var request = random.Pick(Mutations.Lies).Replace("{host}", gateway.Authority, StringComparison.Ordinal);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(gateway.Host, gateway.Port);
        var received = new MemoryStream();
        try
        {
            await socket.SendAsync(Encoding.Latin1.GetBytes(request));
            socket.Shutdown(SocketShutdown.Send);
            var buffer = new byte[16 * 1024];
            while (await socket.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(30)) is var length and > 0)
            {
                received.Write(buffer.AsSpan(0, length));
            }
        }
        catch (SocketException)
        {
        }

        var answer = Encoding.Latin1.GetString(received.ToArray());
        // To the preface of HTTP/2 it answers in HTTP/2.
        var status = !answer.StartsWith("HTTP/1.", StringComparison.Ordinal) ? 0 : int.Parse(answer.AsSpan(9, 3), CultureInfo.InvariantCulture);
        // A version of HTTP that there is not is a client's mistake, although its status is above 500; Kestrel says so itself.
        status = status == HttpVersionNotSupported ? 400 : status;
        Assert.True(status < 500, $"seed {seed}, case {number}: {request[..Math.Min(request.Length, 500)]} gives {answer}");
        return status;
    }
}

internal static class RandomPicks
{
    public static T Pick<T>(this Random random, IReadOnlyList<T> from) => from[random.Next(from.Count)];
}
