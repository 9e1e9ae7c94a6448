namespace ChatHistory.StorageService.Database;

/// <summary>A value for a statement's parameter: one of SQLite's five kinds, without a box around it.</summary>
internal readonly struct SqlValue
{
    private readonly object? _reference;
    private readonly long _bits;

    private SqlValue(SqlKind kind, object? reference = null, long bits = 0) => (Kind, _reference, _bits) = (kind, reference, bits);

    public static SqlValue Null => default;

    public SqlKind Kind { get; }

    public string Text => (string)_reference!;

    public byte[] Blob => (byte[])_reference!;

    public long Integer => _bits;

    public double Real => BitConverter.Int64BitsToDouble(_bits);

    public static implicit operator SqlValue(string? value) => value is null ? default : new(SqlKind.Text, value);

    public static implicit operator SqlValue(byte[]? value) => value is null ? default : new(SqlKind.Blob, value);

    public static implicit operator SqlValue(long value) => new(SqlKind.Integer, bits: value);

    public static implicit operator SqlValue(long? value) => value is { } number ? number : default(SqlValue);

    public static implicit operator SqlValue(int value) => (long)value;

    public static implicit operator SqlValue(int? value) => value is { } number ? number : default(SqlValue);

    public static implicit operator SqlValue(bool value) => value ? 1L : 0L;

    public static implicit operator SqlValue(bool? value) => value is { } flag ? flag : default(SqlValue);

    public static implicit operator SqlValue(double value) => new(SqlKind.Real, bits: BitConverter.DoubleToInt64Bits(value));

    public static implicit operator SqlValue(double? value) => value is { } number ? number : default(SqlValue);
}

/// <summary>The kinds of values that SQLite has.</summary>
internal enum SqlKind
{
    Null,
    Integer,
    Real,
    Text,
    Blob,
}
