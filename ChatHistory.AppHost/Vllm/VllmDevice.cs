namespace ChatHistory.AppHost.Vllm;

/// <summary>What vLLM computes on. It decides the container image.</summary>
public enum VllmDevice
{
    /// <summary>All NVIDIA GPUs of the host.</summary>
    Gpu,

    /// <summary>The host's processor: slow, but enough to try a small model.</summary>
    Cpu,
}
