using ChatHistory.Storage.V1;
using ChatHistory.StorageService.Database;
using ChatHistory.StorageService.Messages;
using ChatHistory.StorageService.Space;
using ChatHistory.StorageService.Users;
using ChatHistory.StorageService.Writing;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using Message = ChatHistory.StorageService.Messages.Message;

namespace ChatHistory.StorageService.Turns;

/// <summary>The hot path: many turns' commands in one call, one transaction, one answer.</summary>
internal sealed class TurnsService(DatabaseWriter writer, TurnLeases leases, DatabaseFile file, TimeProvider time) : Storage.V1.Turns.TurnsBase
{
    private const int SqliteFull = 13;
    private const int SqliteConstraint = 19;

    public override async Task<WriteReply> Write(WriteRequest request, ServerCallContext context)
    {
        var started = time.GetUtcNow();
        var results = new WriteResult[request.Commands.Count];
        var commands = new TurnCommand?[request.Commands.Count];
        for (var i = 0; i < commands.Length; i++)
        {
            if (TurnCommands.TryParse(request.Commands[i], out commands[i], out var refused))
            {
                (commands[i] as BeginTurnCommand)?.ReadAhead(file);
                leases.Renew(request.Commands[i].BeginTurn?.AnswerMessageId ?? request.Commands[i].Checkpoint?.AnswerMessageId);
            }
            else
            {
                results[i] = refused;
            }
        }

        var accepted = commands.OfType<TurnCommand>().ToArray();
        if (accepted.Length > 0)
        {
            await writer.RunTurnsAsync(accepted, context.CancellationToken);
        }

        for (var i = 0; i < commands.Length; i++)
        {
            if (commands[i] is { } command)
            {
                results[i] = ResultOf(command);
                StorageTelemetry.RecordCommand(command.Operation, request.Commands[i].Traceparent, started, results[i].Refusal?.Reason.ToString());
            }
        }

        return new WriteReply { Results = { results } };
    }

    public override Task<ReadFramesReply> ReadFrames(ReadFramesRequest request, ServerCallContext context)
    {
        var scope = UserScope.Parse(request.Scope);
        // One snapshot for both: the frames of an answer that is no longer in progress are all there.
        var (message, frames) = file.ReadInSnapshot(reader =>
            (Message.Find(reader, request.MessageId, scope) ?? throw StorageStatus.NotFound("message"),
                FrameRows.ReadAfter(reader, request.MessageId, request.After, context.CancellationToken)));
        var contract = message.ToContract();
        return Task.FromResult(new ReadFramesReply { Frames = { frames }, Status = contract.Status, Error = contract.Error });
    }

    private WriteResult ResultOf(TurnCommand command) => command switch
    {
        { Failure: SqliteException { SqliteErrorCode: SqliteConstraint } } =>
            TurnCommand.Invalid("an id is already in use, or a column refuses its value"),
        { Failure: DiskFullException or SqliteException { SqliteErrorCode: SqliteFull } } =>
            TurnCommand.Refuse(Refusal.Types.Reason.StorageFull, "The disk is full."),
        { Failure: not null } => TurnCommand.Refuse(Refusal.Types.Reason.NotWritten, "The database could not be written."),
        AppendMessageCommand { StoredMessageId: { } messageId } => FindStored(messageId),
        _ => command.Result,
    };

    private WriteResult FindStored(string messageId) =>
        file.Read(reader => Message.Find(reader, messageId, UserScope.Everyone)) is { } message
            ? new WriteResult { MessageAppended = message.ToContract() }
            : TurnCommand.Refuse(Refusal.Types.Reason.MessageNotFound, "The message was deleted meanwhile.");
}
