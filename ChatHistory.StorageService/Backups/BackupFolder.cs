using System.Globalization;
using System.Text.RegularExpressions;
using ChatHistory.StorageService.Database;
using Microsoft.Extensions.Options;

namespace ChatHistory.StorageService.Backups;

/// <summary>The folder of the backups: their names, which of them count, and which are too many.</summary>
/// <remarks>
/// <code>
/// chat-000017-20261122T215301Z.db            a backup, of which the file with the name below says what it is
/// chat-000017-20261122T215301Z.db.json       its manifest; written first, so that the file's own name is the last thing to appear
/// chat-000018-20261122T220000Z.db.tmp        being made, or left by a process that was killed
/// revoked-keys.txt                           see RevokedKeys
/// </code>
/// The order is that of the numbers: a clock that was set back does not make the newest backup the oldest. A file without a manifest is somebody
/// else's: it is not listed, and never deleted.
/// </remarks>
internal sealed partial class BackupFolder(IOptions<BackupOptions> options, IOptions<DatabaseOptions> database)
{
    public const string Latest = "latest";

    private const string Temporary = ".tmp";
    private const string Manifest = ".json";

    private readonly string _prefix = System.IO.Path.GetFileNameWithoutExtension(database.Value.Path);

    public string Path { get; } = options.Value.Directory;

    public void Create() => Directory.CreateDirectory(Path);

    public string FileOf(string name) => System.IO.Path.Combine(Path, name);

    public string TemporaryOf(string name) => FileOf(name) + Temporary;

    /// <summary>The backups, newest first.</summary>
    public List<BackupManifest> List() =>
        [.. Names("*.db").OrderByDescending(NumberOf).Select(ReadManifest).OfType<BackupManifest>()];

    /// <summary>The newest good one, or null.</summary>
    public BackupManifest? Newest() => List().Find(backup => backup.IsGood);

    /// <summary>
    /// The newest good one that was made to be a backup. Not what a restore replaced: whoever asks twice for the latest wants the same one, and not the
    /// database back that was just given up.
    /// </summary>
    private BackupManifest? NewestMade() => List().Find(backup => backup is { IsGood: true, Reason: not BackupManifest.Replaced });

    /// <param name="name">A backup's name or <see cref="Latest"/>.</param>
    /// <exception cref="BackupException">There is none.</exception>
    public BackupManifest Find(string name) =>
        (name == Latest ? NewestMade() : IsName(name) && File.Exists(FileOf(name)) ? ReadManifest(name) : null)
        ?? throw BackupException.NotFound(name, Path);

    /// <summary>A name behind all that are taken, also by what was never finished.</summary>
    public string NewName(DateTimeOffset now)
    {
        var last = Names("*").Select(NumberOf).DefaultIfEmpty(0).Max();
        return string.Create(CultureInfo.InvariantCulture, $"{_prefix}-{last + 1:000000}-{now.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}.db");
    }

    /// <summary>Lists a finished file. Its name appears last: until then there is no backup.</summary>
    /// <param name="finished">The temporary file of that name, or a file elsewhere, which is then gone from there.</param>
    public void Publish(string finished, BackupManifest manifest)
    {
        var temporary = TemporaryOf(manifest.Name);
        if (finished != temporary)
        {
            DurableFile.LinkOrCopy(finished, temporary);
        }

        DurableFile.Flush(temporary);
        DurableFile.Write(FileOf(manifest.Name) + Manifest, manifest.ToJson());
        DurableFile.Move(temporary, FileOf(manifest.Name));
        if (finished != temporary)
        {
            File.Delete(finished);
        }
    }

    /// <summary>Deletes what is older than the newest <paramref name="keep"/> good ones. To be called when one of those was verified just now.</summary>
    /// <returns>The names of what was deleted.</returns>
    public List<string> Rotate(int keep)
    {
        var backups = List();
        var oldest = backups.Where(backup => backup.IsGood).Skip(keep - 1).FirstOrDefault();
        var tooOld = oldest is null ? [] : backups.SkipWhile(backup => backup != oldest).Skip(1).ToList();
        foreach (var backup in tooOld)
        {
            // The other way round, a kill in between would leave a file that nobody lists and nobody deletes.
            File.Delete(FileOf(backup.Name));
            File.Delete(FileOf(backup.Name) + Manifest);
        }

        return [.. tooOld.Select(backup => backup.Name)];
    }

    /// <summary>Deletes what a process that was killed left unfinished.</summary>
    public void CleanUp()
    {
        if (!Directory.Exists(Path))
        {
            return;
        }

        foreach (var path in Directory.EnumerateFiles(Path).Where(path => ShapeOfName().IsMatch(System.IO.Path.GetFileName(path))).ToList())
        {
            var isManifest = path.EndsWith(".db" + Manifest, StringComparison.Ordinal);
            if (path.Contains(Temporary, StringComparison.Ordinal) || (isManifest && !File.Exists(path[..^Manifest.Length])))
            {
                File.Delete(path);
            }
        }
    }

    private IEnumerable<string> Names(string pattern) =>
        Directory.Exists(Path)
            ? Directory.EnumerateFiles(Path, pattern).Select(path => System.IO.Path.GetFileName(path)!).Where(name => ShapeOfName().IsMatch(name))
            : [];

    private BackupManifest? ReadManifest(string name)
    {
        var path = FileOf(name) + Manifest;
        return File.Exists(path) && BackupManifest.Parse(File.ReadAllBytes(path)) is { } manifest && manifest.Name == name ? manifest : null;
    }

    private static long NumberOf(string name) => long.Parse(ShapeOfName().Match(name).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    // A name comes from outside too: it must not lead out of the folder.
    private static bool IsName(string name) => ShapeOfName().IsMatch(name) && name.EndsWith(".db", StringComparison.Ordinal);

    [GeneratedRegex(@"^[^/\\]+-(\d{6,12})-\d{8}T\d{6}Z\.db([.-][a-z.-]+)?\z")]
    private static partial Regex ShapeOfName();
}
