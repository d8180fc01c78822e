//! [`LaneView`]: a destination, its queue, and what its lane is doing.

use medsynapse_broker::{LanePhase, LaneStatus};
use medsynapse_store::QueueDepth;

use crate::address::Address;
use crate::app::Shared;
use crate::wall::{Wall, grouped};

/// A destination and its queue.
pub(crate) struct LaneView {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) queued: String,
    pub(crate) since: Option<Wall>,
    pub(crate) held: String,
    pub(crate) refused: String,
    pub(crate) tone: &'static str,
    /// What the lane does, in a word.
    pub(crate) phase: &'static str,
    /// The message that it is about.
    pub(crate) message_id: Option<i64>,
    /// Why it waits.
    pub(crate) why: String,
    /// When it tries again.
    pub(crate) until: Option<Wall>,
    /// Whether somebody should look.
    pub(crate) alarm: bool,
}

/// Every destination that is configured or has messages.
pub(crate) fn lanes(shared: &Shared, depths: Vec<QueueDepth>) -> Vec<LaneView> {
    let mut all = depths;
    for destination in shared.app.broker.destinations() {
        if !all
            .iter()
            .any(|depth| depth.destination == destination.name)
        {
            all.push(QueueDepth {
                destination: destination.name.clone(),
                ..QueueDepth::default()
            });
        }
    }
    let doing = shared.app.lanes.status();
    let lane = |depth: QueueDepth| {
        let status = doing
            .iter()
            .find(|lane| lane.destination == depth.destination);
        LaneView::of(depth, status, shared)
    };
    all.into_iter().map(lane).collect()
}

impl LaneView {
    fn of(depth: QueueDepth, status: Option<&LaneStatus>, shared: &Shared) -> Self {
        let clock = shared.app.clock.as_ref();
        let phase = status.map(|status| status.phase);
        let (message_id, until) = match phase {
            Some(LanePhase::Sending { message_id }) => (Some(message_id), None),
            Some(LanePhase::Waiting { message_id, until }) => (Some(message_id), Some(until)),
            _ => (None, None),
        };
        let failures = status.map_or(0, |status| status.failures);
        let failure = status.and_then(|status| status.last_failure.as_deref());
        let alarm = status.is_some_and(|status| status.alarm);
        Self {
            address: Address::to("/outbox")
                .with("destination", &depth.destination)
                .done(),
            name: depth.destination,
            queued: grouped(depth.queued),
            since: depth.oldest_queued_at.map(|at| Wall::of(at, clock)),
            held: grouped(depth.held),
            refused: grouped(depth.refused),
            tone: match (phase, alarm, depth.refused, depth.queued) {
                (Some(LanePhase::Blocked), ..) | (_, true, ..) | (_, _, 1.., _) => "bad",
                (_, _, 0, 1..) => "warn",
                (_, _, 0, 0) => "ok",
            },
            phase: match phase {
                Some(LanePhase::Idle) if depth.held > 0 => "Idle: what waits is held",
                Some(LanePhase::Idle) => "Idle: nothing waits",
                Some(LanePhase::Sending { .. }) => "Sending",
                Some(LanePhase::Waiting { .. }) => "Waiting to try again",
                Some(LanePhase::Blocked) => "Blocked: the message store does not answer",
                Some(LanePhase::Elsewhere) => "Another server sends",
                Some(LanePhase::Stopped) => "Stopped",
                None => "No lane: this destination is not configured",
            },
            message_id,
            why: match (failure, failures) {
                (None, _) | (_, 0) => String::new(),
                (Some(failure), 1) => format!("the last try failed: {}", words(failure)),
                (Some(failure), n) => {
                    format!(
                        "{} tries failed, the last: {}",
                        grouped(n.into()),
                        words(failure)
                    )
                }
            },
            until: until.map(|at| Wall::of(at, clock)),
            alarm,
        }
    }
}

/// The name of a failure, so that it is not taken for a refusal of the message.
pub(crate) fn words(failure: &str) -> String {
    match failure {
        "refused" => "connection refused".into(),
        other => other.replace('_', " "),
    }
}
