//! One connection: reads frames, hands them over, sends answers, and knows when it is over.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::FuturesOrdered};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    in_hand::{Answered, Caught, InHand, failure},
    unfinished::Holding,
    waits::{Late, Reading, Waiting, Waits},
};
use crate::{
    Event, FrameError, MllpCodec,
    server::{Answer, CloseReason, ConnectionEnd, Handler, Observer, Request, ServerConfig},
    stream::{Unsent, fill, hang_up},
};

/// Answers gathered before they must leave; more than one answer may go out in one write.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

type Accepting<P> = Pin<Box<dyn Future<Output = InHand<P>> + Send>>;

pub(super) struct Connection<H: Handler, S> {
    id: u64,
    peer: SocketAddr,
    handler: Arc<H>,
    observer: Arc<dyn Observer>,
    config: Arc<ServerConfig>,
    holding: Holding,
    codec: MllpCodec,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    /// What was read and is not a whole frame yet.
    unread: BytesMut,
    intake: Intake,
    accepting: Option<Accepting<H::Pending>>,
    pending: FuturesOrdered<InHand<H::Pending>>,
    /// Frames handed over and not answered, and their bytes.
    in_hand: usize,
    in_hand_bytes: usize,
    /// Answers on their way out, and what they were answers to.
    unsent: Unsent,
    leaving: Vec<(usize, Instant)>,
    waits: Waits,
    errors_in_row: u32,
    end: ConnectionEnd,
}

/// Where frames may still come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intake {
    /// The socket.
    Open,
    /// What has been read already; the server is shutting down.
    Draining,
    /// What has been read already; the peer has sent its last byte.
    Eof,
    /// Nowhere.
    Over,
}

impl<H: Handler, S: AsyncRead + AsyncWrite + Send + 'static> Connection<H, S> {
    pub(super) fn new(
        stream: S,
        (id, peer): (u64, SocketAddr),
        handler: Arc<H>,
        observer: Arc<dyn Observer>,
        config: Arc<ServerConfig>,
        holding: Holding,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            id,
            peer,
            handler,
            observer,
            holding,
            codec: MllpCodec::with_limits(config.limits.clone()).framing(config.framing),
            config,
            reader,
            writer,
            unread: BytesMut::new(),
            intake: Intake::Open,
            accepting: None,
            pending: FuturesOrdered::new(),
            in_hand: 0,
            in_hand_bytes: 0,
            unsent: Unsent::default(),
            leaving: Vec::new(),
            waits: Waits::new(Instant::now()),
            errors_in_row: 0,
            end: ConnectionEnd::new(CloseReason::PeerClosed),
        }
    }

    /// Serves until the connection is over.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> ConnectionEnd {
        self.exchange(&shutdown).await;
        self.hang_up().await;
        self.end.junk_bytes = self.codec.junk_bytes();
        self.end
    }

    async fn exchange(&mut self, shutdown: &CancellationToken) {
        let mut shutdown = pin!(shutdown.cancelled());
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            self.take_frames();
            let deadline = self.deadline();
            if let Some((at, _)) = deadline
                && (timer.is_elapsed() || at < timer.deadline())
            {
                // A deadline that moved away lets the timer fire early, which costs less than
                // setting it anew for every frame.
                timer.as_mut().reset(at);
            }
            let open = self.intake == Intake::Open;
            let reading = self.wants_bytes();
            let sending = !self.unsent.is_empty();
            let gathering =
                !self.pending.is_empty() && self.unsent.bytes.len() < GATHERED_BYTES_MAX;
            if self.intake == Intake::Over && !sending && self.in_hand == 0 {
                return;
            }
            tokio::select! {
                biased;
                () = &mut shutdown, if open => self.intake = Intake::Draining,
                () = self.holding.evicted(), if open => self.over(CloseReason::UnfinishedBytes),
                Some(answered) = self.pending.next(), if gathering => self.gather(answered),
                in_hand = poll_accepting(&mut self.accepting), if self.accepting.is_some() => {
                    self.accepting = None;
                    self.pending.push_back(in_hand);
                }
                sent = poll_fn(|cx| self.unsent.poll_send(Pin::new(&mut self.writer), cx)), if sending => {
                    if let Err(error) = sent {
                        self.abandon(CloseReason::Io(error.kind()));
                    } else {
                        self.note_sent();
                    }
                }
                read = fill(&mut self.reader, &mut self.unread), if reading => match read {
                    Ok(0) => self.intake = Intake::Eof,
                    Ok(_) => self.waits.silent_since = Instant::now(),
                    Err(error) => self.over(CloseReason::Io(error.kind())),
                },
                () = &mut timer, if deadline.is_some() => {
                    if let Some((at, late)) = deadline && Instant::now() >= at {
                        self.late(late);
                    }
                }
            }
        }
    }

    /// Whether there is room for another frame. Frames in hand are bounded in number, and in
    /// bytes by what one frame may have.
    fn has_room(&self) -> bool {
        self.accepting.is_none()
            && self.in_hand < self.config.in_flight_max.max(1)
            && (self.in_hand == 0 || self.in_hand_bytes < self.config.limits.frame_bytes_max)
    }

    fn wants_bytes(&self) -> bool {
        self.intake == Intake::Open && self.has_room()
    }

    /// Takes a frame from what has been read, if there is one and room for it.
    fn take_frames(&mut self) {
        while self.intake != Intake::Over && self.has_room() {
            let junk_before = self.codec.junk_bytes();
            let event = match self.intake {
                Intake::Eof => self.codec.decode_event_eof(&mut self.unread),
                _ => self.codec.decode_event(&mut self.unread),
            };
            let junk = self.codec.junk_bytes() - junk_before;
            if junk > 0 {
                self.observer.junk_received(self.id, junk);
            }
            match event {
                Ok(Some(event)) => self.event(event),
                Ok(None) => match self.intake {
                    Intake::Open => break,
                    Intake::Draining => self.over(CloseReason::Shutdown),
                    Intake::Eof | Intake::Over => self.over(CloseReason::PeerClosed),
                },
                Err(error) => self.frame_error(error),
            }
        }
        if self.unread.is_empty() && self.unread.capacity() > 0 {
            // Frames in hand keep what they need of it alive; silence holds no buffer.
            self.unread = BytesMut::new();
        }
        self.holding.set(self.unread.len());
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Frame(frame) => self.hand_over(frame),
            Event::CommitAck => self.observer.commit_received(self.id, true),
            Event::CommitNak => self.observer.commit_received(self.id, false),
        }
    }

    #[expect(
        clippy::async_yields_async,
        reason = "the second phase is a future by design"
    )]
    fn hand_over(&mut self, frame: Bytes) {
        self.end.frames += 1;
        self.errors_in_row = 0;
        let received = Instant::now();
        if self.in_hand == 0 {
            self.waits.answer_since = received;
        }
        self.in_hand += 1;
        self.in_hand_bytes += frame.len();
        self.observer.frame_received(self.id, frame.len());
        let request = Request {
            frame: frame.clone(),
            peer: self.peer,
            connection: self.id,
            received_sequence: self.end.frames,
        };
        let handler = Arc::clone(&self.handler);
        self.accepting = Some(Box::pin(async move {
            let accepted = Caught::new(async move { handler.accept(request).await }).await;
            InHand::new(accepted, frame, received)
        }));
        if self.config.one_message_per_connection {
            self.over(CloseReason::OneMessage);
        }
    }

    fn frame_error(&mut self, error: FrameError) {
        self.end.frame_errors += 1;
        self.errors_in_row += 1;
        self.observer.frame_error(self.id, &error);
        tracing::warn!(
            connection = self.id,
            error = error.kind.name(),
            offset = error.offset,
            "framing error"
        );
        if !error.is_recoverable() || self.errors_in_row > self.config.frame_errors_max {
            self.over(CloseReason::Frame(error));
        }
    }

    /// Puts an answer among those that leave next.
    fn gather(&mut self, answered: Answered) {
        let Answered {
            answer,
            frame,
            received,
        } = answered;
        self.waits.answer_since = Instant::now();
        self.in_hand -= 1;
        self.in_hand_bytes -= frame.len();
        let (answer, reason) = if let Ok(answer) = answer {
            (answer, CloseReason::Handler)
        } else {
            self.observer.handler_panicked(self.id);
            tracing::error!(connection = self.id, "handler panicked");
            (
                failure(&*self.handler, &frame),
                CloseReason::HandlerPanicked,
            )
        };
        let (reply, close) = match answer {
            Answer::Reply(reply) => (Some(reply), false),
            Answer::ReplyAndClose(reply) => (Some(reply), true),
            Answer::Nothing => (None, false),
            Answer::Close => (None, true),
        };
        if let Some(reply) = reply {
            if self.unsent.is_empty() {
                self.waits.write_since = Instant::now();
            }
            if let Err(error) = self.codec.encode_frame(&reply, &mut self.unsent.bytes) {
                self.observer.answer_unsendable(self.id);
                tracing::error!(connection = self.id, %error, "answer cannot be sent");
                return self.stop(CloseReason::AnswerUnsendable);
            }
            self.leaving.push((reply.len(), received));
        }
        if close {
            self.stop(reason);
        }
    }

    /// Notes a step forward, and the answers that have left once all have.
    fn note_sent(&mut self) {
        self.waits.write_since = Instant::now();
        if !self.unsent.is_empty() {
            return;
        }
        for (bytes, received) in self.leaving.drain(..) {
            self.end.answers += 1;
            self.observer
                .answer_sent(self.id, bytes, received.elapsed());
        }
        self.waits.silent_since = Instant::now();
    }

    fn deadline(&mut self) -> Option<(Instant, Late)> {
        let reading = match self.codec.open_block() {
            None => Reading::Between,
            Some(block) if self.codec.awaits_end(&self.unread) => Reading::AtEnd(block),
            Some(block) => Reading::Inside(block),
        };
        let waiting = Waiting {
            sending: !self.unsent.is_empty(),
            in_hand: self.in_hand > 0,
            reading: self.wants_bytes().then_some(reading),
        };
        self.waits.next(waiting, &self.config)
    }

    fn late(&mut self, late: Late) {
        match late {
            Late::EndBlock => {
                if let Some(event) = self.codec.end_here(&mut self.unread) {
                    self.event(event);
                }
            }
            Late::Over(reason) => self.over(reason),
            Late::Stop(reason) => self.stop(reason),
            Late::Abandon(reason) => self.abandon(reason),
        }
    }

    /// No more frames are taken; those in hand are still answered.
    fn over(&mut self, reason: CloseReason) {
        if self.intake != Intake::Over {
            self.intake = Intake::Over;
            self.end.reason = reason;
            self.unread = BytesMut::new();
            self.holding.set(0);
        }
    }

    /// No more frames are taken, and none in hand is answered any more.
    fn stop(&mut self, reason: CloseReason) {
        self.intake = Intake::Over;
        self.end.reason = reason;
        self.accepting = None;
        self.pending = FuturesOrdered::new();
        self.in_hand = 0;
        self.in_hand_bytes = 0;
    }

    /// Nothing can be sent any more.
    fn abandon(&mut self, reason: CloseReason) {
        self.stop(reason);
        self.unsent = Unsent::default();
        self.leaving.clear();
    }

    /// Closes so that the last answer arrives.
    async fn hang_up(&mut self) {
        if matches!(
            self.end.reason,
            CloseReason::Io(_) | CloseReason::WriteTimeout
        ) {
            return;
        }
        hang_up(tokio::io::join(&mut self.reader, &mut self.writer)).await;
    }
}

async fn poll_accepting<P>(accepting: &mut Option<Accepting<P>>) -> InHand<P> {
    match accepting {
        Some(accepting) => accepting.await,
        None => std::future::pending().await,
    }
}
