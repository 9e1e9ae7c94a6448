using ChatHistory.AppHost;
using ChatHistory.AppHost.Compose;
using ChatHistory.AppHost.Vllm;

var builder = DistributedApplication.CreateBuilder(args);
var volume = VolumeFolders.Of(builder);

// Environment: what publishing writes, one hardened Docker Compose file. A run neither uses it nor needs a container engine.
builder.AddDockerComposeEnvironment("chathistory").WithHardenedCompose();

// Parameters: each has a value, if only a blank one, so that neither a run nor a publish ever waits for an answer.
var model = builder.AddSetting("vllm-model", "Qwen/Qwen3-0.6B", "The model to serve: an id on Hugging Face. The default is small and needs no token.");
var hfToken = builder.AddSecretSetting("hf-token", "Hugging Face token, for models that ask for one.");
var vllmApiKey = builder.AddSecretSetting("vllm-api-key", "Key that the model server asks for. Blank: none.");
var adminKey = builder.AddSecretSetting("admin-key", "Bootstrap key for making API keys. Blank: personal mode, on loopback only.");
var oidcAuthority = builder.AddSetting("oidc-authority", "", "Issuer whose tokens are accepted beside API keys. Blank: none.");
var oidcAudience = builder.AddSetting("oidc-audience", "", "For whom such tokens are made (aud). Needed with OIDC_AUTHORITY.");

// Dependencies: the model server is vLLM in a container, a server that you already have, or the simulator (Vllm:Mode).
IResourceBuilder<IResource> vllm = VllmModes.Choose(builder) switch
{
    VllmMode.External => builder.AddExternalVllm("vllm"),
    VllmMode.Simulated => builder.AddVllmSimulator<Projects.ChatHistory_VllmSimulator>("vllm", model, volume.Logs),
    _ => builder.AddVllm("vllm", model)
        .WithDevice(VllmModes.Device(builder))
        .WithModelCache(volume.Models)
        .WithHfToken(hfToken)
        .WithApiKey(vllmApiKey)
        .PublishHardened(),
};

// Services: storage is the only process that opens the database.
var storage = builder.AddProject<Projects.ChatHistory_StorageService>("storage")
    .WithFolder("Database__Path", volume.Data, "chat.db")
    .WithFolder("Logs__Directory", volume.Logs)
    .AsInnerService()
    .WithFirstGeneration(mebibytes: 4)
    .WithHttpHealthCheck("/health", endpointName: "http")
    .WithIconName("Database")
    .PublishHardened();

// Edge: the gateway is the only door. It waits for the history to be healthy, but only for the model server to be started:
// loading a model takes minutes, and reading one's history needs no model.
builder.AddProject<Projects.ChatHistory_Gateway>("gateway")
    .WithReference(storage).WaitFor(storage)
    .WithModelServer(vllm, model, vllmApiKey).WaitForStart(vllm)
    .WithEnvironment("Identity__AdminKey", adminKey)
    .WithEnvironment("Identity__Oidc__Authority", oidcAuthority)
    .WithEnvironment("Identity__Oidc__Audience", oidcAudience)
    .WithFolder("Logs__Directory", volume.Logs)
    .WithFirstGeneration(mebibytes: 8)
    .WithMessageContentOnlyOnRequest()
    .WithGatewayPort()
    .WithAdminPort()
    .WithHttpHealthCheck("/health", endpointName: "http")
    .WithTryItCommand(model)
    .WithBackupCommands(adminKey)
    .WithIconName("ChatMultiple")
    .PublishHardened();

builder.Build().Run();
