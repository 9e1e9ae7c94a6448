using System.Net;

namespace ChatHistory.Gateway.PassThrough;

/// <summary>
/// An answer's body with a limit on silence (<c>Vllm:IdleTimeout</c>) and one on its whole time (<c>Vllm:MaxAnswerTime</c>): a read beyond one of them
/// ends in a <see cref="TimeoutException"/>. There is no limit on its size, because nothing of it is kept; what passes is shown to <see cref="UsageTail"/>.
/// The forwarder's own limit cannot be this one, because it is also the one on the wait for headers, which may be much longer.
/// </summary>
internal sealed class IdleLimitedContent(HttpContent inner, TimeSpan limit, TimeSpan whole, UsageTail usage, TimeProvider time) : HttpContent
{
    protected override Task<Stream> CreateContentReadStreamAsync() => CreateContentReadStreamAsync(CancellationToken.None);

    protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken) =>
        new IdleLimitedStream(await inner.ReadAsStreamAsync(cancellationToken), limit, whole, usage, time);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => inner.CopyToAsync(stream, context);

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    private sealed class IdleLimitedStream(Stream inner, TimeSpan limit, TimeSpan whole, UsageTail usage, TimeProvider time) : Stream
    {
        private readonly long _began = time.GetTimestamp();

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (time.GetElapsedTime(_began) > whole)
            {
                throw new TimeoutException("The answer did not end.");
            }

            using var silence = new CancellationTokenSource(limit, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
            try
            {
                var read = await inner.ReadAsync(buffer, either.Token);
                usage.Observe(buffer.Span[..read]);
                return read;
            }
            catch (OperationCanceledException exception) when (silence.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new TimeoutException("The model server fell silent.", exception);
            }
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                inner.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
