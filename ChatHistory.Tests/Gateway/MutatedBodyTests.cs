using System.Net;
using System.Text;
using System.Text.Json;
using ChatHistory.Tests.Processes;
using CsCheck;

namespace ChatHistory.Tests.Gateway;

/// <summary>Bodies that almost are requests: whatever is done to one, the answer is never a failure of the gateway.</summary>
public sealed class MutatedBodyTests(SmallBodiesSystem system) : IClassFixture<SmallBodiesSystem>
{
    private static readonly (string Method, string Path, string Body)[] s_requests =
    [
        ("POST", ChatRequests.Completions, """{"model":"Qwen/Qwen3-0.6B","messages":[{"role":"system","content":"Be brief"},{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}],"name":"ada"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}],"reasoning_content":"r"},{"role":"tool","tool_call_id":"c1","content":"sunny"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"stream":true,"stream_options":{"include_usage":true},"n":1,"temperature":0.5,"max_tokens":5,"user":"ada","user_id":"ada","store":true,"on_disconnect":"cancel","metadata":{"a":"b"},"session_id":"session_001"}"""),
        ("POST", ChatRequests.Completions, """{"messages":[{"role":"user","content":"Hello"}],"stream":false,"max_tokens":3}"""),
        ("POST", "/v1/sessions", """{"user_id":"ada","title":"Engines","metadata":{"a":{"b":[1,2,3]}}}"""),
        ("POST", "/v1/sessions/session_001/messages", """{"role":"user","content":[{"type":"text","text":"Hello"}],"model":"m","tokens":3,"extra":{"x":null}}"""),
        ("POST", "/v1/sessions/session_001/fork", """{"message_id":"m","title":"Engines"}"""),
        ("POST", "/v1/conversations", """{"metadata":{"a":"b"},"items":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hello"},{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]},{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"r"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}]}"""),
        ("PATCH", "/v1/sessions/session_001", """{"head_message_id":"m"}"""),
        ("PATCH", "/v1/sessions/session_001", """{"title":"Engines","metadata":{},"is_active":true}"""),
    ];

    // Raw JSON (or nearly) that takes the place of a value.
    private static readonly string[] s_values =
    [
        "null", "true", "0", "-1", "1e308", "1e400", "12345678901234567890123", "0.1", "\"\"", "\" \"", "\"\\u0000\"", "\"\\ud800\"", "\"\\udfff\\ud800\"", "\"\u202e\u0007\"", "[]", "{}",
        "[[[[[[]]]]]]", "{\"role\":\"user\"}", "[null]", "\"user\"", "\"assistant\"", "\"'; DROP TABLE messages; --\"", "\"../../etc/passwd\"", "\"%s%n\"", "NaN", "'x'", "",
        "\"" + new string('x', 5000) + "\"", new string('[', 200) + new string(']', 200), "{\"a\":1,\"a\":2}",
    ];

    private static readonly Gen<(int Request, (int Place, int Kind, int Value)[] Changes)> s_mutated = Gen.Select(
        Gen.Int[0, s_requests.Length - 1],
        Gen.Select(Gen.Int[0, 1000], Gen.Int[0, 9], Gen.Int[0, s_values.Length - 1]).Array[1, 3]);

    [Fact]
    public async Task MutatedBody_IsNeverTheGatewaysFailure()
    {
        await s_mutated.SampleAsync(
            async mutated =>
            {
                var (method, path, json) = s_requests[mutated.Request];
                var body = Encoding.UTF8.GetBytes(json);
                foreach (var (place, kind, value) in mutated.Changes)
                {
                    body = Change(body, place, kind, Encoding.UTF8.GetBytes(s_values[value]));
                }

                using var request = new HttpRequestMessage(HttpMethod.Parse(method), path) { Content = new ByteArrayContent(body) { Headers = { ContentType = new("application/json") } } };
                using var response = await system.Client.SendAsync(request);
                var answer = await Answer.ReadAsync(response);

                Assert.True((int)answer.Status < 500, $"{method} {path} gives {answer.Status} {answer.Text} for {Encoding.UTF8.GetString(body)}");
                if ((int)answer.Status >= 400)
                {
                    ErrorTests.AssertEnvelope(answer);
                }
            },
            iter: 500,
            threads: 4);

        // Nor was anything stored that cannot be read again.
        foreach (var path in new[] { "/v1/sessions?user_id=ada", "/v1/users/ada/history", "/v1/users/default_user/history" })
        {
            Assert.Equal(HttpStatusCode.OK, (await system.Client.GetJsonAsync($"{path}{(path.Contains('?') ? '&' : '?')}limit=1000")).Status);
        }
    }

    /// <summary>Replaces, removes, repeats or cuts off at one value or name of the body.</summary>
    private static byte[] Change(byte[] body, int place, int kind, byte[] value)
    {
        var places = Places(body);
        if (places.Count == 0)
        {
            return value;
        }

        var (start, end) = places[place % places.Count];
        return kind switch
        {
            0 => [.. body[..start], .. body[end..]],
            1 => body[..start],
            2 => [.. body[..end], (byte)',', .. body[start..]],
            _ => [.. body[..start], .. value, .. body[end..]],
        };
    }

    /// <summary>Where the values and names stand, as far as the body is JSON.</summary>
    private static List<(int Start, int End)> Places(byte[] body)
    {
        var places = new List<(int Start, int End)>();
        var open = new Stack<int>();
        var reader = new Utf8JsonReader(body);
        try
        {
            while (reader.Read())
            {
                var start = (int)reader.TokenStartIndex;
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject or JsonTokenType.StartArray:
                        open.Push(start);
                        break;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        places.Add((open.Pop(), start + 1));
                        break;
                    case JsonTokenType.PropertyName:
                        places.Add((start, start + reader.ValueSpan.Length + 2));
                        break;
                    default:
                        places.Add((start, (int)reader.BytesConsumed));
                        break;
                }
            }
        }
        catch (JsonException)
        {
        }

        return places;
    }
}
