using System.Text;
using ChatHistory.VllmSimulator.ChatCompletions;
using ChatHistory.VllmSimulator.Errors;
using ChatHistory.VllmSimulator.Generation;
using ChatHistory.VllmSimulator.Recording;
using Microsoft.Extensions.Options;

namespace ChatHistory.VllmSimulator.Tokenizer;

/// <summary>POST /tokenize and /detokenize, at the root as in vLLM.</summary>
internal static class TokenizerEndpoints
{
    public static void MapTokenizer(this IEndpointRouteBuilder routes)
    {
        var options = routes.ServiceProvider.GetRequiredService<IOptions<SimulatorOptions>>().Value;
        routes.MapPost("/tokenize", (RequestDelegate)(context => TokenizeAsync(context, options)));
        routes.MapPost("/detokenize", (RequestDelegate)(context => DetokenizeAsync(context, options)));
    }

    private static Task TokenizeAsync(HttpContext context, SimulatorOptions options)
    {
        if (RequestBody.Parse(context.Recorded().Body, TokenizerJsonContext.Wire.TokenizeRequest, out var error) is not { } request)
        {
            return error!.WriteAsync(context);
        }

        error = ChatValidation.Shape(request.Messages, request.Tools)
            ?? ModelName.Check(request.Model, options.Model)
            ?? (request is { Prompt: null, Messages: null } ? VllmError.Invalid("missing", "body.prompt", "Field required") : null);
        if (error is not null)
        {
            return error.WriteAsync(context);
        }

        var ids = Encode(request);
        var strings = request.ReturnTokenStrs is true ? ids.ConvertAll(id => Encoding.UTF8.GetString(SimulatorTokenizer.Decode([id])!)) : null;
        return TypedResults
            .Json(new TokenizeResponse(ids.Count, options.MaxModelLen, ids, strings), TokenizerJsonContext.Wire.TokenizeResponse)
            .ExecuteAsync(context);
    }

    private static Task DetokenizeAsync(HttpContext context, SimulatorOptions options)
    {
        if (RequestBody.Parse(context.Recorded().Body, TokenizerJsonContext.Wire.DetokenizeRequest, out var error) is not { } request)
        {
            return error!.WriteAsync(context);
        }

        if (ModelName.Check(request.Model, options.Model) is { } unknown)
        {
            return unknown.WriteAsync(context);
        }

        return SimulatorTokenizer.Decode(request.Tokens) is { } text
            ? TypedResults.Json(new DetokenizeResponse(Encoding.UTF8.GetString(text)), TokenizerJsonContext.Wire.DetokenizeResponse).ExecuteAsync(context)
            : VllmError.BadRequest("The tokens hold an id that is none of this tokenizer.", "tokens").WriteAsync(context);
    }

    private static List<long> Encode(TokenizeRequest request)
    {
        if (request.Messages is { } messages)
        {
            return ChatPrompt.Encode(messages, request.Tools);
        }

        var ids = new List<long>();
        SimulatorTokenizer.Encode(Encoding.UTF8.GetBytes(request.Prompt!), ids);
        return ids;
    }
}
