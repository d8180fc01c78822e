//! What is counted while the broker runs, for Prometheus.

use std::sync::Arc;

use anyhow::{Context, Result};
use medsynapse_broker::{Broker, Clock, Faults, SystemClock};
use medsynapse_http::MetricsPage;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// From 100 µs to 10 s, three a decade.
const SECONDS: [f64; 16] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
    10.0,
];
/// As many as a commit takes.
const MESSAGES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The recorder of this process.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Makes it the recorder that everybody in this process writes to.
    pub(crate) fn install() -> Result<Self> {
        let matcher = Matcher::Full("hl7_commit_batch_messages".into());
        let recorder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(matcher, &MESSAGES))
            .context("setting up the metrics")?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).context("installing the metrics")?;
        describe();
        Ok(Self { handle })
    }

    /// The page that shows them, together with what is only looked at when somebody asks. Blocks.
    pub(crate) fn page(&self, broker: &Arc<Broker>, faults: &Faults) -> MetricsPage {
        let (handle, broker, faults) = (self.handle.clone(), Arc::clone(broker), faults.clone());
        MetricsPage::new(move || {
            sample(&broker, &faults);
            handle.run_upkeep();
            handle.render()
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the queue holds some thousand messages"
)]
fn sample(broker: &Broker, faults: &Faults) {
    let queue = broker.queue();
    gauge!("hl7_queue_messages").set(queue.messages as f64);
    gauge!("hl7_queue_oldest_seconds").set(queue.oldest.as_secs_f64());
    gauge!("hl7_storing").set(f64::from(u8::from(broker.is_storing())));
    gauge!("hl7_faults_on").set(f64::from(u8::from(faults.is_on())));
    outbox(broker);
    for (fault, times) in faults.done() {
        counter!("hl7_faults_total", "fault" => fault.name()).absolute(times);
    }
}

/// What waits for each destination of the configuration: nothing that a sender wrote is a label.
/// Blocks.
#[expect(
    clippy::cast_precision_loss,
    reason = "a queue holds some hundred thousand messages"
)]
fn outbox(broker: &Broker) {
    let depths = match broker.store().queue_depths() {
        Ok(depths) => depths,
        Err(error) => {
            // The gauges stay as they were.
            tracing::warn!(%error, "the outbox cannot be counted");
            return;
        }
    };
    let now = SystemClock.now();
    for destination in broker.destinations() {
        let found = depths
            .iter()
            .find(|depth| depth.destination == destination.name);
        let depth = found.cloned().unwrap_or_default();
        for (state, messages) in [
            ("queued", depth.queued),
            ("held", depth.held),
            ("refused", depth.refused),
        ] {
            let labels = [
                ("destination", destination.name.clone()),
                ("state", state.into()),
            ];
            gauge!("hl7_outbox_messages", &labels).set(messages as f64);
        }
        let since = depth.oldest_queued_at.map(|at| (now - at).as_seconds_f64());
        let labels = [("destination", destination.name.clone())];
        // A clock that was set back does not make an age negative.
        gauge!("hl7_outbox_oldest_seconds", &labels).set(since.unwrap_or(0.0).max(0.0));
    }
}

fn describe() {
    for (name, text) in [
        (
            "hl7_messages_received_total",
            "Messages taken, by transport.",
        ),
        (
            "hl7_messages_answered_total",
            "Answers to them, by the code in MSA-1.",
        ),
        (
            "hl7_messages_refused_total",
            "Reasons of refusals (AR), by their number in HL7 table 0357; a message can have several.",
        ),
        (
            "hl7_messages_duplicate_total",
            "Messages that were here before and got their first answer again.",
        ),
        (
            "hl7_faults_total",
            "Answers that were made wrong on purpose.",
        ),
        ("mllp_connections_opened_total", "MLLP connections opened."),
        (
            "mllp_connections_closed_total",
            "MLLP connections closed, by reason.",
        ),
        (
            "mllp_connections_refused_total",
            "MLLP connections refused, by reason.",
        ),
        ("mllp_frames_total", "MLLP frames read."),
        ("mllp_frame_bytes_total", "Bytes in MLLP frames read."),
        (
            "mllp_frame_errors_total",
            "Bytes that did not read as a frame, by kind.",
        ),
        ("mllp_junk_bytes_total", "Bytes outside any frame."),
        (
            "hl7_outgoing_tries_total",
            "Tries to deliver a message, by outcome.",
        ),
    ] {
        describe_counter!(name, text);
    }
    for (name, text) in [
        ("hl7_queue_messages", "Messages that wait to be stored."),
        (
            "hl7_queue_oldest_seconds",
            "How long the oldest message without an answer has waited.",
        ),
        (
            "hl7_storing",
            "1 while the last commit succeeded, 0 for instance while the disk is full.",
        ),
        (
            "hl7_outbox_messages",
            "Messages in the outbox that are not sent, by destination and state.",
        ),
        (
            "hl7_outbox_oldest_seconds",
            "How long the oldest message that is queued for a destination has waited.",
        ),
        ("hl7_faults_on", "1 while answers may be wrong on purpose."),
        ("mllp_connections", "MLLP connections that are open."),
    ] {
        describe_gauge!(name, text);
    }
    let seconds = Unit::Seconds;
    describe_histogram!("hl7_commit_batch_messages", "Messages in one commit.");
    describe_histogram!(
        "hl7_commit_seconds",
        seconds,
        "How long a commit takes, fsync included."
    );
    describe_histogram!(
        "hl7_queue_wait_seconds",
        seconds,
        "How long a message waits for its commit."
    );
    describe_histogram!(
        "mllp_answer_seconds",
        seconds,
        "From the last byte of a frame to its answer in the hands of the network."
    );
}
