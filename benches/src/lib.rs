//! Benchmarks of the workspace: see `BASELINE.md`. What several of them use is here.

pub mod echo;
pub mod load;
pub mod process;
pub mod server;
pub mod table;

/// A count, to calculate with.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub fn count(number: usize) -> f64 {
    number as f64
}
