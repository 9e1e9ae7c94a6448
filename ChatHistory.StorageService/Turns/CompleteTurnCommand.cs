using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Users;

namespace ChatHistory.StorageService.Turns;

/// <summary>Ends a turn: the whole answer, its status and figures. Sent again, it overwrites with the same.</summary>
internal sealed class CompleteTurnCommand(CompleteTurn end, string status, UserScope scope, int size) : TurnCommand(scope, size)
{
    private const string SaveEnd =
        """
        UPDATE messages SET status = ?2, updated_at = ?3, finish_reason = ?4, tokens = ?5, prompt_tokens = ?6, ttft_ms = ?7, duration_ms = ?8,
            completion_id = ?9, model = coalesce(?10, model), error = ?11, omitted = ?12
        WHERE message_id = ?1
        """;

    private const string SaveAnswerAndEnd =
        """
        UPDATE messages SET status = ?2, updated_at = ?3, finish_reason = ?4, tokens = ?5, prompt_tokens = ?6, ttft_ms = ?7, duration_ms = ?8,
            completion_id = ?9, model = coalesce(?10, model), error = ?11, omitted = ?12,
            content = ?13, content_parts = ?14, tool_calls = ?15, tool_call_id = ?16, name = ?17, reasoning = ?18, extra = ?19, prefix_hash = ?20
        WHERE message_id = ?1
        """;

    private const string EndInSession =
        "UPDATE sessions SET prompt_tokens = prompt_tokens + ?2, completion_tokens = completion_tokens + ?3, head_message_id = ?4 WHERE session_id = ?1";

    private const string Exists = "SELECT tokens FROM messages WHERE message_id = ?1";

    private const string CountAlternatives =
        "UPDATE sessions SET last_seq = last_seq + ?2, message_count = message_count + ?2 WHERE session_id = ?1 RETURNING last_seq";

    private const string SelectModel = "SELECT model, request_id, trace_id FROM messages WHERE message_id = ?1";

    public override string Operation => "complete_turn";

    public override bool MayUseBallast => true;

    protected override WriteResult Write(PreparedConnection database, string now)
    {
        if (OpenTurn.Find(database, end.SessionId, end.AnswerMessageId) is not { } turn || !Scope.Allows(turn.UserId))
        {
            return SessionNotFound();
        }

        if (turn.Answer is not { } answer)
        {
            return MessageNotFound();
        }

        var tokens = end.Answer is { HasTokens: true } ? end.Answer.Tokens : 0;
        var promptTokens = end.HasPromptTokens ? end.PromptTokens : (int?)null;
        var hash = end.Answer?.Content is { } said ? PrefixHash.After(answer.ParentHash, said.Digest.Span) : null;
        SaveAnswer(database, tokens, promptTokens, hash, now);
        answer.EndEpochWhereFollowed(database);
        FrameRows.Insert(database, end.AnswerMessageId, end.Frames);
        var (alternativeTokens, alternativeBytes) = WriteAlternatives(database, answer, now);
        var moreTokens = tokens - answer.Tokens + alternativeTokens;
        var morePromptTokens = (promptTokens ?? 0) - answer.PromptTokens;
        var answerBytes = end.Answer?.Content is { } saved ? OwnerCounters.BytesOf(saved) - answer.Bytes : 0;
        OwnerCounters.CountChange(database, turn.UserId, answerBytes + alternativeBytes);
        // Without content, the last checkpoint's stays.
        var hasContent = end.Answer?.Content is { } content
            ? content.Content.Length > 0 || content.HasToolCalls || (content.HasReasoning && content.Reasoning.Length > 0)
            : answer.HasContent;
        var head = turn.HeadAfter(database, continuable: hasContent && end.Status != TurnStatus.Failed);
        // Only the difference to what the row held, so that a call sent again adds nothing.
        if (moreTokens != 0 || morePromptTokens != 0 || head != turn.HeadMessageId)
        {
            database.Execute(EndInSession, end.SessionId, morePromptTokens, moreTokens, head);
        }

        var isWhole = end is { Status: TurnStatus.Completed or TurnStatus.Incomplete, Answer.Content.Role: "assistant" };
        var isOnPath = isWhole && end.Path.IsOf(database.Epoch!, answer.ParentId, answer.ParentHash);
        return new WriteResult { TurnCompleted = new() { Path = isOnPath ? PathVersions.Of(database.Epoch!, answer.MessageId, hash) : null } };
    }

    private void SaveAnswer(PreparedConnection database, int tokens, int? promptTokens, byte[]? hash, string now)
    {
        var finishReason = FinishReasonOf(end.Answer);
        var ttft = end.HasTtftMs ? end.TtftMs : (double?)null;
        var duration = end.HasDurationMs ? end.DurationMs : (double?)null;
        var completionId = end.HasCompletionId ? end.CompletionId : null;
        var model = end.HasModel ? end.Model : null;
        var error = MessageMapping.WriteError(end.Error);
        var omitted = end.HasOmitted ? end.Omitted : (int?)null;
        if (end.Answer?.Content is { } content)
        {
            database.Execute(
                SaveAnswerAndEnd,
                end.AnswerMessageId, status, now, finishReason, tokens, promptTokens, ttft, duration, completionId, model, error, omitted,
                content.Content, content.ContentPartsOrNull(), content.ToolCallsOrNull(), content.ToolCallIdOrNull(), content.NameOrNull(),
                content.ReasoningOrNull(), content.ExtraOrNull(), hash);
        }
        else
        {
            database.Execute(
                SaveEnd, end.AnswerMessageId, status, now, finishReason, tokens, promptTokens, ttft, duration, completionId, model, error, omitted);
        }
    }

    /// <summary>The other choices, beside the answer. Returns how many tokens they add to the session's total, and how many bytes to the owner's.</summary>
    private (int Tokens, long Bytes) WriteAlternatives(PreparedConnection database, AnswerState answer, string now)
    {
        var missing = end.Alternatives.Where(alternative => !IsStored(database, alternative.MessageId)).ToList();
        if (missing.Count == 0)
        {
            return (0, 0);
        }

        long seq;
        using (var reader = database.Query(CountAlternatives, end.SessionId, missing.Count))
        {
            reader.Read();
            seq = reader.GetInt64(0) - missing.Count;
            reader.Read();
        }

        string? model, requestId, traceId;
        using (var reader = database.Query(SelectModel, end.AnswerMessageId))
        {
            reader.Read();
            model = reader.GetText(0);
            requestId = reader.GetText(1);
            traceId = reader.GetText(2);
        }

        var (tokens, bytes) = (0, 0L);
        foreach (var alternative in missing)
        {
            var row = new MessageRow(alternative.MessageId, end.SessionId, answer.ParentId, ++seq, alternative.Content)
            {
                Status = StatusOf(alternative),
                Model = model,
                Tokens = alternative.HasTokens ? alternative.Tokens : 0,
                PrefixHash = PrefixHash.After(answer.ParentHash, alternative.Content.Digest.Span),
                FinishReason = FinishReasonOf(alternative),
                CompletionId = end.HasCompletionId ? end.CompletionId : null,
                RequestId = requestId,
                TraceId = traceId,
            };
            row.InsertInto(database, now);
            bytes += row.Bytes;
            tokens += alternative.HasTokens ? alternative.Tokens : 0;
        }

        return (tokens, bytes);
    }

    private static bool IsStored(PreparedConnection database, string messageId)
    {
        using var reader = database.Query(Exists, messageId);
        return reader.Read();
    }

    /// <summary>Of a turn that came to its end, each choice has its own: one may have met the token limit and another not.</summary>
    private string StatusOf(Answer alternative) => end.Status is TurnStatus.Completed or TurnStatus.Incomplete
        ? MessageStatus.TextOfEnd(FinishReasonOf(alternative) == "length" ? TurnStatus.Incomplete : TurnStatus.Completed)!
        : status;

    private static string? FinishReasonOf(Answer? answer) => answer is { HasFinishReason: true } ? answer.FinishReason : null;
}
