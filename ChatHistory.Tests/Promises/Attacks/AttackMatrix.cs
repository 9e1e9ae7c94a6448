using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Promises.Attacks;

/// <summary>One request for something of somebody else's, and the same for something that nobody has.</summary>
/// <param name="Name">The operation and the place of the id.</param>
/// <param name="Id">The victim's id.</param>
/// <param name="MustFail">True where the id decides what the request is about; false where it is to be ignored.</param>
/// <param name="Build">Makes the request with the victim's id, or its twin.</param>
internal sealed record Attempt(string Name, Party Attacker, string Id, bool MustFail, Func<string, (HttpMethod Method, string Path, string? Body, (string, string)[] Headers)> Build)
{
    /// <summary>Another id of the victim's in the same request.</summary>
    public string? Other { get; init; }
}

/// <summary>
/// Every way to name something of a victim's, made from the OpenAPI document: each parameter of each path and query, each member of each body, and on
/// every route the headers that name somebody or something. A parameter that this does not know is an error: whoever adds one says what it names.
/// </summary>
internal static class AttackMatrix
{
    private const string Intruding = "intruding";

    private static readonly ConcurrentDictionary<string, string> s_nobodys = new();

    // They name nothing of anybody's.
    private static readonly string[] s_neutralQuery = ["limit", "offset", "order", "stream", "starting_after", "include_usage", "include", "model"];

    private static readonly string[] s_neutralMembers =
    [
        "messages", "model", "stream", "store", "on_disconnect", "multitask", "title", "is_active", "role", "content", "tokens", "instructions", "background", "tools",
        "text", "max_completion_tokens",
    ];

    // Whether a body declares them or not, they are tried in each.
    private static readonly string[] s_everywhere = ["session_id", "user_id", "user", "parent_message_id", "previous_response_id", "conversation", "owner", "owner_id", "prompt", "cache_salt"];

    // They decide for whom a request is; others' are ignored.
    private static readonly string[] s_ignorable = ["user_id", "user", "owner", "owner_id", "prompt", "cache_salt"];

    private static readonly (string Name, Func<Belongings, IEnumerable<string>> Ids)[] s_headers =
    [
        ("X-Session-Id", has => has.Sessions),
        ("X-Conversation-Id", has => has.Sessions),
        ("X-OpenWebUI-Chat-Id", has => has.Sessions),
        ("Idempotency-Key", has => [has.IdempotencyKey]),
        ("Last-Event-ID", has => has.Messages),
        ("X-OpenWebUI-User-Id", has => [has.Owner.Name]),
        ("X-User-Id", has => [has.Owner.Name]),
        ("X-Forwarded-User", has => [has.Owner.Name]),
        ("X-Remote-User", has => [has.Owner.Name]),
        ("X-Original-URL", has => has.Sessions.Select(id => $"/v1/sessions/{id}")),
        ("X-HTTP-Method-Override", has => [has.Canary]),
        ("Forwarded", has => [$"for=127.0.0.1;by={has.Owner.Name}"]),
    ];

    public static IEnumerable<Attempt> Of(IEnumerable<OpenApiOperation> operations, Party attacker, Belongings own, Belongings victim)
    {
        foreach (var operation in operations)
        {
            foreach (var attempt in InPath(operation, attacker, own, victim)
                .Concat(InQuery(operation, attacker, own, victim))
                .Concat(InBody(operation, attacker, own, victim))
                .Concat(InHeaders(operation, attacker, own, victim)))
            {
                yield return attempt;
            }
        }
    }

    /// <summary>All parameters of a path may be the victim's, or one of them, between the attacker's own.</summary>
    private static IEnumerable<Attempt> InPath(OpenApiOperation operation, Party attacker, Belongings own, Belongings victim)
    {
        var owned = operation.PathParameters.Where(parameter => IdsOf(victim, parameter, operation).Count > 0).ToArray();
        foreach (var parameter in owned)
        {
            foreach (var id in IdsOf(victim, parameter, operation))
            {
                yield return Attempt(operation, $"path {parameter}", attacker, id, mustFail: true, spelt => (Filled(operation, own, parameter, spelt), AnyBody(operation), []));
                if (owned.Length > 1 && parameter != owned[0])
                {
                    // The rest is the victim's, too.
                    foreach (var first in IdsOf(victim, owned[0], operation).Take(3))
                    {
                        yield return Attempt(
                            operation, $"path {owned[0]} and {parameter}", attacker, id, mustFail: true,
                            spelt => (Filled(operation, own, parameter, spelt).Replace(Escaped(IdsOf(own, owned[0], operation)[0]), Escaped(spelt == id ? first : Nobodys(first)), StringComparison.Ordinal), AnyBody(operation), [])) with { Other = first };
                    }
                }

                if (operation.QueryParameters.Contains("stream"))
                {
                    yield return Attempt(operation, $"path {parameter}, stream", attacker, id, mustFail: true, spelt => (Filled(operation, own, parameter, spelt) + "?stream=true", AnyBody(operation), []));
                }
            }
        }
    }

    private static IEnumerable<Attempt> InQuery(OpenApiOperation operation, Party attacker, Belongings own, Belongings victim)
    {
        foreach (var parameter in operation.QueryParameters.Except(s_neutralQuery))
        {
            IEnumerable<string> ids = parameter switch
            {
                "user_id" => [victim.Owner.Name],
                "branch" => victim.Messages,
                "after" or "before" => [.. victim.Cursors, .. victim.Messages.Take(2), .. victim.Sessions.Take(2)],
                _ => throw Unknown("query", parameter, operation),
            };
            foreach (var id in ids)
            {
                yield return Attempt(operation, $"query {parameter}", attacker, id, mustFail: false, spelt => ($"{OwnPath(operation, own)}?{parameter}={Escaped(spelt)}", AnyBody(operation), []));
            }
        }
    }

    private static IEnumerable<Attempt> InBody(OpenApiOperation operation, Party attacker, Belongings own, Belongings victim)
    {
        if (operation.Members is null)
        {
            yield break;
        }

        // Behind /admin no user comes at all, whatever a body there says.
        var declaredMembers = operation.Path.StartsWith("/admin", StringComparison.Ordinal) ? [] : operation.Members;
        foreach (var member in declaredMembers.Except(s_neutralMembers).Except(["metadata"]).Union(KeepsWhatItIsSent(operation) ? [] : s_everywhere))
        {
            var declared = operation.Members.Contains(member);
            foreach (var (id, value) in ValuesOf(victim, member, operation))
            {
                foreach (var more in operation.Path == ChatRequests.Completions ? [""", "store":false""", """, "stream":true"""] : new[] { "" })
                {
                    yield return Attempt(operation, $"body {member}{more}", attacker, id, mustFail: declared && !s_ignorable.Contains(member), spelt =>
                    {
                        var body = JsonNode.Parse(AnyBody(operation)!)!.AsObject();
                        body[member] = value(spelt);
                        if (member is "previous_response_id" or "conversation" && !declared)
                        {
                            body["store"] = true;
                        }

                        return (OwnPath(operation, own), body.ToJsonString()[..^1] + more + "}", []);
                    });
                }
            }
        }
    }

    // A message keeps members that nobody knows: the attacker would read again what the attacker has written.
    private static bool KeepsWhatItIsSent(OpenApiOperation operation) => operation.Path.EndsWith("/messages", StringComparison.Ordinal);

    private static IEnumerable<Attempt> InHeaders(OpenApiOperation operation, Party attacker, Belongings own, Belongings victim)
    {
        foreach (var (header, ids) in s_headers)
        {
            // A UI's key may name whom it wants: that is what it is for.
            if (header is "X-OpenWebUI-User-Id" or "X-User-Id" && attacker.Headers.Length > 0)
            {
                continue;
            }

            // The attackers' own second use of a key would be another matter than the victim's first.
            if (header == "Idempotency-Key" && operation.Path == "/v1/responses")
            {
                continue;
            }

            foreach (var id in ids(victim).Take(2))
            {
                yield return Attempt(
                    operation, $"header {header}", attacker, id, mustFail: operation.Path == ChatRequests.Completions && operation.Method == HttpMethod.Post && header == "X-Session-Id",
                    spelt => (OwnPath(operation, own), AnyBody(operation), [(header, spelt)]));
            }
        }
    }

    private static Attempt Attempt(OpenApiOperation operation, string place, Party attacker, string id, bool mustFail, Func<string, (string Path, string? Body, (string, string)[] Headers)> build) =>
        new($"{operation}, {place}", attacker, id, mustFail, spelt =>
        {
            var (path, body, headers) = build(spelt);
            return (operation.Method, path, operation.Method == HttpMethod.Get ? null : body, headers);
        });

    /// <summary>What of a party's a parameter of a path can name; nothing for what is nobody's.</summary>
    private static List<string> IdsOf(Belongings has, string parameter, OpenApiOperation operation) => parameter switch
    {
        "session_id" => has.Sessions,
        "message_id" or "run_id" => has.Messages,
        "conversation_id" => [.. has.Sessions.Select(id => "conv_" + id), has.Sessions[0]],
        "item_id" => has.Items,
        "completion_id" => has.Completions,
        "response_id" => has.Responses,
        "user_id" => [has.Owner.Name],
        "key_id" => has.Owner.KeyId is { } keyId ? [keyId] : [],
        // The model server's, and the operator's.
        "model" or "backup_name" => [],
        _ => throw Unknown("path", parameter, operation),
    };

    private static IEnumerable<(string Id, Func<string, JsonNode> Value)> ValuesOf(Belongings has, string member, OpenApiOperation operation) => member switch
    {
        "session_id" => has.Sessions.Select(Plain),
        "parent_message_id" or "head_message_id" or "message_id" => has.Messages.Select(Plain),
        "previous_response_id" => has.Responses.Select(Plain),
        "conversation" => [.. has.Sessions.Select(id => Plain("conv_" + id)), ("conv_" + has.Sessions[0], id => new JsonObject { ["id"] = id })],
        "input" or "items" => has.Items.Select(item => (item, (Func<string, JsonNode>)(id => new JsonArray(new JsonObject { ["type"] = "item_reference", ["id"] = id })))),
        "prompt" => [(has.Responses[0], id => new JsonObject { ["id"] = id })],
        "user_id" or "user" or "owner" or "owner_id" or "cache_salt" => [Plain(has.Owner.Name)],
        _ => throw Unknown("body", member, operation),
    };

    private static (string, Func<string, JsonNode>) Plain(string id) => (id, spelt => JsonValue.Create(spelt)!);

    private static string OwnPath(OpenApiOperation operation, Belongings own) => Filled(operation, own, parameter: "", id: "");

    /// <summary>The path with the attacker's own ids, but one.</summary>
    private static string Filled(OpenApiOperation operation, Belongings own, string parameter, string id) =>
        operation.PathParameters.Aggregate(operation.Path, (path, name) =>
        {
            // What the attacker has must last: of it only what nobody has is deleted.
            var mine = IdsOf(own, name, operation).FirstOrDefault() ?? RunningSystem.Model;
            var value = name == parameter ? id : operation.Method == HttpMethod.Delete && parameter.Length == 0 ? Nobodys(mine) : mine;
            return path.Replace($"{{{name}}}", Escaped(value), StringComparison.Ordinal);
        });

    // One that every route accepts, so that nothing but the id decides.
    private static string? AnyBody(OpenApiOperation operation) => operation.Method == HttpMethod.Get ? null
        : operation.Path.StartsWith("/v1/chat", StringComparison.Ordinal) || operation.Path.EndsWith("/preview", StringComparison.Ordinal)
            ? $$"""{"metadata":{"a":"{{Intruding}}"},"messages":[{"role":"user","content":"{{Intruding}}"}]}"""
        : operation.Path.StartsWith("/v1/responses", StringComparison.Ordinal) ? $$"""{"metadata":{"a":"{{Intruding}}"},"input":"{{Intruding}}"}"""
        : operation.Path.EndsWith("/messages", StringComparison.Ordinal) ? $$"""{"role":"user","content":"{{Intruding}}"}"""
        : operation.Path.Contains("/items", StringComparison.Ordinal) ? $$"""{"items":[{"type":"message","role":"user","content":"{{Intruding}}"}]}"""
        : $$"""{"title":"{{Intruding}}","metadata":{"a":"{{Intruding}}"},"input":"{{Intruding}}","prompt":"{{Intruding}}"}""";

    /// <summary>The same for the same.</summary>
    public static string Nobodys(string id) => s_nobodys.GetOrAdd(id, Twin.Of);

    private static string Escaped(string text) => Uri.EscapeDataString(text);

    private static InvalidOperationException Unknown(string place, string name, OpenApiOperation operation) => new(
        $"The matrix does not know what '{name}' in the {place} of {operation} names. If it names something that somebody owns, say in {nameof(AttackMatrix)} what of a victim's to put there; else add it to the neutral ones.");
}
