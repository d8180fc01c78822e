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
use tokio::time::Instant;

use crate::server::{Answer, Handler, Request};

/// What a panic leaves behind; the panic hook has already said where it was.
type Panic = Box<dyn Any + Send>;
/// The first phase of one frame.
type Accepting<P> = Pin<Box<dyn Future<Output = Result<P, Panic>> + Send>>;
/// The second phase, or the panic of the first.
type Pending<P> = Either<CatchUnwind<AssertUnwindSafe<P>>, Ready<Result<Answer, Panic>>>;

/// Frames handed over and not answered, in the order in which they came.
pub(super) struct InHand<H: Handler> {
    handler: Arc<H>,
    accepting: Option<Accepting<H::Pending>>,
    pending: FuturesOrdered<Pending<H::Pending>>,
    frames: VecDeque<(Bytes, Instant)>,
    bytes: usize,
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
    pub(super) fn new(handler: Arc<H>) -> Self {
        Self {
            handler,
            accepting: None,
            pending: FuturesOrdered::new(),
            frames: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether another frame may be handed over: one at a time is being accepted, and those in
    /// hand are bounded in number and in bytes.
    pub(super) fn has_room(&self, frames_max: usize, bytes_max: usize) -> bool {
        self.accepting.is_none()
            && (self.frames.is_empty() || self.frames.len() < frames_max && self.bytes < bytes_max)
    }

    #[expect(
        clippy::async_yields_async,
        reason = "the second phase is a future by design"
    )]
    pub(super) fn hand_over(&mut self, request: Request, received: Instant) {
        self.bytes += request.frame.len();
        self.frames.push_back((request.frame.clone(), received));
        let handler = Arc::clone(&self.handler);
        let accepted = async move { handler.accept(request).await };
        self.accepting = Some(Box::pin(AssertUnwindSafe(accepted).catch_unwind()));
    }

    /// Forgets all frames; their futures are dropped.
    pub(super) fn clear(&mut self) {
        self.accepting = None;
        self.pending = FuturesOrdered::new();
        self.frames.clear();
        self.bytes = 0;
    }

    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        let mut accepted = false;
        if let Some(accepting) = &mut self.accepting
            && let Poll::Ready(result) = accepting.as_mut().poll(cx)
        {
            self.accepting = None;
            accepted = true;
            self.pending.push_back(match result {
                Ok(pending) => Either::Left(AssertUnwindSafe(pending).catch_unwind()),
                Err(panic) => Either::Right(ready(Err(panic))),
            });
        }
        if let Poll::Ready(Some(answer)) = self.pending.poll_next_unpin(cx)
            && let Some((frame, received)) = self.frames.pop_front()
        {
            self.bytes -= frame.len();
            let panicked = answer.is_err();
            let answer = answer.unwrap_or_else(|_| self.failure(&frame));
            return Poll::Ready(Progress::Answered(Answered {
                answer,
                panicked,
                received,
            }));
        }
        if accepted {
            Poll::Ready(Progress::Accepted)
        } else {
            Poll::Pending
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
