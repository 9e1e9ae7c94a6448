namespace ChatHistory.VllmSimulator.Faults;

/// <summary>Everything that can go wrong on purpose. Names and meaning: <see cref="FaultCatalog"/>.</summary>
internal enum FaultKind
{
    None,
    Error400,
    Error401,
    Error422,
    Error429,
    Error500,
    Error503,
    Html,
    Html200,
    OkWithError,
    HangBeforeHeaders,
    HangMidStream,
    Reset,
    Close,
    NoDone,
    NoUsage,
    ErrorChunk,
    InvalidJson,
    HugeLine,
    SplitUtf8,
    Crlf,
    Comments,
    Endless,
    ResetBeforeHeaders,
    GarbageHeaders,
    HugeHeaders,
    HangInError,
    CommentsForever,
}
