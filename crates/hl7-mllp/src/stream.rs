//! Bytes from a socket and to it: no buffer while nothing comes, no flush forgotten.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::timeout,
};

/// Room kept between two answers.
const KEPT_BYTES_MAX: usize = 512;
/// How long the peer gets to close after the last byte.
const LINGER: Duration = Duration::from_millis(500);
/// One read's worth of room on the stack.
const FIRST_READ_BYTES: usize = 16 * 1024;
/// The most room one read of a long frame gets.
const LONG_READ_BYTES: usize = 128 * 1024;

/// Appends what one read brings; 0 says that the stream has ended. Cancel-safe.
pub(crate) async fn fill<R: AsyncRead + Unpin>(
    reader: &mut R,
    buffer: &mut BytesMut,
) -> io::Result<usize> {
    poll_fn(|cx| poll_fill(Pin::new(reader), cx, buffer)).await
}

/// An idle connection holds no buffer: the bytes of a first read come by way of the stack and
/// are copied once. The rest of a long frame is read into the buffer directly, in reads that grow
/// with it.
pub(crate) fn poll_fill<R: AsyncRead>(
    reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    if buffer.len() < FIRST_READ_BYTES {
        let mut room = [MaybeUninit::<u8>::uninit(); FIRST_READ_BYTES];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(reader.poll_read(cx, &mut read))?;
        buffer.extend_from_slice(read.filled());
        return Poll::Ready(Ok(read.filled().len()));
    }
    buffer.reserve(buffer.len().min(LONG_READ_BYTES));
    tokio_util::io::poll_read_buf(reader, cx, buffer)
}

/// One step forward of a connection that reads and writes at once.
pub(crate) enum Step {
    /// This many bytes were read; none says that the stream has ended.
    Read(usize),
    /// Some bytes were sent.
    Sent,
}

/// Sends some of `unsent`, or reads into `unread` if it is given. Cancel-safe.
pub(crate) async fn step<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    unsent: &mut Unsent,
    mut unread: Option<&mut BytesMut>,
) -> io::Result<Step> {
    poll_fn(|cx| {
        if !unsent.is_empty()
            && let Poll::Ready(sent) = unsent.poll_send(Pin::new(stream), cx)
        {
            return Poll::Ready(sent.map(|()| Step::Sent));
        }
        match &mut unread {
            Some(unread) => poll_fill(Pin::new(stream), cx, unread).map_ok(Step::Read),
            None => Poll::Pending,
        }
    })
    .await
}

/// Closes so that what was sent last arrives.
///
/// Closing on unread bytes resets a connection, and a reset takes away what the peer has not read
/// yet. So this says goodbye first and then reads, for a little while, until the peer closes too.
pub(crate) async fn hang_up<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let closed = async {
        let mut ignored = BytesMut::new();
        stream.shutdown().await?;
        while fill(&mut stream, &mut ignored).await? > 0 {
            ignored.clear();
        }
        io::Result::Ok(())
    };
    // However it ends, the connection is over.
    let _ = timeout(LINGER, closed).await;
}

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    pub(crate) bytes: BytesMut,
    /// Written but perhaps still in a buffer of the stream, as with TLS.
    unflushed: bool,
}

impl Unsent {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.unflushed
    }

    /// Writes some, or flushes when all is written. Resolves at every step forward.
    fn poll_send<W: AsyncWrite>(
        &mut self,
        mut writer: Pin<&mut W>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.bytes.is_empty() {
            // One piece: a plain write, which costs less than a gathering one.
            let written = ready!(writer.as_mut().poll_write(cx, &self.bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.bytes.advance(written);
            self.unflushed = true;
            if !self.bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        ready!(writer.poll_flush(cx))?;
        self.unflushed = false;
        // Room for a usual answer is kept, room for a long one is not.
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}
