//! [`Tally`]: what is counted while messages go out.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use crate::{
    exit::Exit,
    link::{Failure, FailureKind, Reply},
};

/// Counts and latencies of the messages sent so far.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Messages that were answered as expected.
    pub(crate) accepted: u64,
    /// Messages that were tried.
    pub(crate) tried: u64,
    /// Tries beyond the first.
    pub(crate) retries: u64,
    /// Bytes of the messages tried, framing not counted.
    pub(crate) bytes: u64,
    /// Answers by MSA-1.
    pub(crate) codes: BTreeMap<&'static str, u64>,
    pub(crate) failures: BTreeMap<FailureKind, u64>,
    /// From the moment a message was due to its answer, in microseconds; answered ones only.
    pub(crate) latencies: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            accepted: 0,
            tried: 0,
            retries: 0,
            bytes: 0,
            codes: BTreeMap::new(),
            failures: BTreeMap::new(),
            latencies: microseconds(),
        }
    }

    /// Counts one message, after its last try.
    pub(crate) fn add(
        &mut self,
        outcome: &Result<Reply, Failure>,
        accepted: bool,
        bytes: usize,
        latency: Duration,
        tries: u32,
    ) {
        self.tried += 1;
        self.accepted += u64::from(accepted);
        self.bytes += bytes as u64;
        self.retries += u64::from(tries.saturating_sub(1));
        match outcome {
            Ok(reply) => {
                *self.codes.entry(reply.code.as_str()).or_default() += 1;
                let micros = u64::try_from(latency.as_micros()).unwrap_or(DAY_MICROS);
                // Resizes by itself; what is no latency of this world is recorded as a day.
                let _ = self.latencies.record(micros.min(DAY_MICROS));
            }
            // No answer, and none was wanted.
            Err(_) if accepted => *self.codes.entry("none").or_default() += 1,
            Err(failure) => *self.failures.entry(failure.kind).or_default() += 1,
        }
    }

    /// Takes over what another one counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.tried += other.tried;
        self.retries += other.retries;
        self.bytes += other.bytes;
        for (code, count) in &other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        for (kind, count) in &other.failures {
            *self.failures.entry(*kind).or_default() += count;
        }
        // Both resize by themselves, so that this cannot fail.
        let _ = self.latencies.add(&other.latencies);
    }

    /// Answered, but not as expected.
    pub(crate) fn rejected(&self) -> u64 {
        self.codes
            .values()
            .sum::<u64>()
            .saturating_sub(self.accepted)
    }

    /// Not answered at all, or not by an acknowledgement.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// What the outcomes mean for the exit code.
    pub(crate) fn exits(&self) -> impl Iterator<Item = Exit> {
        let refused = (self.rejected() > 0).then_some(Exit::NotAccepted);
        self.failures.keys().map(|kind| kind.exit()).chain(refused)
    }
}

const DAY_MICROS: u64 = 24 * 60 * 60 * 1_000_000;

/// Three significant digits, growing with what is recorded.
fn microseconds() -> Histogram<u64> {
    match Histogram::new(3) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("three digits are allowed"),
    }
}
