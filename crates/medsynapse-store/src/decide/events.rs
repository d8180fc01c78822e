//! What an entry of the log has to tell: what is told live and what is read again later come from
//! these functions.

use crate::event::{EventKind, OrderChange, ReportChange};
use crate::work::DeliveryOutcome;

/// What a message that came in has to tell. `effect` is the name of what became of it.
pub(crate) fn of_message(
    message_id: i64,
    effect: &str,
    accession_number: Option<&str>,
) -> Vec<EventKind> {
    let order = |change| EventKind::Order {
        change,
        accession_number: accession_number.unwrap_or_default().into(),
        entry_id: message_id,
    };
    let second = match effect {
        "order-registered" => Some(order(OrderChange::Created)),
        "order-updated" => Some(order(OrderChange::Updated)),
        "order-cancelled" => Some(order(OrderChange::Cancelled)),
        "order-completed" => Some(order(OrderChange::Completed)),
        "report-registered" | "report-updated" => Some(EventKind::Report {
            change: ReportChange::Stored,
            accession_number: accession_number.unwrap_or_default().into(),
            entry_id: message_id,
        }),
        "patient-updated" => Some(EventKind::PatientUpdated { message_id }),
        "patient-merged" => Some(EventKind::PatientMerged { message_id }),
        _ => None,
    };
    let first = EventKind::MessageReceived { message_id };
    std::iter::once(first).chain(second).collect()
}

/// What a try has to tell.
pub(crate) fn of_delivery(
    message_id: i64,
    outcome: DeliveryOutcome,
    accession_number: &str,
) -> Vec<EventKind> {
    let change = match outcome {
        DeliveryOutcome::Accepted => ReportChange::Delivered,
        DeliveryOutcome::Refused => ReportChange::Refused,
        DeliveryOutcome::Failed => return Vec::new(),
    };
    vec![
        EventKind::MessageSent { message_id },
        EventKind::Report {
            change,
            accession_number: accession_number.into(),
            entry_id: message_id,
        },
    ]
}

/// An event of an action, from what is kept of it.
pub(crate) fn of_action(
    name: &str,
    accession_number: Option<&str>,
    entry_id: i64,
) -> Option<EventKind> {
    let accession_number = || accession_number.unwrap_or_default().to_owned();
    let order = |change| EventKind::Order {
        change,
        accession_number: accession_number(),
        entry_id,
    };
    let report = |change| EventKind::Report {
        change,
        accession_number: accession_number(),
        entry_id,
    };
    let all = [
        EventKind::ProcedureStarted { entry_id },
        EventKind::ProcedureCompleted { entry_id },
        order(OrderChange::Updated),
        order(OrderChange::Completed),
        order(OrderChange::Started),
        order(OrderChange::Discontinued),
        order(OrderChange::StudyArriving),
        order(OrderChange::StudyArrived),
        report(ReportChange::Stored),
        report(ReportChange::Read),
        report(ReportChange::Final),
        report(ReportChange::Printed),
    ];
    all.into_iter().find(|kind| kind.name() == name)
}
