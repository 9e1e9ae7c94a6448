using System.Net.Http.Json;
using System.Text.Json;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace ChatHistory.Tests.AppHost;

public sealed class StartedApplicationTests
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromMinutes(3);

    [OrchestratorFact]
    public async Task Completion_IsAnsweredAndSaved()
    {
        var volume = Directory.CreateTempSubdirectory("chathistory-volume-");
        using var timeout = new CancellationTokenSource(s_timeout);
        var cancellationToken = timeout.Token;
        await using var builder = await AppHostModel.RunModeAsync("--Vllm:Mode=simulated", $"--VOLUME_DIR={volume.FullName}");
        await using (var application = await builder.BuildAsync(cancellationToken))
        {
            await application.StartAsync(cancellationToken);
            await application.ResourceNotifications.WaitForResourceHealthyAsync("gateway", cancellationToken);
            await application.ResourceNotifications.WaitForResourceHealthyAsync("vllm", cancellationToken);
            using var gateway = application.CreateHttpClient("gateway", "http");

            using var answer = await gateway.PostAsJsonAsync(
                "/v1/chat/completions",
                new { model = "Qwen/Qwen3-0.6B", messages = new[] { new { role = "user", content = "Hello." } } },
                cancellationToken);
            var completion = await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
            var session = answer.Headers.GetValues("X-Session-Id").Single();

            var history = await gateway.GetFromJsonAsync<JsonElement>($"/v1/sessions/{session}/messages", cancellationToken);
            var messages = history.GetProperty("messages").EnumerateArray().ToList();
            Assert.Equal(2, history.GetProperty("total").GetInt32());
            Assert.Equal(["user", "assistant"], messages.Select(message => message.GetProperty("role").GetString()));
            Assert.Equal("Hello.", messages[0].GetProperty("content").GetString());
            Assert.Equal(
                completion.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(),
                messages[1].GetProperty("content").GetString());
        }

        Assert.True(File.Exists(Path.Combine(volume.FullName, "db", "chat.db")));
        volume.Delete(recursive: true);
    }
}
