//! The frames of a connection between their last byte and their answer.

use std::{
    any::Any,
    collections::VecDeque,
    future::{Future, Ready, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::{CatchUnwind, Either},
    stream::FuturesOrdered,
};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::server::{Answer, Handler, Later, Request};

/// What a panic leaves behind; the panic hook has already said where it was.
type Panic = Box<dyn Any + Send>;
/// Waiting for others to be answered.
type Waiting = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;
/// The first phase of one frame.
type Accepting<P> = Pin<Box<dyn Future<Output = Result<P, Panic>> + Send>>;
/// The second phase, or what came of it at once.
type Pending<P> = Either<Pin<Box<CatchUnwind<AssertUnwindSafe<P>>>>, Ready<Result<Answer, Panic>>>;

/// Frames handed over and not answered, in the order in which they came.
pub(super) struct InHand<H: Handler> {
    handler: Arc<H>,
    room: Room,
    /// A frame for which there is no room yet.
    waiting: Option<(Waiting, Request, Instant)>,
    accepting: Option<Accepting<H::Pending>>,
    pending: FuturesOrdered<Pending<H::Pending>>,
    frames: VecDeque<Frame>,
    /// Frames that have had their first answer; few connections ever have one.
    deferred: Option<Box<Deferred>>,
    bytes: usize,
}

/// Frames whose second answer is still to come, in order.
#[derive(Default)]
struct Deferred {
    pending: FuturesOrdered<CatchUnwind<AssertUnwindSafe<Later>>>,
    frames: VecDeque<Frame>,
}

struct Frame {
    bytes: Bytes,
    received: Instant,
    /// Its share of the room, given back with the answer.
    _permit: Option<OwnedSemaphorePermit>,
}

/// Room for the frames in hand of all connections together, in bytes.
#[derive(Clone)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    bytes_max: usize,
}

impl Room {
    pub(super) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
        }
    }

    /// A frame larger than all the room takes all of it.
    fn share(&self, frame: &Bytes) -> u32 {
        u32::try_from(frame.len().min(self.bytes_max)).unwrap_or(u32::MAX)
    }
}

/// A step forward.
pub(super) enum Progress {
    /// The last frame was accepted: there may be room for the next one.
    Accepted,
    /// The oldest frame has its answer.
    Answered(Answered),
}

/// A frame with its answer.
pub(super) struct Answered {
    pub(super) answer: Answer,
    /// The answer is the last word on a panic.
    pub(super) panicked: bool,
    /// When the frame was whole.
    pub(super) received: Instant,
}

impl<H: Handler> InHand<H> {
    pub(super) fn new(handler: Arc<H>, room: Room) -> Self {
        Self {
            handler,
            room,
            waiting: None,
            accepting: None,
            pending: FuturesOrdered::new(),
            frames: VecDeque::new(),
            deferred: None,
            bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frames that came in and have not had their last answer.
    pub(super) fn len(&self) -> usize {
        self.accepted() + usize::from(self.waiting.is_some())
    }

    /// Those of them that were handed to the handler.
    fn accepted(&self) -> usize {
        let deferred = self.deferred.as_ref();
        self.frames.len() + deferred.map_or(0, |deferred| deferred.frames.len())
    }

    /// Bytes that are here and have no room.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting
            .as_ref()
            .map_or(0, |(_, request, _)| request.frame.len())
    }

    /// Whether another frame may be handed over: one at a time is being accepted, and those in
    /// hand are bounded in number and in bytes.
    pub(super) fn has_room(&self, frames_max: usize, bytes_max: usize) -> bool {
        self.accepting.is_none()
            && self.waiting.is_none()
            && (self.accepted() == 0 || self.accepted() < frames_max && self.bytes < bytes_max)
    }

    pub(super) fn hand_over(&mut self, request: Request, received: Instant) {
        let share = self.room.share(&request.frame);
        let free = Arc::clone(&self.room.free);
        if let Ok(permit) = free.try_acquire_many_owned(share) {
            return self.accept(request, received, Some(permit));
        }
        let waiting = Arc::clone(&self.room.free).acquire_many_owned(share);
        self.waiting = Some((Box::pin(waiting), request, received));
    }

    /// Forgets the frame that has no room, if there is one; it was never handed over.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting = None;
    }

    #[expect(
        clippy::async_yields_async,
        reason = "the second phase is a future by design"
    )]
    fn accept(
        &mut self,
        request: Request,
        received: Instant,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let bytes = request.frame.clone();
        self.bytes += bytes.len();
        self.frames.push_back(Frame {
            bytes,
            received,
            _permit: permit,
        });
        let handler = Arc::clone(&self.handler);
        let accepted = async move { handler.accept(request).await };
        self.accepting = Some(Box::pin(AssertUnwindSafe(accepted).catch_unwind()));
    }

    /// Forgets all frames; their futures are dropped.
    pub(super) fn clear(&mut self) {
        self.waiting = None;
        self.accepting = None;
        self.pending = FuturesOrdered::new();
        self.frames.clear();
        self.deferred = None;
        self.bytes = 0;
    }

    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        if let Some((mut waiting, request, received)) = self.waiting.take() {
            match waiting.as_mut().poll(cx) {
                Poll::Pending => self.waiting = Some((waiting, request, received)),
                // The semaphore is never closed; without it there would be no bound to keep.
                Poll::Ready(permit) => self.accept(request, received, permit.ok()),
            }
        }
        let mut accepted = false;
        if let Some(accepting) = &mut self.accepting
            && let Poll::Ready(result) = accepting.as_mut().poll(cx)
        {
            self.accepting = None;
            accepted = true;
            let pending = match result {
                Ok(pending) => {
                    let mut pending = Box::pin(AssertUnwindSafe(pending).catch_unwind());
                    // Most often the answer is there already, and nothing has to be queued.
                    match pending.as_mut().poll(cx) {
                        Poll::Ready(answer) => Either::Right(ready(answer)),
                        Poll::Pending => Either::Left(pending),
                    }
                }
                Err(panic) => Either::Right(ready(Err(panic))),
            };
            match pending {
                Either::Right(answer) if self.pending.is_empty() => {
                    if let Some(frame) = self.frames.pop_front() {
                        let answered = self.answered(frame, answer.into_inner());
                        return Poll::Ready(Progress::Answered(answered));
                    }
                }
                pending => self.pending.push_back(pending),
            }
        }
        if let Poll::Ready(Some(answer)) = self.pending.poll_next_unpin(cx)
            && let Some(frame) = self.frames.pop_front()
        {
            return Poll::Ready(Progress::Answered(self.answered(frame, answer)));
        }
        if let Some(deferred) = &mut self.deferred
            && let Poll::Ready(Some(answer)) = deferred.pending.poll_next_unpin(cx)
            && let Some(frame) = deferred.frames.pop_front()
        {
            if deferred.frames.is_empty() {
                self.deferred = None;
            }
            return Poll::Ready(Progress::Answered(self.answered(frame, answer)));
        }
        if accepted {
            Poll::Ready(Progress::Accepted)
        } else {
            Poll::Pending
        }
    }

    /// An answer to a frame; the frame stays in hand if another one is to follow.
    fn answered(&mut self, frame: Frame, answer: Result<Answer, Panic>) -> Answered {
        let (received, panicked) = (frame.received, answer.is_err());
        let answer = match answer {
            Ok(Answer::CommitThen(commit, later)) => {
                let deferred = self.deferred.get_or_insert_default();
                deferred.frames.push_back(frame);
                let later = AssertUnwindSafe(later).catch_unwind();
                deferred.pending.push_back(later);
                Answer::Reply(commit)
            }
            answer => {
                self.bytes -= frame.bytes.len();
                answer.unwrap_or_else(|_| self.failure(&frame.bytes))
            }
        };
        Answered {
            answer,
            panicked,
            received,
        }
    }

    /// The handler's last word on a frame, itself allowed to panic.
    fn failure(&self, frame: &Bytes) -> Answer {
        match catch_unwind(AssertUnwindSafe(|| self.handler.failure(frame))) {
            Ok(Some(answer)) => Answer::ReplyAndClose(answer),
            Ok(None) | Err(_) => Answer::Close,
        }
    }
}
