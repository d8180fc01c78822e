//! What a program uses from its start to its end.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medsynapse_benches::process;

/// Time between two looks: what is used behind the last one is not seen.
const LOOK: Duration = Duration::from_millis(5);

/// What a program used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) elapsed: Duration,
    /// Processor time, the kernel's share included.
    pub(crate) cpu: Duration,
    /// The most resident memory, in bytes.
    pub(crate) peak: usize,
}

/// Runs a program to its end, beside what `meanwhile` does.
pub(crate) fn watched(
    mut command: Command,
    meanwhile: impl FnOnce(&mut Child) -> Result<()>,
) -> Result<Used> {
    let start = Instant::now();
    let mut child = command.spawn().context("starting a program")?;
    let id = child.id();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut used = Used::default();
            while !ended.load(Ordering::Relaxed) {
                // When it has ended, what was seen last stands.
                used.cpu = process::cpu(id).unwrap_or(used.cpu);
                used.peak = process::peak(id).unwrap_or(used.peak);
                thread::sleep(LOOK);
            }
            used
        });
        let done = meanwhile(&mut child);
        let status = child.wait();
        let elapsed = start.elapsed();
        ended.store(true, Ordering::Relaxed);
        let mut used = looking.join().ok().context("watching")?;
        used.elapsed = elapsed;
        done?;
        let status = status?;
        ensure!(status.success(), "the program ended with {status}");
        Ok(used)
    })
}
