using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace ChatHistory.ServiceDefaults;

/// <summary>
/// <c>--healthcheck</c>: the service's own binary asks the running service for <c>/health</c>, because the ASP.NET images carry
/// neither curl nor wget. Exit code 0 is healthy, 1 is not.
/// </summary>
public static class HealthProbe
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(5);

    /// <summary>True when the command line asks for a probe instead of a start.</summary>
    public static bool Requested(string[] args) => args.Contains("--healthcheck");

    /// <summary>Asks the endpoint <c>Kestrel:Endpoints:http</c>, which every service has, on loopback.</summary>
    public static async Task<int> RunAsync()
    {
        var configuration = new ConfigurationBuilder()
            .SetBasePath(AppContext.BaseDirectory)
            .AddJsonFile("appsettings.json", optional: true)
            .AddEnvironmentVariables()
            .Build();
        var port = BindingAddress.Parse(configuration["Kestrel:Endpoints:http:Url"] ?? "http://127.0.0.1:8080").Port;

        using var client = new HttpClient { Timeout = s_timeout };
        try
        {
            using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{port}/health"));
            if (response.IsSuccessStatusCode)
            {
                return 0;
            }

            Console.Error.WriteLine($"/health answered {(int)response.StatusCode}");
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
        {
            Console.Error.WriteLine($"/health did not answer: {exception.Message}");
        }

        return 1;
    }
}
