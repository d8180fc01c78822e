//! What is counted on the way into the store. Labels are codes of the standard and names of this
//! crate, never anything that a sender wrote.

use std::time::Duration;

use hl7_message::AckCode;
use medsynapse::Effect;
use medsynapse_store::{Done, StoreError, Transport, Work};
use metrics::{Counter, Histogram, counter, histogram};

/// Handles of the recorder that was installed when the broker started; without one they count
/// nothing.
pub(crate) struct Meters {
    mllp: Counter,
    http: Counter,
    accepted: Counter,
    refused: Counter,
    failed: Counter,
    duplicates: Counter,
    batch: Histogram,
    commit: Histogram,
    wait: Histogram,
}

impl Meters {
    pub(crate) fn new() -> Self {
        let answered =
            |code: AckCode| counter!("hl7_messages_answered_total", "code" => code.as_str());
        Self {
            mllp: counter!("hl7_messages_received_total", "transport" => "mllp"),
            http: counter!("hl7_messages_received_total", "transport" => "http"),
            accepted: answered(AckCode::ApplicationAccept),
            refused: answered(AckCode::ApplicationReject),
            failed: answered(AckCode::ApplicationError),
            duplicates: counter!("hl7_messages_duplicate_total"),
            batch: histogram!("hl7_commit_batch_messages"),
            commit: histogram!("hl7_commit_seconds"),
            wait: histogram!("hl7_queue_wait_seconds"),
        }
    }

    pub(crate) fn received(&self, transport: Transport) {
        match transport {
            Transport::Mllp => self.mllp.increment(1),
            Transport::Http => self.http.increment(1),
        }
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.wait.record(time);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch has at most a few hundred messages"
    )]
    pub(crate) fn committed(&self, messages: usize, time: Duration) {
        self.batch.record(messages as f64);
        self.commit.record(time);
    }

    pub(crate) fn settled(&self, work: &Work, outcome: &Result<Done, StoreError>) {
        let Work::Message(received) = work else {
            return;
        };
        let Ok(Done::Message(applied)) = outcome else {
            self.failed.increment(1);
            return;
        };
        if applied.duplicate {
            self.duplicates.increment(1);
        }
        if applied.code.is_accept() {
            self.accepted.increment(1);
            return;
        }
        self.refused.increment(1);
        if applied.duplicate {
            return;
        }
        match &received.outcome {
            Err(rejection) => {
                let mut codes: Vec<u16> = rejection
                    .findings
                    .iter()
                    .map(|f| f.condition.code())
                    .collect();
                codes.sort_unstable();
                codes.dedup();
                codes.into_iter().for_each(refusal);
            }
            // The store says no for two reasons; see `Effect::condition`.
            Ok(_) if applied.text == Effect::ControlIdReused.text() => refusal(205),
            Ok(_) => refusal(204),
        }
    }
}

/// Counts a reason by its number in table 0357.
fn refusal(code: u16) {
    counter!("hl7_messages_refused_total", "reason" => code.to_string()).increment(1);
}
