using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace ChatHistory.StorageService.Database;

/// <summary>Gives the connections of EF Core's queries the same settings as all others.</summary>
internal sealed class ReadOnlySettingsInterceptor(DatabaseFile file) : DbConnectionInterceptor
{
    public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData) =>
        file.ConfigureReader((SqliteConnection)connection);

    public override Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        file.ConfigureReader((SqliteConnection)connection);
        return Task.CompletedTask;
    }
}
