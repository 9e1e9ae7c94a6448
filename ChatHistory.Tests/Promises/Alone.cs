namespace ChatHistory.Tests.Promises;

/// <summary>Tests of what takes how long: they run when all others are done, one after the other, so that they measure the services and not each other.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "measured alone";
}
