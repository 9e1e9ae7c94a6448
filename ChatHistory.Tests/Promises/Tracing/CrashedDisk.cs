namespace ChatHistory.Tests.Promises.Tracing;

/// <summary>How much of what was not synced is on the disk after a power cut. The disk may choose.</summary>
internal enum Unsynced
{
    Lost,
    Kept,

    /// <summary>Any of the writes, some of them only in part: by sectors of 512 bytes, and without regard to their order.</summary>
    Torn,
}

/// <summary>
/// What a disk holds at any moment of a trace, if the power fails then: everything that was synced, and of the rest whatever it likes. A file's
/// name is only there after a sync of its folder.
/// </summary>
/// <param name="isOfInterest">Which files are followed, by their path.</param>
/// <param name="countsAsSync">False for a sync that is to be taken for not done.</param>
internal sealed class CrashedDisk(Func<string, bool> isOfInterest, Func<TraceEvent.SyncEnded, bool>? countsAsSync = null)
{
    private const int Sector = 512;

    private readonly Dictionary<string, TracedFile> _names = [];
    private readonly Dictionary<(int Thread, string Path), int> _syncs = [];
    private Dictionary<string, TracedFile> _durableNames = [];

    public void Apply(TraceEvent next)
    {
        switch (next)
        {
            case TraceEvent.Opened(var path) when isOfInterest(path):
                _names.TryAdd(path, new TracedFile());
                break;
            case TraceEvent.Written(var path, var offset, var data, _) when _names.TryGetValue(path, out var file):
                file.Unsynced.Add(new Change(offset, data));
                break;
            case TraceEvent.Truncated(var path, var length) when _names.TryGetValue(path, out var file):
                file.Unsynced.Add(new Change(length, null));
                break;
            case TraceEvent.Unlinked(var path):
                _names.Remove(path);
                break;
            case TraceEvent.Renamed(var from, var to) when _names.Remove(from, out var file):
                _names[to] = file;
                break;
            case TraceEvent.SyncBegun(var path, var thread) when _names.TryGetValue(path, out var file):
                _syncs[(thread, path)] = file.Synced + file.Unsynced.Count;
                break;
            case TraceEvent.SyncEnded ended when countsAsSync?.Invoke(ended) != false:
                Sync(ended);
                break;
        }
    }

    /// <summary>Writes the files as they are found after the cut into a folder.</summary>
    public void WriteTo(string folder, Unsynced unsynced, Random random)
    {
        var names = unsynced switch
        {
            Unsynced.Lost => _durableNames,
            Unsynced.Kept => _names,
            // Each name as it was or as it is.
            _ => _durableNames.Keys.Union(_names.Keys)
                .Select(path => (Path: path, File: (random.Next(2) == 0 ? _durableNames : _names).GetValueOrDefault(path)))
                .Where(name => name.File is not null)
                .ToDictionary(name => name.Path, name => name.File!),
        };
        foreach (var (path, file) in names)
        {
            File.WriteAllBytes(Path.Combine(folder, Path.GetFileName(path)), file.After(unsynced, random));
        }
    }

    private void Sync(TraceEvent.SyncEnded ended)
    {
        if (_names.TryGetValue(ended.Path, out var file))
        {
            if (_syncs.Remove((ended.Thread, ended.Path), out var upTo))
            {
                file.SyncUpTo(upTo);
            }

            return;
        }

        // A folder: its names are durable now.
        var others = _durableNames.Where(name => Path.GetDirectoryName(name.Key) != ended.Path);
        _durableNames = others.Concat(_names.Where(name => Path.GetDirectoryName(name.Key) == ended.Path)).ToDictionary();
    }

    /// <param name="Data">Null: the file was cut to <paramref name="Offset"/>.</param>
    private sealed record Change(long Offset, byte[]? Data);

    private sealed class TracedFile
    {
        private byte[] _durable = [];

        public List<Change> Unsynced { get; } = [];

        /// <summary>How many changes are durable.</summary>
        public int Synced { get; private set; }

        public void SyncUpTo(int count)
        {
            var now = Math.Max(0, count - Synced);
            using var content = new MemoryStream();
            content.Write(_durable);
            foreach (var change in Unsynced.Take(now))
            {
                Apply(content, change);
            }

            _durable = content.ToArray();
            Unsynced.RemoveRange(0, now);
            Synced += now;
        }

        public byte[] After(Unsynced unsynced, Random random)
        {
            using var content = new MemoryStream();
            content.Write(_durable);
            foreach (var change in unsynced == Tracing.Unsynced.Lost ? [] : Unsynced)
            {
                if (unsynced == Tracing.Unsynced.Torn)
                {
                    Tear(content, change, random);
                }
                else
                {
                    Apply(content, change);
                }
            }

            return content.ToArray();
        }

        private static void Tear(MemoryStream content, Change change, Random random)
        {
            // Half of the changes are whole or not there at all.
            if (change.Data is not { } data || random.Next(2) == 0)
            {
                if (random.Next(2) == 0)
                {
                    Apply(content, change);
                }

                return;
            }

            for (var start = 0; start < data.Length;)
            {
                var end = Math.Min(data.Length, (int)(((change.Offset + start) / Sector * Sector) + Sector - change.Offset));
                if (random.Next(2) == 0)
                {
                    content.Position = change.Offset + start;
                    content.Write(data, start, end - start);
                }

                start = end;
            }
        }

        private static void Apply(MemoryStream content, Change change)
        {
            if (change.Data is null)
            {
                content.SetLength(change.Offset);
                return;
            }

            content.Position = change.Offset;
            content.Write(change.Data);
        }
    }
}
