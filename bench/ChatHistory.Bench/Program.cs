using ChatHistory.Bench.Storage;

return args switch
{
    ["storage", .. var rest] => await StorageBench.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: bench/run.sh storage [--quick]");
    return 2;
}
