//! A frame between its last byte and its answer.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::server::{Answer, Handler};

/// The handler panicked; the panic hook has already said where.
#[derive(Debug)]
pub(super) struct Panicked;

/// A future whose panic is a value.
pub(super) struct Caught<F>(Option<Pin<Box<F>>>);

impl<F: Future> Caught<F> {
    pub(super) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.0.as_mut() else {
            return Poll::Ready(Err(Panicked));
        };
        // A future that panicked is dropped unpolled, so nobody sees it half-changed.
        if let Ok(poll) = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            return poll.map(Ok);
        }
        self.0 = None;
        Poll::Ready(Err(Panicked))
    }
}

/// A frame that was accepted and waits for its answer.
pub(super) struct InHand<P> {
    answer: Caught<P>,
    frame: Bytes,
    received: Instant,
}

/// An accepted frame with its answer.
pub(super) struct Answered {
    pub(super) answer: Result<Answer, Panicked>,
    pub(super) frame: Bytes,
    pub(super) received: Instant,
}

impl<P: Future<Output = Answer>> InHand<P> {
    pub(super) fn new(pending: Result<P, Panicked>, frame: Bytes, received: Instant) -> Self {
        Self {
            answer: pending.map_or(Caught(None), Caught::new),
            frame,
            received,
        }
    }
}

impl<P: Future<Output = Answer>> Future for InHand<P> {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(Answered {
            answer,
            frame: std::mem::take(&mut self.frame),
            received: self.received,
        })
    }
}

/// The handler's last word on a frame, itself allowed to panic.
pub(super) fn failure<H: Handler>(handler: &H, frame: &Bytes) -> Answer {
    match catch_unwind(AssertUnwindSafe(|| handler.failure(frame))) {
        Ok(Some(answer)) => Answer::ReplyAndClose(answer),
        Ok(None) | Err(_) => Answer::Close,
    }
}
