//! [`on`]: a future of this module, waited for on the thread that asks.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread. What it waits for happens on the store's own runtime,
/// so that a thread of another runtime may ask as well.
pub(super) fn on<F: Future>(runtime: &tokio::runtime::Handle, future: F) -> F::Output {
    // For timers and for connections that are opened.
    let _guard = runtime.enter();
    // A thread of another runtime may have used up its share of turns; here nobody else waits for
    // one.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
