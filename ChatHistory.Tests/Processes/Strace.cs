using System.ComponentModel;
using System.Diagnostics;

namespace ChatHistory.Tests.Processes;

/// <summary>Starts a service below strace, to see its system calls or to make them fail.</summary>
internal static class Strace
{
    /// <summary>Why it cannot be used here; null when it can.</summary>
    public static string? Missing { get; } = Find();

    /// <summary>Records every call that changes files or talks to a socket, with all its bytes in hexadecimal.</summary>
    public static string[] Recording(string file) =>
    [
        // -D: the service, and not strace, is the process that is started and killed.
        "strace", "-D", "-f", "-y", "-xx", "--seccomp-bpf", "-s", "16777216", "-o", file,
        "-e", "trace=openat,pwrite64,pwritev,write,writev,fsync,fdatasync,ftruncate,fallocate,unlink,unlinkat,rename,renameat,renameat2,sendto,sendmsg,recvfrom,recvmsg",
    ];

    /// <summary>Makes calls of a running process fail.</summary>
    /// <param name="inject">As <c>-e inject=</c> takes it, e.g. <c>fsync:error=EIO:when=7</c>; counted for each thread on its own.</param>
    /// <param name="paths">Only calls on these files.</param>
    public static string[] Attaching(int processId, string file, string inject, params string[] paths) =>
    [
        "-f", "-y", "-p", $"{processId}", "-o", file, .. paths.SelectMany(path => new[] { "-P", path }), "-s", "0",
        "-e", "trace=" + inject[..inject.IndexOf(':', StringComparison.Ordinal)], "-e", "inject=" + inject,
    ];

    private static string? Find()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "System calls are traced with strace, on Linux only.";
        }

        try
        {
            using var process = Process.Start(new ProcessStartInfo("strace", ["-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true"]) { RedirectStandardError = true })!;
            return process.WaitForExit(TimeSpan.FromSeconds(30)) && process.ExitCode == 0 ? null : "strace may not trace processes here.";
        }
        catch (Win32Exception)
        {
            return "strace is not installed.";
        }
    }
}

/// <summary>A test that needs strace, which a machine for .NET need not have.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class StraceFactAttribute : FactAttribute
{
    // xunit 2 cannot skip from inside a test.
    public StraceFactAttribute() => Skip = Strace.Missing;
}
