namespace ChatHistory.AppHost.Vllm;

/// <summary>A vLLM server in a container. It serves one model behind an OpenAI-compatible API.</summary>
/// <param name="name">The name of the resource, which is also the name for service discovery and of the connection string.</param>
/// <param name="model">The model that the server loads: an id on Hugging Face or a path in the container.</param>
public sealed class VllmResource(string name, ReferenceExpression model)
    : ContainerResource(name), IResourceWithConnectionString, IResourceWithServiceDiscovery
{
    internal const string HttpEndpointName = "http";

    private EndpointReference? _httpEndpoint;

    /// <summary>Gets the model that the server loads.</summary>
    public ReferenceExpression Model { get; } = model;

    /// <summary>Gets the parameter that holds the server's API key, if it has one. A blank value means that the server asks for none.</summary>
    public ParameterResource? ApiKey { get; internal set; }

    /// <summary>Gets the endpoint of the HTTP server.</summary>
    public EndpointReference HttpEndpoint => _httpEndpoint ??= new(this, HttpEndpointName);

    /// <summary>Gets the base URL of the OpenAI-compatible API, e.g. <c>http://vllm:8000/v1</c>.</summary>
    public ReferenceExpression UriExpression => ReferenceExpression.Create($"{HttpEndpoint.Property(EndpointProperty.Url)}/v1");

    /// <summary>
    /// Gets the connection string: <c>Endpoint=http://vllm:8000/v1;Key=...;Model=...</c>, the form that OpenAI client integrations read.
    /// </summary>
    public ReferenceExpression ConnectionStringExpression => ApiKey is null
        ? ReferenceExpression.Create($"Endpoint={UriExpression};Model={Model}")
        : ReferenceExpression.Create($"Endpoint={UriExpression};Key={ApiKey};Model={Model}");

    IEnumerable<KeyValuePair<string, ReferenceExpression>> IResourceWithConnectionString.GetConnectionProperties()
    {
        yield return new("Uri", UriExpression);
        yield return new("ModelName", Model);
        if (ApiKey is not null)
        {
            yield return new("Key", ReferenceExpression.Create($"{ApiKey}"));
        }
    }
}
