//! [`Supply`]: where the messages of a run come from.

use std::{
    cell::RefCell,
    fmt, mem,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    thread, vec,
};

use tokio::sync::{self, mpsc};

use crate::{
    input::{Found, Reading},
    outgoing::Outgoing,
};

/// How often a reader may be ahead of those who send by what it reads at once.
const AHEAD: usize = 4;

/// The messages of a run.
pub(crate) enum Supply {
    /// In memory, and not none: taken in order, and from the start again if there is more to send.
    Held(Vec<Outgoing>),
    /// Taken one by one while they are still being read.
    Stream(Stream),
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(messages) => write!(f, "Held({})", messages.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Messages that a thread of its own reads, a little ahead of those who send them.
pub(crate) struct Stream {
    messages: sync::Mutex<Taking>,
    end: Arc<Mutex<Option<anyhow::Result<Found>>>>,
}

struct Taking {
    /// What was read at once.
    batches: mpsc::Receiver<Vec<Outgoing>>,
    batch: vec::IntoIter<Outgoing>,
}

impl Stream {
    /// Begins to read, so many times over; for ever without a number.
    pub(crate) fn start(reading: Reading, mut times: Option<u64>) -> Self {
        let (send, batches) = mpsc::channel(AHEAD);
        let end = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&end);
        thread::spawn(move || {
            while times != Some(0) {
                let found = read(&reading, &send);
                let is_over = found.is_err() || send.is_closed();
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                if is_over {
                    break;
                }
                times = times.map(|times| times - 1);
            }
        });
        let batch = Vec::new().into_iter();
        Self {
            messages: sync::Mutex::new(Taking { batches, batch }),
            end,
        }
    }

    /// The next message, with what `number` says to it while nobody else takes one.
    pub(crate) async fn next(&self, number: impl FnOnce() -> u64) -> Option<(u64, Outgoing)> {
        let mut taking = self.messages.lock().await;
        loop {
            if let Some(message) = taking.batch.next() {
                return Some((number(), message));
            }
            taking.batch = taking.batches.recv().await?.into_iter();
        }
    }

    /// What was found, or why reading ended, if it has ended.
    pub(crate) fn end(&self) -> Option<anyhow::Result<Found>> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.take()
    }
}

/// Hands on what was read before anything more is waited for, so that no message waits for the
/// next one that does not have to.
fn read(reading: &Reading, send: &mpsc::Sender<Vec<Outgoing>>) -> anyhow::Result<Found> {
    let batch = RefCell::new(Vec::new());
    let hand_on = || {
        let batch = mem::take(&mut *batch.borrow_mut());
        if batch.is_empty() || send.blocking_send(batch).is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let found = reading.each(
        |message| {
            batch.borrow_mut().push(message);
            if send.is_closed() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
        || {
            // Whoever wants no more is seen at the next message.
            let _ = hand_on();
        },
    );
    let _ = hand_on();
    found
}
