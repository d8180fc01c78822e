//! [`Counters`]: everything an operator wants counted, ready to use.

use std::{
    fmt,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    FrameError,
    server::{CloseReason, ConnectionEnd, Observer, Refusal},
};

/// Upper bounds of the latency buckets, in microseconds; the last bucket has none.
const LATENCY_BOUNDS_MICROS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000, 30_000_000,
];
const CODES: [&str; 7] = ["AA", "AE", "AR", "CA", "CE", "CR", "other"];
const FRAME_ERRORS: [&str; 5] = [
    "block_restarted",
    "end_block_alone",
    "truncated",
    "frame_too_large",
    "too_much_junk",
];
const REFUSALS: [&str; 4] = [
    "too_many_connections",
    "too_many_from_address",
    "not_allowed",
    "no_proxy_header",
];

/// An [`Observer`] that counts. Labels are from short lists; nothing of a message is kept.
///
/// What only an application can know, it counts here itself:
/// [`count_retry`](Self::count_retry), [`count_duplicate`](Self::count_duplicate).
///
/// ```
/// use std::time::Duration;
/// use hl7_mllp::Observer;
/// use hl7_mllp::server::Counters;
///
/// let counters = Counters::default();
/// counters.frame_received(1, 512);
/// counters.acknowledged(1, "AA");
/// counters.answer_sent(1, 70, Duration::from_micros(300));
/// let text = counters.to_string();
/// assert!(text.contains("mllp_frames_received_total 1\n"));
/// assert!(text.contains("mllp_acks_total{code=\"AA\"} 1\n"));
/// assert!(text.contains("mllp_ack_latency_seconds_bucket{le=\"0.0005\"} 1\n"));
/// ```
#[derive(Debug, Default)]
pub struct Counters {
    connections_opened: AtomicU64,
    connections_closed: AtomicU64,
    refused: [AtomicU64; REFUSALS.len()],
    accepts_failed: AtomicU64,
    handshakes_failed: AtomicU64,
    frames: AtomicU64,
    frame_bytes: AtomicU64,
    junk_bytes: AtomicU64,
    frame_errors: [AtomicU64; FRAME_ERRORS.len()],
    late_frames: AtomicU64,
    answers: AtomicU64,
    answer_bytes: AtomicU64,
    unsendable: AtomicU64,
    panics: AtomicU64,
    acks: [AtomicU64; CODES.len()],
    latency: [AtomicU64; LATENCY_BOUNDS_MICROS.len() + 1],
    latency_micros: AtomicU64,
    in_hand: AtomicU64,
    retries: AtomicU64,
    duplicates: AtomicU64,
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Relaxed);
}

/// Counts under a label of a list; a label that is not on it counts under the last.
fn add_labelled(counters: &[AtomicU64], labels: &[&str], label: &str) {
    let place = labels.iter().position(|known| *known == label);
    if let Some(counter) = place.map_or(counters.last(), |place| counters.get(place)) {
        add(counter, 1);
    }
}

impl Counters {
    /// A message was sent once more because nobody had answered it.
    pub fn count_retry(&self) {
        add(&self.retries, 1);
    }

    /// A message came that had come before.
    pub fn count_duplicate(&self) {
        add(&self.duplicates, 1);
    }

    /// Frames that came in and have not had their last answer.
    pub fn in_hand(&self) -> u64 {
        self.in_hand.load(Relaxed)
    }

    /// Answers with this code.
    pub fn acks(&self, code: &str) -> u64 {
        let place = CODES.iter().position(|known| *known == code);
        place
            .and_then(|place| self.acks.get(place))
            .map_or(0, |counter| counter.load(Relaxed))
    }

    fn write_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = "mllp_ack_latency_seconds";
        writeln!(f, "# TYPE {name} histogram")?;
        let mut so_far = 0;
        for (place, counter) in self.latency.iter().enumerate() {
            so_far += counter.load(Relaxed);
            match LATENCY_BOUNDS_MICROS.get(place) {
                Some(micros) => {
                    let seconds = Duration::from_micros(*micros).as_secs_f64();
                    writeln!(f, "{name}_bucket{{le=\"{seconds}\"}} {so_far}")?;
                }
                None => writeln!(f, "{name}_bucket{{le=\"+Inf\"}} {so_far}")?,
            }
        }
        let sum = Duration::from_micros(self.latency_micros.load(Relaxed));
        writeln!(f, "{name}_sum {}\n{name}_count {so_far}", sum.as_secs_f64())
    }
}

/// The Prometheus text format.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, counter) in [
            ("connections_opened", &self.connections_opened),
            ("connections_closed", &self.connections_closed),
            ("accepts_failed", &self.accepts_failed),
            ("handshakes_failed", &self.handshakes_failed),
            ("frames_received", &self.frames),
            ("frame_bytes_received", &self.frame_bytes),
            ("junk_bytes", &self.junk_bytes),
            ("frames_late", &self.late_frames),
            ("answers_sent", &self.answers),
            ("answer_bytes_sent", &self.answer_bytes),
            ("answers_unsendable", &self.unsendable),
            ("handler_panics", &self.panics),
            ("retries", &self.retries),
            ("duplicates", &self.duplicates),
        ] {
            writeln!(f, "# TYPE mllp_{name}_total counter")?;
            writeln!(f, "mllp_{name}_total {}", counter.load(Relaxed))?;
        }
        writeln!(f, "# TYPE mllp_frames_in_hand gauge")?;
        writeln!(f, "mllp_frames_in_hand {}", self.in_hand())?;
        let labelled = |f: &mut fmt::Formatter<'_>,
                        name: &str,
                        label: &str,
                        names: &[&str],
                        counters: &[AtomicU64]| {
            writeln!(f, "# TYPE mllp_{name}_total counter")?;
            for (value, counter) in names.iter().zip(counters) {
                let count = counter.load(Relaxed);
                writeln!(f, "mllp_{name}_total{{{label}=\"{value}\"}} {count}")?;
            }
            fmt::Result::Ok(())
        };
        labelled(f, "acks", "code", &CODES, &self.acks)?;
        labelled(f, "frame_errors", "kind", &FRAME_ERRORS, &self.frame_errors)?;
        labelled(f, "connections_refused", "reason", &REFUSALS, &self.refused)?;
        self.write_latency(f)
    }
}

impl Observer for Counters {
    fn connection_opened(&self, _: u64, _: SocketAddr) {
        add(&self.connections_opened, 1);
    }
    fn connection_closed(&self, _: u64, _: SocketAddr, end: &ConnectionEnd) {
        add(&self.connections_closed, 1);
        if end.reason == CloseReason::FrameDeadline {
            add(&self.late_frames, 1);
        }
    }
    fn connection_refused(&self, _: SocketAddr, refusal: Refusal) {
        add_labelled(&self.refused, &REFUSALS, refusal.name());
    }
    fn accept_failed(&self, _: &std::io::Error) {
        add(&self.accepts_failed, 1);
    }
    fn frame_received(&self, _: u64, bytes: usize) {
        add(&self.frames, 1);
        add(&self.frame_bytes, bytes as u64);
    }
    fn junk_received(&self, _: u64, bytes: u64) {
        add(&self.junk_bytes, bytes);
    }
    fn frame_error(&self, _: u64, error: &FrameError) {
        add_labelled(&self.frame_errors, &FRAME_ERRORS, error.kind.name());
    }
    fn answer_sent(&self, _: u64, bytes: usize, latency: Duration) {
        add(&self.answers, 1);
        add(&self.answer_bytes, bytes as u64);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let place = LATENCY_BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.latency.get(place) {
            add(bucket, 1);
        }
        add(&self.latency_micros, micros);
    }
    fn acknowledged(&self, _: u64, code: &'static str) {
        add_labelled(&self.acks, &CODES, code);
    }
    fn in_hand_changed(&self, _: u64, before: usize, now: usize) {
        add(&self.in_hand, (now as u64).wrapping_sub(before as u64));
    }
    fn answer_unsendable(&self, _: u64) {
        add(&self.unsendable, 1);
    }
    fn handshake_failed(&self, _: u64, _: &std::io::Error) {
        add(&self.handshakes_failed, 1);
    }
    fn handler_panicked(&self, _: u64) {
        add(&self.panics, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameErrorKind;

    #[test]
    fn every_label_has_its_counter() {
        let counters = Counters::default();
        for kind in [
            FrameErrorKind::BlockRestarted,
            FrameErrorKind::EndBlockAlone,
            FrameErrorKind::Truncated,
            FrameErrorKind::FrameTooLarge { limit: 1 },
            FrameErrorKind::TooMuchJunk { limit: 1 },
        ] {
            counters.frame_error(1, &FrameError { kind, offset: 0 });
        }
        for refusal in [
            Refusal::TooManyConnections,
            Refusal::TooManyFromAddress,
            Refusal::NotAllowed,
            Refusal::NoProxyHeader,
        ] {
            counters.connection_refused(([127, 0, 0, 1], 1).into(), refusal);
        }
        for code in CODES {
            counters.acknowledged(1, code);
        }
        let text = counters.to_string();
        let labelled: Vec<_> = text
            .lines()
            .filter(|line| line.contains("_total{"))
            .collect();
        assert_eq!(labelled.len(), 5 + 4 + 7);
        assert!(labelled.iter().all(|line| line.ends_with("} 1")), "{text}");
    }

    #[test]
    fn latencies_fall_into_their_buckets() {
        let counters = Counters::default();
        for micros in [0, 250, 251, 40_000_000] {
            counters.answer_sent(1, 1, Duration::from_micros(micros));
        }
        let text = counters.to_string();
        for line in [
            "bucket{le=\"0.00025\"} 2",
            "bucket{le=\"0.0005\"} 3",
            "bucket{le=\"30\"} 3",
            "bucket{le=\"+Inf\"} 4",
            "_sum 40.000501",
            "_count 4",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn what_is_in_hand_goes_up_and_down() {
        let counters = Counters::default();
        counters.in_hand_changed(1, 0, 3);
        counters.in_hand_changed(2, 0, 1);
        counters.in_hand_changed(1, 3, 0);
        assert_eq!(counters.in_hand(), 1);
    }
}
