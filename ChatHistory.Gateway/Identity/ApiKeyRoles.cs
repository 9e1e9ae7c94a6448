namespace ChatHistory.Gateway.Identity;

/// <summary>What an API key is for.</summary>
internal static class ApiKeyRoles
{
    /// <summary>Opens its owner's conversations.</summary>
    public const string User = "user";

    /// <summary>Works like the bootstrap key, on the admin listener; owns no conversations.</summary>
    public const string Admin = "admin";

    /// <summary>Belongs to a UI and speaks for the user whom its headers name (<see cref="UiHeaders"/>).</summary>
    public const string TrustedProxy = "trusted_proxy";
}
