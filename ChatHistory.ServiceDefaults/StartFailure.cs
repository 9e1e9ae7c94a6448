using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace ChatHistory.ServiceDefaults;

/// <summary>Failures of a start that are the operator's to mend, and so are told in a sentence: a stack trace would only hide it.</summary>
internal static class StartFailure
{
    private const string ConfigurationBinder = "Microsoft.Extensions.Configuration.Binder";

    /// <summary>What is wrong; null for a failure of the program's own.</summary>
    public static string? SentenceOf(Exception exception) => exception switch
    {
        OptionsValidationException invalid => string.Join(Environment.NewLine, invalid.Failures),
        // "Failed to convert configuration value 'x' at 'Limits:MaxConnections' to type 'System.Int64'."
        InvalidOperationException { Source: ConfigurationBinder } unreadable => unreadable.Message,
        FormatException { Message: var message } when message.StartsWith("Invalid url", StringComparison.Ordinal) => $"{message}. Kestrel:Endpoints takes addresses such as http://127.0.0.1:8080.",
        // "Failed to bind to address http://127.0.0.1:8080: address already in use."
        IOException { InnerException: { } inner } taken when IsAboutTheAddress(inner) => taken.Message,
        SocketException { SocketErrorCode: SocketError.AccessDenied or SocketError.AddressNotAvailable } socket => $"The service cannot listen: {socket.Message}. See Kestrel:Endpoints.",
        AggregateException { InnerExceptions: [var only] } => SentenceOf(only),
        _ => null,
    };

    private static bool IsAboutTheAddress(Exception exception) =>
        exception is Microsoft.AspNetCore.Connections.AddressInUseException or AggregateException { InnerExceptions: [Microsoft.AspNetCore.Connections.AddressInUseException, ..] };
}
