//! [`Wire`]: PDUs on a byte stream, with deadlines and bounds.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use dicom_ul::pdu::{Pdu, read_pdu, write_pdu};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// Longest PDU that is read, without its header.
pub(crate) const PDU_BYTES_MAX: u32 = 131_072 - 6;

/// Why there is no further PDU.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer closed the connection inside a PDU.
    #[error("the peer closed the connection inside a PDU")]
    CutOff,
    /// What came is no PDU.
    #[error("what came is no DICOM PDU: {0}")]
    NotDicom(String),
    /// Nothing came in time.
    #[error("nothing came for {}s", .0.as_secs())]
    Idle(Duration),
    /// A PDU was begun and not ended in time.
    #[error("a PDU took longer than {}s", .0.as_secs())]
    Slow(Duration),
    /// The peer takes nothing.
    #[error("the peer took nothing for {}s", .0.as_secs())]
    Stuck(Duration),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the connection to a whole association request; the TLS handshake too.
    pub request: Duration,
    /// Between two messages of an association.
    pub idle: Duration,
    /// From the first byte of a PDU to its last one.
    pub pdu: Duration,
    /// Until the peer takes what is sent.
    pub write: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            pdu: Duration::from_secs(30),
            write: Duration::from_secs(30),
        }
    }
}

/// PDUs over a stream.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    read: BytesMut,
    written: Vec<u8>,
    deadlines: Deadlines,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S, deadlines: Deadlines) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            written: Vec::new(),
            deadlines,
        }
    }

    /// The next PDU; waits for it as long as a peer may be idle.
    pub(crate) async fn receive(&mut self) -> Result<Pdu, WireError> {
        self.receive_within(self.deadlines.idle).await
    }

    /// The next PDU; waits for its beginning that long.
    pub(crate) async fn receive_within(&mut self, idle: Duration) -> Result<Pdu, WireError> {
        while self.read.is_empty() {
            match timeout(idle, self.fill()).await {
                Ok(filled) => filled?,
                Err(_) => return Err(WireError::Idle(idle)),
            }
        }
        let whole = self.deadlines.pdu;
        timeout(whole, self.whole())
            .await
            .unwrap_or(Err(WireError::Slow(whole)))
    }

    /// A PDU that is here already, without waiting.
    ///
    /// The stream is asked once: what comes is kept, so nothing is lost where that is no whole
    /// PDU.
    pub(crate) async fn poll_receive(&mut self) -> Result<Option<Pdu>, WireError> {
        let mut whole = pin!(self.whole());
        poll_fn(|context| {
            Poll::Ready(match whole.as_mut().poll(context) {
                Poll::Ready(result) => result.map(Some),
                Poll::Pending => Ok(None),
            })
        })
        .await
    }

    /// Reads until a PDU is whole. May be dropped at any await.
    async fn whole(&mut self) -> Result<Pdu, WireError> {
        loop {
            if let Some(pdu) = parse(&mut self.read)? {
                return Ok(pdu);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        if self.read.capacity() - self.read.len() < 1_024 {
            self.read.reserve(8_192);
        }
        let inside = !self.read.is_empty();
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) if inside => Err(WireError::CutOff),
            Ok(0) => Err(WireError::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(closed_or(error)),
        }
    }

    /// Sends a PDU. Not to be dropped on the way: half a PDU may be out.
    pub(crate) async fn send(&mut self, pdu: &Pdu) -> Result<(), WireError> {
        self.written.clear();
        write_pdu(&mut self.written, pdu)
            .map_err(|error| WireError::Io(io::Error::other(error.to_string())))?;
        let write = self.deadlines.write;
        match timeout(write, self.stream.write_all(&self.written)).await {
            Ok(result) => result.map_err(closed_or),
            Err(_) => Err(WireError::Stuck(write)),
        }
    }

    /// Says goodbye, and waits a moment for the peer to close: an answer that is still on its way
    /// is not to be lost to a reset.
    pub(crate) async fn close(mut self, patience: Duration) {
        let _ = timeout(patience, async {
            if self.stream.shutdown().await.is_ok() {
                let mut rest = [0; 1_024];
                while matches!(self.stream.read(&mut rest).await, Ok(n) if n > 0) {}
            }
        })
        .await;
    }
}

fn closed_or(error: io::Error) -> WireError {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => WireError::Closed,
        _ => WireError::Io(error),
    }
}

/// Takes the first PDU out of a buffer, where it is whole.
pub(crate) fn parse(buffer: &mut BytesMut) -> Result<Option<Pdu>, WireError> {
    // The crate looks at the type only once all of a PDU is there; a stranger's first byte is
    // enough to know that it will never be.
    if buffer.first().is_some_and(|kind| !(1..=7).contains(kind)) {
        return Err(WireError::NotDicom("it begins with no PDU type".into()));
    }
    let mut rest = &buffer[..];
    match read_pdu(&mut rest, PDU_BYTES_MAX, true) {
        Ok(None) => Ok(None),
        Ok(Some(pdu)) => {
            let taken = buffer.len() - rest.len();
            buffer.advance(taken);
            Ok(Some(pdu))
        }
        Err(error) => Err(WireError::NotDicom(error.to_string())),
    }
}
