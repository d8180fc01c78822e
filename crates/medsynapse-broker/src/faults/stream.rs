//! [`FaultyStream`]: faults in how answers are written.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hl7_mllp::server::Upgrade;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::{Fault, Faults};

/// Pause between the pieces of a frame that is split: long enough that they travel apart.
const PAUSE: Duration = Duration::from_millis(5);
/// How many pieces a split frame has, about.
const PIECES: usize = 5;
const START: u8 = 0x0B;
const END: [u8; 2] = [0x1C, 0x0D];

/// Gives each connection its share of faults, after whatever `inner` does to it.
#[derive(Debug, Clone)]
pub struct FaultyUpgrade<U> {
    inner: U,
    faults: Faults,
}

impl<U> FaultyUpgrade<U> {
    /// Upgrades as `inner` does, and writes as `faults` says.
    pub const fn new(inner: U, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl<S, U> Upgrade<S> for FaultyUpgrade<U>
where
    S: Send + 'static,
    U: Upgrade<S>,
{
    type Io = FaultyStream<U::Io>;

    async fn upgrade(&self, stream: S) -> io::Result<Self::Io> {
        let io = self.inner.upgrade(stream).await?;
        Ok(FaultyStream::new(io, self.faults.clone()))
    }
}

/// A stream that tears some of the frames written to it.
#[derive(Debug)]
pub struct FaultyStream<S> {
    io: S,
    faults: Faults,
    /// How the frame that is being written is treated, and how much of it is still to come.
    frame: Option<Frame>,
    pause: Option<Pin<Box<Sleep>>>,
    closed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    fault: Option<Fault>,
    left: usize,
    /// Most bytes in one write.
    piece: usize,
}

impl<S> FaultyStream<S> {
    /// Writes to `io` as `faults` says.
    pub const fn new(io: S, faults: Faults) -> Self {
        Self {
            io,
            faults,
            frame: None,
            pause: None,
            closed: false,
        }
    }

    /// The frame that `bytes` begin with, and what becomes of it.
    fn next_frame(&self, bytes: &[u8]) -> Frame {
        let end = bytes.windows(2).position(|pair| pair == END);
        let length = end.map_or(bytes.len(), |at| at + END.len());
        let whole = bytes.first() == Some(&START) && end.is_some();
        let fault = if whole { self.faults.for_frame() } else { None };
        let piece = match fault {
            Some(Fault::CloseMidFrame) => length / 2,
            Some(Fault::Split) => length.div_ceil(PIECES),
            _ => length,
        };
        Frame {
            fault,
            left: length,
            piece: piece.max(1),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FaultyStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.closed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        if this.frame.is_none() && !this.faults.is_on() {
            return Pin::new(&mut this.io).poll_write(cx, bytes);
        }
        let mut frame = match this.frame {
            Some(frame) => frame,
            None => this.next_frame(bytes),
        };
        this.frame = Some(frame);
        let part = bytes
            .get(..frame.left.min(frame.piece).min(bytes.len()))
            .unwrap_or(bytes);
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, part))?;
        frame.left = frame.left.saturating_sub(written);
        this.frame = (frame.left > 0).then_some(frame);
        match frame.fault {
            Some(Fault::CloseMidFrame) => this.closed = true,
            Some(Fault::Split) if frame.left > 0 => {
                this.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
            }
            _ => {}
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FaultyStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}
