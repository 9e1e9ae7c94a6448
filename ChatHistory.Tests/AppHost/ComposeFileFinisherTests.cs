using Aspire.Hosting;
using ChatHistory.AppHost.Compose;
using ChatHistory.AppHost.Vllm;

namespace ChatHistory.Tests.AppHost;

public sealed class ComposeFileFinisherTests
{
    private const string Written =
        """
        services:
          vllm:
            image: "vllm/vllm-openai:v1"
            volumes:
              - type: "bind"
                target: "/app/models"
                source: "./volume/models"
            command:
              - "a very long argument that must stay on one line, however long it gets, because a folded line would be another argument"
          storage:
            image: "storage:latest"
            deploy:
              resources:
                limits:
                  memory: "1g"

        """;

    [Fact]
    public void Finish_AddsWhatAspireCannotSay()
    {
        var finished = ComposeFileFinisher.Finish(Written, GpuModelServer());

        Assert.EndsWith(
            """
            services:
              vllm:
                image: "vllm/vllm-openai:v1"
                volumes:
                  - "./volume/models:/app/models"
                command:
                  - "a very long argument that must stay on one line, however long it gets, because a folded line would be another argument"
                deploy:
                  resources:
                    limits:
                      pids: 4096
                    reservations:
                      devices:
                        - driver: nvidia
                          count: all
                          capabilities: [gpu]
              storage:
                image: "storage:latest"
                deploy:
                  resources:
                    limits:
                      memory: "1g"
                      pids: 512

            """,
            finished,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Finish_IsIdempotent()
    {
        var once = ComposeFileFinisher.Finish(Written, GpuModelServer());

        Assert.Equal(once, ComposeFileFinisher.Finish(once, GpuModelServer()));
    }

    [Theory]
    [InlineData("${GATEWAY_PORT}:8080", "${GATEWAY_PORT:-8080}:8080")]
    [InlineData("${UNKNOWN}", "${UNKNOWN:-}")]
    [InlineData("${GATEWAY_PORT:-1}", "${GATEWAY_PORT:-1}")]
    [InlineData("$$VLLM_API_KEY", "$$VLLM_API_KEY")]
    public void Defaults_AreWrittenIntoPlainReferences(string text, string expected)
    {
        var variables = new Dictionary<string, ComposeVariable> { ["GATEWAY_PORT"] = new("GATEWAY_PORT", "8080", "") };

        Assert.Equal(expected, ComposeVariable.WithDefaults(text, variables));
    }

    private static VllmResource[] GpuModelServer() =>
        [DistributedApplication.CreateBuilder().AddVllm("vllm", "some/model").WithGpuSupport().PublishHardened().Resource];
}
