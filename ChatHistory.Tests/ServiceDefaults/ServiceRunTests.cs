using ChatHistory.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace ChatHistory.Tests.ServiceDefaults;

public sealed class ServiceRunTests
{
    [Fact]
    public async Task AskedToStopWhileItStarts_EndsWithoutAnError()
    {
        var stopped = new StopsAtStart.Outcome();

        var exitCode = await ServiceRun.RunAsync(() =>
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Configuration["urls"] = "http://127.0.0.1:0";
            builder.Services.AddSingleton(stopped);
            builder.Services.AddHostedService<StopsAtStart>();
            return builder.Build();
        });

        Assert.Equal(0, exitCode);
        // What had started was also ended, and not only dropped.
        Assert.True(stopped.WasStopped);
    }

    /// <summary>As a SIGTERM that comes before the server listens.</summary>
    internal sealed class StopsAtStart(IHostApplicationLifetime lifetime, StopsAtStart.Outcome outcome) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            lifetime.StopApplication();
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken)
        {
            outcome.WasStopped = true;
            return Task.CompletedTask;
        }

        internal sealed class Outcome
        {
            public bool WasStopped { get; set; }
        }
    }
}
