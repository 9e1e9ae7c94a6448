using System.Text.Json;
using System.Text.Json.Nodes;
using ChatHistory.Tests.Gateway;
using ChatHistory.Tests.Processes;

namespace ChatHistory.Tests.Promises;

/// <summary>A route of the OpenAPI document with ids that exist, and bodies that it would take.</summary>
/// <param name="Bodies">None for a route that takes no body.</param>
internal sealed record MalformedRoute(OpenApiRoute Route, string Path, string[] Bodies);

/// <summary>All routes of the document: those that are added later get bodies from their schema.</summary>
internal static class MalformedRoutes
{
    private static readonly Dictionary<string, string[]> s_bodies = new()
    {
        ["POST /v1/chat/completions"] =
        [
            """{"model":"Qwen/Qwen3-0.6B","messages":[{"role":"system","content":"Be brief"},{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}],"name":"ada"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}],"reasoning_content":"r"},{"role":"tool","tool_call_id":"c1","content":"sunny"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"stream":true,"stream_options":{"include_usage":true},"n":1,"temperature":0.5,"max_tokens":5,"user":"ada","user_id":"ada","store":true,"on_disconnect":"cancel","metadata":{"a":"b"},"session_id":"{session_id}"}""",
            """{"messages":[{"role":"user","content":"Hello"}],"stream":false,"max_tokens":3}""",
            """{"messages":[{"role":"user","content":"Hello"}],"parent_message_id":"{message_id}","multitask":"branch","max_tokens":3}""",
        ],
        ["POST /v1/chat/completions/{completion_id}"] = ["""{"metadata":{"a":"b"}}"""],
        ["POST /v1/responses"] =
        [
            """{"model":"Qwen/Qwen3-0.6B","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hello"},{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"},{"type":"item_reference","id":"msg_1"}],"instructions":"Be brief","tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],"tool_choice":"auto","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},"reasoning":{"effort":"low"},"max_output_tokens":16,"temperature":0.5,"metadata":{"a":"b"},"stream":true,"store":true,"include":["message.output_text.logprobs"],"truncation":"auto"}""",
            """{"input":"Hello","max_output_tokens":16,"previous_response_id":"{response_id}","background":true}""",
            """{"input":"Hello","max_output_tokens":16,"conversation":{"id":"{conversation_id}"}}""",
        ],
        ["POST /v1/responses/input_tokens"] = ["""{"input":[{"role":"user","content":"Hello"}],"model":"Qwen/Qwen3-0.6B","instructions":"x","tools":[]}"""],
        ["POST /v1/sessions"] = ["""{"user_id":"ada","title":"Engines","metadata":{"a":{"b":[1,2,3]}}}"""],
        ["PATCH /v1/sessions/{session_id}"] = ["""{"title":"Engines","metadata":{},"is_active":true}""", """{"head_message_id":"{message_id}"}"""],
        ["POST /v1/sessions/{session_id}/messages"] = ["""{"role":"user","content":[{"type":"text","text":"Hello"}],"model":"m","tokens":3,"extra":{"x":null}}"""],
        ["POST /v1/sessions/{session_id}/fork"] = ["""{"message_id":"{message_id}","title":"Engines"}"""],
        ["POST /v1/conversations"] = ["""{"metadata":{"a":"b"},"items":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hello"},{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]},{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"r"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}]}"""],
        ["POST /v1/embeddings"] = ["""{"model":"Qwen/Qwen3-0.6B","input":["a","b"],"encoding_format":"float","dimensions":8}"""],
        ["POST /v1/completions"] = ["""{"model":"Qwen/Qwen3-0.6B","prompt":["a"],"max_tokens":3,"stream":true,"n":1}"""],
        ["POST /tokenize"] = ["""{"model":"Qwen/Qwen3-0.6B","messages":[{"role":"user","content":"Hello"}]}"""],
    };

    public static async Task<MalformedRoute[]> ReadAsync(HttpClient client)
    {
        var ids = await MakeIdsAsync(client);
        var document = (await client.GetJsonAsync("/openapi/v1.json")).Body;
        return [.. (await OpenApiRoute.ReadAllAsync(client)).Select(route => new MalformedRoute(route, Filled(route.Template, ids), [.. BodiesOf(route, document).Select(body => Filled(body, ids))]))];
    }

    private static async Task<Dictionary<string, string>> MakeIdsAsync(HttpClient client)
    {
        var chat = await client.PostJsonAsync(ChatRequests.Completions, """{"messages":[{"role":"user","content":"Hello"}],"store":true,"user":"ada"}""");
        var response = await client.PostJsonAsync("/v1/responses", """{"input":"Hello"}""");
        var conversation = await client.PostJsonAsync("/v1/conversations", """{"items":[{"type":"message","role":"user","content":"Hello"}]}""");
        return new()
        {
            ["session_id"] = chat.SessionId,
            ["message_id"] = chat.Headers["X-Message-Id"],
            ["run_id"] = chat.Headers["X-Message-Id"],
            ["completion_id"] = chat.Body.GetProperty("id").GetString()!,
            ["response_id"] = response.Body.GetProperty("id").GetString()!,
            ["conversation_id"] = conversation.Body.GetProperty("id").GetString()!,
            ["item_id"] = "msg_1",
            ["user_id"] = "ada",
            ["key_id"] = "abcdefgh",
            ["model"] = RunningSystem.Model,
        };
    }

    private static string[] BodiesOf(OpenApiRoute route, JsonElement document)
    {
        if (s_bodies.TryGetValue($"{route.Method} {route.Template}", out var known))
        {
            return known;
        }

        var operation = document.GetProperty("paths").GetProperty(route.Template).GetProperty(route.Method.Method.ToLowerInvariant());
        return operation.TryGetProperty("requestBody", out var body) && body.TryGetProperty("content", out var content) && content.TryGetProperty("application/json", out var json)
            ? [(Sample(json.TryGetProperty("schema", out var schema) ? schema : default, document, depth: 0) ?? new JsonObject()).ToJsonString()]
            : [];
    }

    /// <summary>A value that a schema allows, as far as it says.</summary>
    private static JsonNode? Sample(JsonElement schema, JsonElement document, int depth)
    {
        if (schema.ValueKind != JsonValueKind.Object || depth > 6)
        {
            return new JsonObject();
        }

        if (schema.TryGetProperty("$ref", out var reference))
        {
            var target = document;
            foreach (var step in reference.GetString()!.Split('/')[1..])
            {
                target = target.GetProperty(step);
            }

            return Sample(target, document, depth + 1);
        }

        var type = schema.TryGetProperty("type", out var types) ? types.ValueKind == JsonValueKind.Array ? types.EnumerateArray().First(one => one.GetString() != "null").GetString() : types.GetString() : "object";
        switch (type)
        {
            case "string":
                return "text";
            case "integer" or "number":
                return 1;
            case "boolean":
                return true;
            case "array":
                return new JsonArray(schema.TryGetProperty("items", out var items) ? Sample(items, document, depth + 1) : new JsonObject());
            default:
                var sample = new JsonObject();
                if (schema.TryGetProperty("properties", out var properties))
                {
                    foreach (var property in properties.EnumerateObject())
                    {
                        sample[property.Name] = Sample(property.Value, document, depth + 1);
                    }
                }

                return sample;
        }
    }

    private static string Filled(string text, Dictionary<string, string> ids) =>
        ids.Aggregate(text, (filled, id) => filled.Replace($"{{{id.Key}}}", id.Value, StringComparison.Ordinal));
}
