//! The wall clock, read in this one place.

use chrono::{DateTime, Utc};

/// The moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the clock"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
