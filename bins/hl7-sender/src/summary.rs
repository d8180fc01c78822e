//! What a run amounts to: the last JSON object, and the table after a load test.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::{
    exit::Exit,
    report::{BAD, DIM, GOOD, rounded},
    send::Outcome,
};

/// The quantiles shown, and their names.
pub(crate) const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// The last JSON object of a run.
pub(crate) fn object(outcome: &Outcome, exit: Exit) -> Value {
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
        "total": outcome.total,
        "overdue": outcome.overdue,
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

/// The table after a load test.
pub(crate) fn text(outcome: &Outcome, corrected: bool) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_text(&mut out, outcome, corrected);
    out
}

fn write_text(out: &mut String, outcome: &Outcome, corrected: bool) -> std::fmt::Result {
    let tally = &outcome.tally;
    let seconds = outcome.elapsed.as_secs_f64();
    let (accepted, rejected, failed) = (tally.accepted, tally.rejected(), tally.failed());
    let bad = if rejected + failed > 0 { BAD } else { DIM };
    writeln!(out, "Summary")?;
    write!(
        out,
        "  Messages   {}: {GOOD}{accepted} accepted{GOOD:#}, ",
        tally.tried
    )?;
    writeln!(out, "{bad}{rejected} not accepted, {failed} failed{bad:#}")?;
    if tally.retries > 0 {
        writeln!(out, "  Retries    {}", tally.retries)?;
    }
    writeln!(out, "  Time       {seconds:.3} s")?;
    let rate = per_second(tally.tried, seconds);
    let mebibytes = per_second(tally.bytes, seconds) / f64::from(1 << 20);
    writeln!(out, "  Rate       {rate:.1} msg/s, {mebibytes:.2} MiB/s")?;
    if !tally.latencies.is_empty() {
        let note = if corrected {
            ", the wait for a free connection included"
        } else {
            ""
        };
        writeln!(out, "\nLatency{note}")?;
        write_latencies(out, &tally.latencies)?;
    }
    if !tally.codes.is_empty() {
        writeln!(out, "\nAcknowledgements")?;
        for (code, count) in &tally.codes {
            writeln!(out, "  {code} {count:>12}")?;
        }
    }
    if !tally.failures.is_empty() {
        writeln!(out, "\nErrors")?;
        for (kind, count) in &tally.failures {
            writeln!(out, "  {BAD}{:<16}{BAD:#} {count:>12}", kind.name())?;
        }
    }
    Ok(())
}

/// The quantiles, then bars over steps that grow by a constant factor, so that a long tail leaves
/// the bulk readable.
fn write_latencies(out: &mut String, latencies: &Histogram<u64>) -> std::fmt::Result {
    const STEPS: i32 = 10;
    const BAR: u64 = 40;
    for (name, at) in QUANTILES {
        writeln!(
            out,
            "  {name:<6} {:>10.3} ms",
            ms(latencies.value_at_quantile(at))
        )?;
    }
    writeln!(out, "  {:<6} {:>10.3} ms\n", "max", ms(latencies.max()))?;
    let (low, high) = (ms(latencies.min().max(1)), ms(latencies.max().max(1)));
    let factor = (high / low).powf(1.0 / f64::from(STEPS));
    let mut from = 0;
    let mut steps = Vec::new();
    for step in 1..=STEPS {
        let to = if step == STEPS {
            latencies.max()
        } else {
            micros(low * factor.powi(step))
        };
        if to < from {
            continue;
        }
        steps.push((to, latencies.count_between(from, to)));
        from = latencies.highest_equivalent(to) + 1;
    }
    let most = steps
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    for (to, count) in steps {
        let bar: String = (0..(count * BAR).div_ceil(most)).map(|_| '■').collect();
        let gap = if bar.is_empty() { "" } else { " " };
        writeln!(
            out,
            "  ≤ {:>10.3} ms {count:>12}{gap}{DIM}{bar}{DIM:#}",
            ms(to)
        )?;
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between the least and the greatest latency, both of them whole microseconds"
)]
fn micros(millis: f64) -> u64 {
    (millis * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use hl7_message::AckCode;

    use super::*;
    use crate::{
        link::{Failure, FailureKind, Reply},
        tally::Tally,
    };

    fn outcome() -> Outcome {
        let mut tally = Tally::new();
        let reply = |code| {
            Ok(Reply {
                code,
                answer: Bytes::new(),
            })
        };
        for wait in 1..=100 {
            let code = AckCode::ApplicationAccept;
            tally.add(&reply(code), true, 1 << 20, Duration::from_millis(wait), 1);
        }
        let wait = Duration::from_secs(1);
        tally.add(&reply(AckCode::ApplicationError), false, 1, wait, 3);
        tally.add(
            &Err(Failure::new(FailureKind::AckTimeout, "")),
            false,
            1,
            wait,
            1,
        );
        Outcome {
            tally,
            elapsed: Duration::from_secs(10),
            total: 102,
            ..Outcome::nothing()
        }
    }

    #[test]
    fn a_load_test_ends_with_a_table() {
        let plain = anstream::adapter::strip_str(&text(&outcome(), true)).to_string();
        insta::assert_snapshot!(plain, @r"
        Summary
          Messages   102: 100 accepted, 1 not accepted, 1 failed
          Retries    2
          Time       10.000 s
          Rate       10.2 msg/s, 10.00 MiB/s

        Latency, the wait for a free connection included
          p50        51.007 ms
          p90        91.007 ms
          p99       100.031 ms
          p99.9    1000.447 ms
          max      1000.447 ms

          ≤      1.995 ms            1 ■■
          ≤      3.981 ms            2 ■■■
          ≤      7.944 ms            4 ■■■■■
          ≤     15.852 ms            8 ■■■■■■■■■
          ≤     31.630 ms           16 ■■■■■■■■■■■■■■■■■■
          ≤     63.113 ms           32 ■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
          ≤    125.932 ms           37 ■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
          ≤    251.278 ms            0
          ≤    501.389 ms            0
          ≤   1000.447 ms            1 ■■

        Acknowledgements
          AA          100
          AE            1

        Errors
          ack_timeout                 1
        ");
    }

    #[test]
    fn every_answer_is_in_one_bar() {
        let mut tally = Tally::new();
        let reply = Ok(Reply {
            code: AckCode::ApplicationAccept,
            answer: Bytes::new(),
        });
        for micros in [0, 1, 2, 3, 1000, 1001, 1_000_000] {
            tally.add(&reply, true, 1, Duration::from_micros(micros), 1);
        }
        let mut bars = String::new();
        write_latencies(&mut bars, &tally.latencies).unwrap();
        let bars = anstream::adapter::strip_str(&bars).to_string();
        let counts = bars.lines().filter(|line| line.contains('≤'));
        let sum: u64 = counts
            .map(|line| {
                line.split_whitespace()
                    .nth(3)
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
            })
            .sum();
        assert_eq!(sum, 7, "{bars}");
    }

    #[test]
    fn the_summary_object_counts_the_same() {
        // The order of members is not ours: it depends on what else is built.
        let mut settings = insta::Settings::clone_current();
        settings.set_sort_maps(true);
        let _sorted = settings.bind_to_scope();
        insta::assert_json_snapshot!(object(&outcome(), Exit::Timeout), @r#"
        {
          "accepted": 100,
          "acks": {
            "AA": 100,
            "AE": 1
          },
          "bytes": 104857602,
          "errors": {
            "ack_timeout": 1
          },
          "exit": 4,
          "failed": 1,
          "interrupted": false,
          "latencyMs": {
            "max": 1000.447,
            "p50": 51.007,
            "p90": 91.007,
            "p99": 100.031,
            "p99.9": 1000.447
          },
          "overdue": 0,
          "perSecond": 10.2,
          "record": "summary",
          "rejected": 1,
          "retries": 2,
          "seconds": 10.0,
          "total": 102,
          "tried": 102,
          "unanswered": 0,
          "v": 1
        }
        "#);
    }
}
