//! The connection under a client: frames out, frames in, every wait bounded.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    task::yield_now,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    Event, FrameErrorKind, MllpCodec,
    client::{AnswerPhase, ClientConfig, ExchangeError},
    stream::{Step, Unsent, fill, poll_fill, step},
};

pub(super) struct Wire<S> {
    stream: S,
    codec: MllpCodec,
    unread: BytesMut,
    pub(super) config: ClientConfig,
    /// False from the first byte sent until the exchange is settled, and for ever if it is not.
    usable: bool,
    /// Junk that came before the exchange under way.
    junk_before: u64,
}

impl<S> Wire<S> {
    pub(super) fn is_usable(&self) -> bool {
        self.usable
    }

    pub(super) fn junk_bytes(&self) -> u64 {
        self.codec.junk_bytes()
    }

    /// The exchange ended as it should: the next one may come.
    pub(super) fn settled(&mut self) {
        self.usable = true;
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, config: ClientConfig) -> Self {
        Self {
            stream,
            codec: MllpCodec::with_limits(config.limits.clone()).framing(config.framing),
            unread: BytesMut::new(),
            config,
            usable: true,
            junk_before: 0,
        }
    }

    /// Makes sure that nothing has come since the last exchange: neither the peer's goodbye nor a
    /// frame that would be taken for the next answer. Stray bytes outside a block are skipped.
    pub(super) async fn check_silent(&mut self) -> Result<(), ExchangeError> {
        if !self.usable {
            return Err(ExchangeError::Unusable);
        }
        self.usable = false;
        // Lets the runtime look at the socket, so that what has arrived is seen.
        yield_now().await;
        loop {
            // Whatever it is, nothing was asked.
            if !matches!(self.next_event(), Ok(None)) || self.codec.open_block().is_some() {
                return Err(ExchangeError::Unexpected);
            }
            let Self { stream, unread, .. } = self;
            let arrived = poll_fn(|cx| {
                Poll::Ready(match poll_fill(Pin::new(&mut *stream), cx, unread) {
                    Poll::Ready(read) => Some(read),
                    Poll::Pending => None,
                })
            });
            match arrived.await {
                None => break,
                Some(Ok(1..)) => {}
                Some(Ok(0)) => return Err(ExchangeError::Stale),
                Some(Err(error)) => {
                    return Err(match ExchangeError::of_link(error) {
                        refused @ ExchangeError::Handshake(_) => refused,
                        _ => ExchangeError::Stale,
                    });
                }
            }
        }
        self.junk_before = self.codec.junk_bytes();
        self.usable = true;
        Ok(())
    }

    /// Sends one frame. From here on the connection is in doubt until [`settled`](Self::settled).
    pub(super) async fn send(&mut self, frame: &[u8]) -> Result<(), ExchangeError> {
        if !self.usable {
            return Err(ExchangeError::Unusable);
        }
        self.send_within(frame).await
    }

    /// Sends one frame in the middle of an exchange.
    pub(super) async fn send_within(&mut self, frame: &[u8]) -> Result<(), ExchangeError> {
        let mut unsent = BytesMut::new();
        self.encode(frame, &mut unsent)?;
        self.usable = false;
        let Self { stream, config, .. } = self;
        let mut writing = pin!(async {
            stream.write_all(&unsent).await?;
            stream.flush().await
        });
        // Nearly always there is room for all of it: then no timer is set for it.
        let at_once = poll_fn(|cx| Poll::Ready(writing.as_mut().poll(cx))).await;
        let written = match at_once {
            Poll::Ready(written) => Ok(written),
            Poll::Pending => timeout(config.write_timeout, writing).await,
        };
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ExchangeError::of_link(error)),
            Err(_) => Err(ExchangeError::WriteTimeout),
        }
    }

    pub(super) fn encode(&self, frame: &[u8], unsent: &mut BytesMut) -> Result<(), ExchangeError> {
        self.codec
            .encode_frame(frame, unsent)
            .map_err(ExchangeError::Encode)
    }

    /// Waits for the next frame.
    pub(super) async fn receive(&mut self) -> Result<Bytes, ExchangeError> {
        self.usable = false;
        let now = Instant::now();
        let mut deadline = now
            + self
                .config
                .first_byte_timeout
                .min(self.config.answer_timeout);
        let mut phase = AnswerPhase::FirstByte;
        loop {
            if let Some(frame) = self.next_event()? {
                return Ok(frame);
            }
            let end = self
                .config
                .end_block_wait
                .filter(|_| self.codec.awaits_end(&self.unread));
            let until = end.map_or(deadline, |wait| deadline.min(Instant::now() + wait));
            match timeout_at(until, fill(&mut self.stream, &mut self.unread)).await {
                Ok(Ok(0)) => return self.at_end(),
                Ok(Ok(_)) => {
                    phase = AnswerPhase::Whole;
                    deadline = now + self.config.answer_timeout;
                }
                Ok(Err(error)) => return Err(ExchangeError::of_link(error)),
                Err(_) => match self.codec.end_here(&mut self.unread) {
                    Some(Event::Frame(frame)) if end.is_some() => return Ok(frame),
                    _ => return Err(self.late(phase)),
                },
            }
        }
    }

    /// The next frame among the bytes read. A positive commit block says only that the message
    /// is stored: the answer is still to come.
    pub(super) fn next_event(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        loop {
            match self.codec.decode_event(&mut self.unread) {
                Ok(Some(Event::Frame(frame))) => return Ok(Some(frame)),
                Ok(Some(Event::CommitAck)) => {}
                Ok(Some(Event::CommitNak)) => return Err(ExchangeError::CommitNak),
                Ok(None) => return Ok(None),
                Err(error) => {
                    return Err(match error.kind {
                        FrameErrorKind::TooMuchJunk { .. } => self.unframed(),
                        _ => ExchangeError::Frame(error),
                    });
                }
            }
        }
    }

    /// The peer has closed: a last frame whose end needs no more bytes, or the reason why not.
    pub(super) fn at_end(&mut self) -> Result<Bytes, ExchangeError> {
        match self.codec.decode_eof(&mut self.unread) {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) if self.junk_came() => Err(self.unframed()),
            Ok(None) => Err(ExchangeError::Closed),
            Err(error) => Err(ExchangeError::Frame(error)),
        }
    }

    pub(super) fn late(&self, phase: AnswerPhase) -> ExchangeError {
        if self.codec.open_block().is_none() && self.junk_came() {
            return self.unframed();
        }
        ExchangeError::AnswerTimeout { phase }
    }

    fn junk_came(&self) -> bool {
        self.codec.junk_bytes() > self.junk_before
    }

    fn unframed(&self) -> ExchangeError {
        ExchangeError::Unframed {
            bytes: self.codec.junk_bytes() - self.junk_before,
        }
    }

    /// Reads what has come or sends some of `unsent`, whichever goes first.
    pub(super) async fn step(&mut self, unsent: &mut Unsent) -> io::Result<Step> {
        self.usable = false;
        step(&mut self.stream, unsent, Some(&mut self.unread)).await
    }

    pub(super) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }
}
