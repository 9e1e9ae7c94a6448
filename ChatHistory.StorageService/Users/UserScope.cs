using ChatHistory.StorageService.Database;
using V1 = ChatHistory.Storage.V1;

namespace ChatHistory.StorageService.Users;

/// <summary>Whose data a call may touch: one owner's, or everybody's (personal mode).</summary>
/// <param name="Owner">The one owner; null for everybody.</param>
/// <param name="MaxStoredBytes">How much may be stored of the owner; null for any amount.</param>
internal readonly record struct UserScope(string? Owner, long? MaxStoredBytes = null)
{
    public static UserScope Everyone => new(null);

    /// <summary>Reads the contract's scope. False when it names nobody: there is no call without a scope.</summary>
    public static bool TryParse(V1.Scope? scope, out UserScope parsed)
    {
        switch (scope?.ScopeCase)
        {
            case V1.Scope.ScopeOneofCase.Owner when scope.Owner.Length > 0:
                parsed = new UserScope(scope.Owner, scope.HasMaxStoredBytes ? scope.MaxStoredBytes : null);
                return true;
            case V1.Scope.ScopeOneofCase.Everyone when scope.Everyone:
                parsed = Everyone;
                return true;
            default:
                parsed = default;
                return false;
        }
    }

    /// <summary>For unary calls: INVALID_ARGUMENT when the scope names nobody.</summary>
    public static UserScope Parse(V1.Scope? scope) =>
        TryParse(scope, out var parsed) ? parsed : throw StorageStatus.Invalid("scope", "must name an owner, or everyone");

    public bool Allows(string userId) => Owner is null || Owner == userId;
}
