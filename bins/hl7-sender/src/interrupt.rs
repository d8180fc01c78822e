//! Ctrl-C and the termination signal.

use std::io;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Cancels `token` at Ctrl-C, and on Unix at SIGTERM, from now on until the task is aborted.
#[cfg(unix)]
pub(crate) fn cancel(token: CancellationToken) -> io::Result<JoinHandle<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    // Both are listened for when this returns, not when the task first runs.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        token.cancel();
    }))
}

/// Cancels `token` at Ctrl-C, from now on until the task is aborted.
#[cfg(not(unix))]
pub(crate) fn cancel(token: CancellationToken) -> io::Result<JoinHandle<()>> {
    Ok(tokio::spawn(async move {
        // Where Ctrl-C cannot be listened for, it ends the program by itself.
        if tokio::signal::ctrl_c().await.is_ok() {
            token.cancel();
        }
    }))
}
