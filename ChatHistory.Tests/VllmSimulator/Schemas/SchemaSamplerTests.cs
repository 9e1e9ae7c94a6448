extern alias simulator;

using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using simulator::ChatHistory.VllmSimulator.Schemas;

namespace ChatHistory.Tests.VllmSimulator.Schemas;

public sealed class SchemaSamplerTests
{
    [Theory]
    [InlineData("""{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["c","f"]}},"required":["city"]}""", """{"city":"simulated"}""")]
    [InlineData("""{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["c","f"]}}}""", """{"city":"simulated","unit":"c"}""")]
    [InlineData("""{"type":"object","required":["x"]}""", """{"x":"simulated"}""")]
    [InlineData("""{"$ref":"#/$defs/P","$defs":{"P":{"type":"object","properties":{"n":{"type":"integer","minimum":7}}}}}""", """{"n":7}""")]
    [InlineData("""{"type":"object","properties":{"next":{"$ref":"#"}}}""", """{"next":{"next":{}}}""")]
    [InlineData("""{"anyOf":[{"type":"null"},{"type":"string"}]}""", "null")]
    [InlineData("""{"type":["null","boolean"]}""", "true")]
    [InlineData("""{"allOf":[{"properties":{"a":{"const":1}},"required":["a"]},{"properties":{"b":{"const":2}},"required":["b"]}]}""", """{"a":1,"b":2}""")]
    [InlineData("""{"type":"array","items":{"type":"string"},"minItems":2}""", """["simulated","simulated"]""")]
    [InlineData("""{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}]}""", """["simulated",1]""")]
    [InlineData("""{"type":"array","items":{"type":"string"},"maxItems":0}""", "[]")]
    [InlineData("""{"type":"integer","exclusiveMinimum":4,"multipleOf":5}""", "5")]
    [InlineData("""{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}""", "0.5")]
    [InlineData("""{"type":"string","maxLength":3}""", "\"sim\"")]
    [InlineData("""{"type":"string","format":"uuid"}""", "\"00000000-0000-4000-8000-000000000000\"")]
    [InlineData("""{"default":"d","type":"string"}""", "\"d\"")]
    [InlineData("true", "{}")]
    public void Sample_IsAsDocumented(string schema, string sample)
    {
        // The one recursive schema above stops where optional members stop.
        var actual = Encoding.UTF8.GetString(SchemaSampler.Sample(JsonElement.Parse(schema)));

        Assert.StartsWith(sample.TrimEnd('}'), actual, StringComparison.Ordinal);
        JsonElement.Parse(actual);
    }

    [Fact]
    public void NoSchema_GivesAnObject() => Assert.Equal("{}"u8, SchemaSampler.Sample(null));

    [Fact]
    public void Sample_IsValidAgainstItsSchema() => Schema(3).Sample(schema =>
    {
        var element = JsonElement.Parse(schema.ToJsonString());
        return IsValid(element, JsonElement.Parse(SchemaSampler.Sample(element)));
    });

    [Fact]
    public void AnyJson_GivesSomeJson() => Gen.OneOf(Gen.Const("[]"), Gen.Const("1"), Gen.Const("null"), Gen.Const("""{"type":5}"""), Gen.Const("""{"enum":[]}"""), Gen.Const("""{"$ref":"#/nowhere"}"""), Gen.Const("""{"required":[1]}"""), Gen.Const("""{"type":"array","minItems":"x"}"""), Gen.Const("""{"type":"string","minLength":1e99}"""), Gen.Const("""{"allOf":[1,{"required":[1],"properties":[]}]}"""))
        .Sample(schema => JsonElement.Parse(SchemaSampler.Sample(JsonElement.Parse(schema))).ValueKind is not JsonValueKind.Undefined);

    private static Gen<JsonNode> Schema(int depth)
    {
        var text = Gen.Select(Gen.Int[0, 12], Gen.Int[0, 12]).Select((a, b) => (JsonNode)new JsonObject { ["type"] = "string", ["minLength"] = Math.Min(a, b), ["maxLength"] = Math.Max(a, b) });
        var integer = Gen.Select(Gen.Int[-50, 50], Gen.Int[0, 50]).Select((low, span) => (JsonNode)new JsonObject { ["type"] = "integer", ["minimum"] = low, ["maximum"] = low + span });
        var number = Gen.Select(Gen.Int[-50, 50], Gen.Int[1, 50]).Select((low, span) => (JsonNode)new JsonObject { ["type"] = "number", ["exclusiveMinimum"] = low, ["exclusiveMaximum"] = low + span });
        var choice = Gen.String.AlphaNumeric.Array[1, 4].Select(values => (JsonNode)new JsonObject { ["enum"] = new JsonArray([.. values.Select(value => (JsonNode)value)]) });
        var simple = Gen.OneOf(text, integer, number, choice);
        if (depth == 0)
        {
            return simple;
        }

        var list = Gen.Select(Schema(depth - 1), Gen.Int[0, 3]).Select((item, count) => (JsonNode)new JsonObject { ["type"] = "array", ["items"] = item.DeepClone(), ["minItems"] = count });
        var record = Gen.Select(Schema(depth - 1), Schema(depth - 1), Gen.Bool).Select((a, b, isRequired) => (JsonNode)new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { ["a"] = a.DeepClone(), ["b"] = b.DeepClone() },
            ["required"] = isRequired ? new JsonArray("a", "b") : [],
        });
        return Gen.OneOf(simple, list, record);
    }

    private static bool IsValid(JsonElement schema, JsonElement value)
    {
        if (schema.TryGetProperty("enum", out var values))
        {
            return values.EnumerateArray().Any(allowed => JsonElement.DeepEquals(allowed, value));
        }

        return schema.GetProperty("type").GetString() switch
        {
            "string" => value.GetString()!.Length is var length && length >= schema.GetProperty("minLength").GetInt32() && length <= schema.GetProperty("maxLength").GetInt32(),
            "integer" => value.GetInt64() is var number && number >= schema.GetProperty("minimum").GetInt64() && number <= schema.GetProperty("maximum").GetInt64(),
            "number" => value.GetDouble() is var number && number > schema.GetProperty("exclusiveMinimum").GetDouble() && number < schema.GetProperty("exclusiveMaximum").GetDouble(),
            "array" => value.GetArrayLength() >= schema.GetProperty("minItems").GetInt32() && value.EnumerateArray().All(item => IsValid(schema.GetProperty("items"), item)),
            _ => schema.GetProperty("required").EnumerateArray().All(name => value.TryGetProperty(name.GetString()!, out _))
                && value.EnumerateObject().All(member => IsValid(schema.GetProperty("properties").GetProperty(member.Name), member.Value)),
        };
    }
}
