using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace ChatHistory.StorageService.Database;

/// <summary>For <c>dotnet ef migrations add</c>, which needs the model but neither the service nor a file.</summary>
internal sealed class ChatHistoryDbContextFactory : IDesignTimeDbContextFactory<ChatHistoryDbContext>
{
    public ChatHistoryDbContext CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<ChatHistoryDbContext>().UseSqlite("Data Source=:memory:").Options);
}
