namespace ChatHistory.Gateway.Errors;

/// <summary>Ends the handling of a request with an <see cref="OpenAIError"/>; turned into the response in <see cref="OpenAIErrors"/> and nowhere else.</summary>
internal sealed class OpenAIErrorException(OpenAIError error) : Exception(error.Message)
{
    public OpenAIError Error { get; } = error;
}
