//! What a run amounts to: the last JSON object, and the table after a load test.

use serde_json::{Map, Value, json};

use crate::{exit::Exit, report::rounded, send::Outcome};

/// The quantiles shown, and their names.
pub(crate) const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// The last JSON object of a run.
pub(crate) fn object(outcome: &Outcome, total: u64, exit: Exit) -> Value {
    let tally = &outcome.tally;
    let seconds = outcome.elapsed.as_secs_f64();
    let mut latency: Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, at)| {
            (
                (*name).to_owned(),
                ms(tally.latencies.value_at_quantile(*at)).into(),
            )
        })
        .collect();
    latency.insert("max".to_owned(), ms(tally.latencies.max()).into());
    let failures: Map<String, Value> = tally
        .failures
        .iter()
        .map(|(kind, n)| (kind.name().to_owned(), (*n).into()))
        .collect();
    json!({
        "v": 1,
        "record": "summary",
        "total": total,
        "tried": tally.tried,
        "accepted": tally.accepted,
        "rejected": tally.rejected(),
        "failed": tally.failed(),
        "retries": tally.retries,
        "unanswered": outcome.unanswered,
        "bytes": tally.bytes,
        "seconds": rounded(seconds),
        "perSecond": rounded(per_second(tally.tried, seconds)),
        "latencyMs": latency,
        "acks": tally.codes,
        "errors": failures,
        "interrupted": outcome.interrupted,
        "exit": exit.number(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

/// Microseconds as milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "latencies stay far below 2^52 microseconds"
)]
pub(crate) fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}
