//! Ctrl-C and the termination signal.

use std::io;

use hl7_cli::Signals;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Cancels `token` at the first of them, from now on until the task is aborted.
pub(crate) fn cancel(token: CancellationToken) -> io::Result<JoinHandle<()>> {
    let mut signals = Signals::listen()?;
    Ok(tokio::spawn(async move {
        signals.next().await;
        token.cancel();
    }))
}
