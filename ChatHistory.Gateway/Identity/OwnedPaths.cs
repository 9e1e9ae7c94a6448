using ChatHistory.Gateway.PassThrough;

namespace ChatHistory.Gateway.Identity;

/// <summary>
/// The paths behind which an owner is asked for, whether a route matches or not: <c>/v1</c>, and vLLM's own at the root. All others (health,
/// documentation) are everybody's.
/// </summary>
internal static class OwnedPaths
{
    private static readonly PathString[] s_roots =
        [.. PassThroughRoute.All.Select(route => new PathString(route.Path)).Where(path => !path.StartsWithSegments("/v1")).Prepend("/v1")];

    public static bool Covers(PathString path)
    {
        foreach (var root in s_roots)
        {
            if (path.StartsWithSegments(root))
            {
                return true;
            }
        }

        return false;
    }
}
