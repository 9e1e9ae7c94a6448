using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ChatHistory.ServiceDefaults;

/// <summary>A service from its start to its end, as an exit code.</summary>
public static partial class ServiceRun
{
    /// <summary>Runs until the process is asked to stop. A start that its operator has to mend ends with 1, and a sentence in place of a stack trace.</summary>
    /// <param name="build">Makes the service. Settings are read, and found wrong, as early as here.</param>
    /// <param name="isToldElsewhere">Failures of a library's own tasks that its caller gets another way as well. They are left to the debug log.</param>
    public static async Task<int> RunAsync(Func<WebApplication> build, Func<Exception, bool>? isToldElsewhere = null)
    {
        ArgumentNullException.ThrowIfNull(build);
        WebApplication app;
        try
        {
            app = build();
        }
        catch (Exception exception) when (StartFailure.SentenceOf(exception) is { } sentence)
        {
            // There is no log yet.
            await Console.Error.WriteLineAsync(sentence);
            return 1;
        }

        // A task that failed while nobody looked is a defect of ours; by default the runtime swallows it.
        TaskScheduler.UnobservedTaskException += (_, unobserved) =>
            Log.Unobserved(app.Logger, unobserved.Exception.InnerExceptions.All(isToldElsewhere ?? (_ => false)) ? LogLevel.Debug : LogLevel.Error, unobserved.Exception);

        // Not WebApplication.RunAsync: it closes the log before anybody could say why the start failed.
        await using (app)
        {
            try
            {
                await app.StartAsync();
            }
            catch (Exception exception) when (StartFailure.SentenceOf(exception) is { } sentence)
            {
                Log.CannotStart(app.Logger, sentence);
                return 1;
            }
            catch (OperationCanceledException) when (app.Lifetime.ApplicationStopping.IsCancellationRequested)
            {
                // Asked to stop while it was still starting, which is no failure: unhandled it would end the process with an abort.
                await app.StopAsync();
                return Environment.ExitCode;
            }

            await app.WaitForShutdownAsync();
            return Environment.ExitCode;
        }
    }

    /// <summary>Gives back what only the start needed: a service calls it once, when it is ready. Takes some tens of milliseconds, in which it does nothing else.</summary>
    public static void GiveBackMemory() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "{Sentence}")]
        public static partial void CannotStart(ILogger logger, string sentence);

        [LoggerMessage(EventId = 2, Message = "A task failed, and nobody looked at it")]
        public static partial void Unobserved(ILogger logger, LogLevel level, Exception exception);
    }
}
