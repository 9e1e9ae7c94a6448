using System.Globalization;
using ChatHistory.Bench.Http;
using ChatHistory.Bench.Storage;
using ChatHistory.Bench.Targets;
using ChatHistory.Bench.Upstream;

return args switch
{
    ["http", .. var rest] => await HttpBench.RunAsync(Programs.RepositoryRoot, rest),
    ["storage", .. var rest] => await StorageBench.RunAsync(rest),
    ["upstream", var port] => await UpstreamServer.RunAsync(Number(port)),
    ["telemetry", var port] => await TelemetrySink.RunAsync(Number(port)),
    ["storage-stand-in", var grpc, var http, .. var file] => await StorageStandIn.RunAsync(Number(grpc), Number(http), file.FirstOrDefault()),
    ["yarp", var port, var upstream, .. var more] => await YarpProxy.RunAsync(Number(port), Number(upstream), withTelemetry: more is [YarpProxy.WithTelemetry]),
    _ => Usage(),
};

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

static int Usage()
{
    Console.Error.WriteLine("""
        usage: bench/run.sh http [--quick] [--limits] [--only PART_OF_A_WORKLOADS_NAME]
               bench/run.sh storage [--quick]

        The parts by themselves, for a look at one of them:
          upstream PORT            the model server that costs next to nothing
          storage-stand-in GRPC_PORT HTTP_PORT [FILE]  what the gateway takes for storage where limits are measured
          telemetry PORT           an OTLP receiver that takes everything
          yarp PORT UPSTREAM_PORT [telemetry]  YARP as a plain proxy, or with the product's telemetry and a key
        """);
    return 2;
}
