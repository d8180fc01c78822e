//! Ctrl-C and the termination signal.

use tokio_util::sync::CancellationToken;

/// Cancels `token` at Ctrl-C, and on Unix at SIGTERM.
pub(crate) async fn cancel(token: CancellationToken) {
    asked().await;
    token.cancel();
}

#[cfg(unix)]
async fn asked() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return ctrl_c().await;
    };
    tokio::select! {
        () = ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn asked() {
    ctrl_c().await;
}

/// Where Ctrl-C cannot be listened for, it ends the program by itself.
async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
