using System.Globalization;

namespace ChatHistory.Gateway.ChatCompletions;

/// <summary>What a request says about being sent again. The official SDKs repeat a request by themselves, with the same body and no key.</summary>
/// <remarks>
/// <code>
/// Python, Node   x-stainless-retry-count: 0, 1, 2      first repetition 0.4 to 0.5 s after a lost connection
/// .NET           User-Agent: OpenAI/2.15.0 (.NET …)    says nothing; first repetition after 0.8 s
/// </code>
/// </remarks>
/// <param name="IsSdk">True for an official SDK.</param>
/// <param name="Count">How many times the request was sent before; null when that is not said.</param>
/// <param name="Grace">How long a run waits for such a client to come back. Below a second: nobody's GPU should work longer for nothing.</param>
internal readonly record struct SdkRetry(bool IsSdk, int? Count, TimeSpan Grace)
{
    private static readonly TimeSpan s_graceOfThoseWhoSay = TimeSpan.FromMilliseconds(700);
    private static readonly TimeSpan s_graceOfDotNet = TimeSpan.FromMilliseconds(950);

    public static SdkRetry From(IHeaderDictionary headers)
    {
        if (int.TryParse(headers["x-stainless-retry-count"].ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            return new SdkRetry(IsSdk: true, count, s_graceOfThoseWhoSay);
        }

        return headers.UserAgent.ToString().StartsWith("OpenAI/", StringComparison.Ordinal)
            ? new SdkRetry(IsSdk: true, Count: null, s_graceOfDotNet)
            : default;
    }
}
