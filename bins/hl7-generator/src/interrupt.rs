//! [`Interrupted`]: whether somebody pressed Ctrl-C.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hl7_cli::{INTERRUPTED, Signals};
use tokio::runtime::Builder;

/// How long the message in hand may take: the reader of a pipe may have stopped reading.
const GRACE: Duration = Duration::from_millis(500);

/// Set by Ctrl-C and by the termination signal. The run ends behind a whole message; where that
/// takes too long, the program ends anyhow.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// Watches from now on.
    pub(crate) fn watch() -> io::Result<Self> {
        let this = Self::default();
        let flag = Arc::clone(&this.0);
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let mut signals = Signals::listen()?;
        drop(guard);
        thread::spawn(move || {
            runtime.block_on(signals.next());
            flag.store(true, Ordering::Relaxed);
            thread::sleep(GRACE);
            process::exit(i32::from(INTERRUPTED));
        });
        Ok(this)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
