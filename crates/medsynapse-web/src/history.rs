//! What happened to an order, one line each, and its life as a picture.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use medsynapse_broker::Clock;
use medsynapse_store::{Direction, OrderHistory, OutboxState};

use crate::wall::Wall;
use crate::words;

/// One thing that happened.
pub(crate) struct Happened {
    pub(crate) at: Wall,
    pub(crate) what: String,
    pub(crate) detail: String,
    /// Names the colour and the icon.
    pub(crate) tone: &'static str,
    pub(crate) address: Option<String>,
}

/// A moment of an order's life in the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) name: &'static str,
    pub(crate) at: Option<DateTime<Utc>>,
}

/// Everything, oldest first, with the fields that changed in their columns' names.
pub(crate) fn happened(history: &OrderHistory, clock: &dyn Clock) -> Vec<Happened> {
    let mut all: Vec<(i64, u8, Happened)> = Vec::new();
    for message in &history.messages {
        let words = words::of(
            &message.message_code,
            &message.trigger_event,
            &message.ack_text,
        );
        let out = message.direction == Direction::Out;
        let what = if out {
            format!("{} to the RIS", words.words)
        } else {
            format!("{} came in", words.words)
        };
        let tone = match message.ack_code.as_str() {
            "AA" | "CA" => "ok",
            "" => "",
            "AE" => "warn",
            _ => "bad",
        };
        all.push((
            message.id,
            0,
            Happened {
                at: Wall::of(message.received_at, clock),
                what,
                detail: format!("{} {}", message.ack_code, message.ack_text)
                    .trim()
                    .to_owned(),
                tone,
                address: Some(format!("/messages/{}", message.id)),
            },
        ));
    }
    for action in &history.actions {
        all.push((
            action.entry_id,
            0,
            Happened {
                at: Wall::of(action.at, clock),
                what: format!("{} by {}", action.kind, action.actor),
                detail: action.outcome.clone(),
                tone: if action.outcome == "done" { "ok" } else { "" },
                address: None,
            },
        ));
    }
    for change in &history.changes {
        let fields: Vec<_> = change
            .fields
            .iter()
            .map(|field| field.0.replace('_', " "))
            .collect();
        all.push((
            change.entry_id,
            1,
            Happened {
                at: Wall::of(change.at, clock),
                what: "Changed".into(),
                detail: fields.join(", "),
                tone: "",
                address: Some(format!("/messages/{}", change.entry_id))
                    .filter(|_| history.messages.iter().any(|m| m.id == change.entry_id)),
            },
        ));
    }
    all.sort_by_key(|(entry, place, _)| (*entry, *place));
    all.into_iter().map(|(_, _, happened)| happened).collect()
}

/// Ordered, seen by a modality, performed, reported, delivered: what is known of each.
pub(crate) fn stops(history: &OrderHistory, seen: Option<DateTime<Utc>>) -> Vec<Stop> {
    let done = |kinds: &[&str]| {
        let mut actions = history
            .actions
            .iter()
            .filter(|action| kinds.contains(&action.kind.as_str()) && action.outcome == "done");
        actions.next().map(|action| action.at)
    };
    let ordered = history
        .order
        .as_ref()
        .map(|order| order.created_at)
        .or(history.cancelled.as_ref().map(|order| order.created_at));
    let completed = done(&["completed", "study-arrived", "procedure-completed"]).or_else(|| {
        let told = history
            .messages
            .iter()
            .find(|message| message.ack_text == "Order completed.");
        told.map(|message| message.received_at)
    });
    let delivered = history
        .outbox
        .iter()
        .filter(|item| item.state == OutboxState::Sent)
        .filter_map(|item| item.settled_at)
        .max();
    let mut stops = vec![
        Stop {
            name: "ordered",
            at: ordered,
        },
        Stop {
            name: "seen",
            at: seen,
        },
        Stop {
            name: "started",
            at: done(&["started", "procedure-started"]),
        },
        Stop {
            name: "performed",
            at: completed,
        },
        Stop {
            name: "reported",
            at: history.reports.first().map(|report| report.updated_at),
        },
        Stop {
            name: "delivered",
            at: delivered,
        },
    ];
    if let Some(cancelled) = &history.cancelled {
        stops.push(Stop {
            name: "cancelled",
            at: Some(cancelled.cancelled_at),
        });
    }
    stops
}

/// The stops as SVG: filled where reached. Holds no text of a message.
pub(crate) fn picture(stops: &[Stop], clock: &dyn Clock) -> String {
    const STEP: usize = 150;
    const LEFT: usize = 60;
    let width = LEFT * 2 + STEP * stops.len().saturating_sub(1);
    let mut said = Vec::new();
    let mut marks = String::new();
    // What came before the last stop is behind, also what nobody told.
    let last = stops.iter().rposition(|stop| stop.at.is_some());
    for (place, stop) in stops.iter().enumerate() {
        let x = LEFT + STEP * place;
        let class = if stop.at.is_some() {
            "reached"
        } else {
            "ahead"
        };
        if place > 0 {
            let from = x - STEP + 9;
            let to = x - 9;
            let way = if Some(place) <= last {
                "reached"
            } else {
                "ahead"
            };
            let _ = write!(marks, "<path class=\"{way}\" d=\"M{from} 16H{to}\"/>");
        }
        let time = stop
            .at
            .map(|at| Wall::of(at, clock).time)
            .unwrap_or_default();
        let _ = write!(
            marks,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"16\" r=\"6\"/>\
             <text x=\"{x}\" y=\"40\">{}</text><text class=\"when\" x=\"{x}\" y=\"56\">{time}</text>",
            stop.name
        );
        said.push(match stop.at {
            Some(_) => format!("{} {time}", stop.name),
            None => format!("not {}", stop.name),
        });
    }
    format!(
        "<svg class=\"life\" viewBox=\"0 0 {width} 62\" role=\"img\" aria-label=\"{}\">{marks}</svg>",
        said.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use medsynapse_broker::SystemClock;

    use super::*;

    #[test]
    fn a_life_is_drawn_with_what_was_reached() {
        let at = DateTime::from_timestamp(1_700_000_000, 0);
        let stops = [
            Stop {
                name: "ordered",
                at,
            },
            Stop {
                name: "completed",
                at: None,
            },
        ];
        let picture = picture(&stops, &SystemClock);
        assert!(
            picture.contains("not completed") && picture.contains("ordered "),
            "{picture}"
        );
        assert_eq!(picture.matches("class=\"reached\"").count(), 1);
        assert_eq!(picture.matches("class=\"ahead\"").count(), 2);
    }
}
