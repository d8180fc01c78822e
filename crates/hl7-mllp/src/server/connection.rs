//! One connection: reads frames, hands them over, sends answers, and knows when it is over.

use std::{future::poll_fn, io, net::SocketAddr, pin::pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};

use super::{
    admission::Place,
    in_hand::{Answered, InHand, Progress, Room},
    unfinished::Holding,
    waits::{Late, Reading, Waiting, Waits},
};
use crate::{
    Event, FrameError, MllpCodec,
    correlate::{Correlate, Hl7, OTHER_CODE, code_name},
    server::{Answer, CloseReason, ConnectionEnd, Handler, Observer, Request, ServerConfig},
    stream::{Step, Unsent, hang_up, step},
};

/// MSA-1 of an answer, as a name from a short list.
fn code_of(reply: &[u8]) -> &'static str {
    let code = Hl7.acknowledgement(reply).map(|ack| ack.code);
    code.map_or(OTHER_CODE, code_name)
}

/// Steps of a busy connection between two looks at the signal.
const SIGNAL_TURNS: u32 = 16;
/// Answers gathered before they must leave; more than one answer may go out in one write.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Connection<H: Handler, S> {
    id: u64,
    peer: SocketAddr,
    observer: Arc<dyn Observer>,
    config: Arc<ServerConfig>,
    place: Option<Place>,
    holding: Holding,
    codec: MllpCodec,
    stream: S,
    /// What was read and is not a whole frame yet.
    unread: BytesMut,
    intake: Intake,
    in_hand: InHand<H>,
    /// Answers on their way out, and what they were answers to.
    unsent: Unsent,
    leaving: Vec<(usize, Instant)>,
    waits: Waits,
    errors_in_row: u32,
    /// Frames in hand as last told to the observer.
    told_in_hand: usize,
    /// Why nothing more can be read, once that is so.
    lost: CloseReason,
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

impl<H: Handler, S: AsyncRead + AsyncWrite + Unpin> Connection<H, S> {
    pub(super) fn new(
        stream: S,
        (id, peer): (u64, SocketAddr),
        handler: Arc<H>,
        observer: Arc<dyn Observer>,
        config: Arc<ServerConfig>,
        (place, holding, room): (Place, Holding, Room),
    ) -> Self {
        Self {
            id,
            peer,
            observer,
            place: Some(place),
            holding,
            codec: MllpCodec::with_limits(config.limits.clone()).framing(config.framing),
            config,
            stream,
            unread: BytesMut::new(),
            intake: Intake::Open,
            in_hand: InHand::new(handler, room),
            unsent: Unsent::default(),
            leaving: Vec::new(),
            waits: Waits::new(Instant::now()),
            errors_in_row: 0,
            told_in_hand: 0,
            lost: CloseReason::PeerClosed,
            end: ConnectionEnd::new(CloseReason::PeerClosed),
        }
    }

    /// Serves until the connection is over.
    pub(super) async fn run(mut self) -> ConnectionEnd {
        self.exchange().await;
        self.tell_in_hand();
        if !matches!(
            self.end.reason,
            CloseReason::Io(_) | CloseReason::WriteTimeout
        ) {
            hang_up(self.stream).await;
        }
        self.end.junk_bytes = self.codec.junk_bytes();
        self.end
    }

    async fn exchange(&mut self) {
        let signal = self.holding.signal().clone();
        let mut signalled = pin!(signal.cancelled());
        let mut told = false;
        let mut turns = 0_u32;
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            self.take_frames();
            self.tell_in_hand();
            let deadline = self.deadline();
            if let Some((at, _)) = deadline
                && (timer.is_elapsed() || at < timer.deadline())
            {
                // A deadline that moved away lets the timer fire early, which costs less than
                // setting it anew for every frame.
                timer.as_mut().reset(at);
            }
            let sending = !self.unsent.is_empty();
            let reading = self.wants_bytes();
            let handling = !self.in_hand.is_empty() && self.unsent.bytes.len() < GATHERED_BYTES_MAX;
            if self.intake == Intake::Over && !sending && self.in_hand.is_empty() {
                return;
            }
            let unread = reading.then_some(&mut self.unread);
            let mut signalled_now = false;
            tokio::select! {
                biased;
                progress = poll_fn(|cx| self.in_hand.poll_progress(cx)), if handling => {
                    if let Progress::Answered(answered) = progress {
                        self.gather(answered);
                    }
                }
                moved = step(&mut self.stream, &mut self.unsent, unread), if sending || reading => {
                    self.moved(moved, sending);
                }
                () = &mut timer, if deadline.is_some() => {
                    if let Some((at, late)) = deadline && Instant::now() >= at {
                        self.late(late);
                    }
                }
                () = &mut signalled, if !told => signalled_now = true,
            }
            // The signal comes last above, and a busy connection may never get there. Asking takes
            // a lock.
            turns = turns.wrapping_add(1);
            if !told
                && (signalled_now || turns.is_multiple_of(SIGNAL_TURNS))
                && signal.is_cancelled()
            {
                told = true;
                self.told();
            }
        }
    }

    fn tell_in_hand(&mut self) {
        let (before, now) = (self.told_in_hand, self.in_hand.len());
        if before != now {
            self.told_in_hand = now;
            self.observer.in_hand_changed(self.id, before, now);
        }
    }

    /// The signal was given: either this connection has to go, or the whole server.
    fn told(&mut self) {
        if self.holding.is_evicted() {
            self.in_hand.forget_waiting();
            self.over(CloseReason::UnfinishedBytes);
        } else if self.intake == Intake::Open {
            self.intake = Intake::Draining;
        }
    }

    fn moved(&mut self, moved: io::Result<Step>, sending: bool) {
        match moved {
            Ok(Step::Sent) => self.note_sent(),
            Ok(Step::Read(0)) => self.intake = Intake::Eof,
            Ok(Step::Read(_)) => self.waits.silent_since = Instant::now(),
            // Nobody is there any more to take an answer.
            Err(error) if sending => self.abandon(CloseReason::Io(error.kind())),
            // An unfinished frame is reported as after any other end. TLS peers are known to
            // leave without a goodbye.
            Err(error) => {
                self.intake = Intake::Eof;
                if error.kind() != io::ErrorKind::UnexpectedEof {
                    self.lost = CloseReason::Io(error.kind());
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        let ServerConfig {
            in_flight_max,
            limits,
            ..
        } = &*self.config;
        self.in_hand
            .has_room(*in_flight_max, limits.frame_bytes_max)
    }

    fn wants_bytes(&self) -> bool {
        self.intake == Intake::Open && self.has_room()
    }

    /// Takes a frame from what has been read, if there is one and room for it.
    fn take_frames(&mut self) {
        if self.intake == Intake::Open && self.unread.capacity() == 0 {
            self.holding.set(self.in_hand.waiting_bytes());
            return;
        }
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
                    Intake::Eof | Intake::Over => self.over(self.lost),
                },
                Err(error) => self.frame_error(error),
            }
        }
        if self.unread.is_empty() && self.unread.capacity() > 0 {
            // Frames in hand keep what they need of it alive; silence holds no buffer.
            self.unread = BytesMut::new();
        }
        self.holding
            .set(self.unread.len() + self.in_hand.waiting_bytes());
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Frame(frame) => self.hand_over(frame),
            Event::CommitAck => self.observer.commit_received(self.id, true),
            Event::CommitNak => self.observer.commit_received(self.id, false),
        }
    }

    fn hand_over(&mut self, frame: Bytes) {
        self.end.frames += 1;
        self.errors_in_row = 0;
        self.observer.frame_received(self.id, frame.len());
        // Whole since the last read, even if there was no room for it until now.
        let received = self.waits.silent_since;
        if self.in_hand.is_empty() {
            self.waits.answer_since = self.waits.answer_since.max(received);
        }
        let request = Request {
            frame,
            peer: self.peer,
            connection: self.id,
            received_sequence: self.end.frames,
        };
        self.in_hand.hand_over(request, received);
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
    fn gather(
        &mut self,
        Answered {
            answer,
            panicked,
            received,
        }: Answered,
    ) {
        let now = Instant::now();
        self.waits.answer_since = now;
        if panicked {
            self.observer.handler_panicked(self.id);
            tracing::error!(connection = self.id, "handler panicked");
        }
        let reason = if panicked {
            CloseReason::HandlerPanicked
        } else {
            CloseReason::Handler
        };
        let (reply, close) = match answer {
            Answer::ReplyAndClose(reply) => (Some(reply), true),
            // The second part of an answer stays in hand.
            Answer::Reply(reply) | Answer::CommitThen(reply, _) => (Some(reply), false),
            Answer::Nothing => (None, false),
            Answer::Close => (None, true),
        };
        if let Some(reply) = reply {
            if self.unsent.is_empty() {
                self.waits.write_since = now;
            }
            if let Err(error) = self.codec.encode_frame(&reply, &mut self.unsent.bytes) {
                self.observer.answer_unsendable(self.id);
                tracing::error!(connection = self.id, %error, "answer cannot be sent");
                return self.stop(CloseReason::AnswerUnsendable);
            }
            self.leaving.push((reply.len(), received));
            self.observer.acknowledged(self.id, code_of(&reply));
        }
        if close {
            self.stop(reason);
        }
        if self.config.one_message_per_connection && self.in_hand.is_empty() {
            // The peer may connect again as soon as it has the answer, and find room.
            self.place = None;
        }
    }

    /// Notes a step forward, and the answers that have left once all have.
    fn note_sent(&mut self) {
        let now = Instant::now();
        self.waits.write_since = now;
        if !self.unsent.is_empty() {
            return;
        }
        for (bytes, received) in self.leaving.drain(..) {
            self.end.answers += 1;
            self.observer.answer_sent(self.id, bytes, now - received);
        }
        self.waits.silent_since = now;
    }

    fn deadline(&mut self) -> Option<(Instant, Late)> {
        let reading = match self.codec.open_block() {
            None => Reading::Between,
            Some(block) if self.codec.awaits_end(&self.unread) => Reading::AtEnd(block),
            Some(block) => Reading::Inside(block),
        };
        let waiting = Waiting {
            sending: !self.unsent.is_empty(),
            in_hand: !self.in_hand.is_empty(),
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
        self.over(reason);
        self.end.reason = reason;
        self.in_hand.clear();
    }

    /// Nothing can be sent any more.
    fn abandon(&mut self, reason: CloseReason) {
        self.stop(reason);
        self.unsent = Unsent::default();
        self.leaving.clear();
    }
}
