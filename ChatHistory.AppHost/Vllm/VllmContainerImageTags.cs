namespace ChatHistory.AppHost.Vllm;

internal static class VllmContainerImageTags
{
    /// <remarks>docker.io</remarks>
    public const string Registry = "docker.io";

    /// <remarks>vllm/vllm-openai: CUDA. The plain tag is CUDA 13 (driver 580 or newer); <c>-cu129</c> behind it is CUDA 12.9.</remarks>
    public const string CudaImage = "vllm/vllm-openai";

    /// <remarks>vllm/vllm-openai-cpu: x86-64 and arm64.</remarks>
    public const string CpuImage = "vllm/vllm-openai-cpu";

    /// <remarks>v0.29.0</remarks>
    public const string Tag = "v0.29.0";
}
