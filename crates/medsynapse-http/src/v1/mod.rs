//! `/api/v1`: one file a resource.

pub(crate) mod events;
pub(crate) mod messages;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod patients;
pub(crate) mod reports;
pub(crate) mod socket;

use medsynapse::{AccessionNumber, PatientId};
use medsynapse_store::Paging;
use serde_json::Value;

use crate::app::App;
use crate::operations::part;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;

/// What is said of parameters that are given twice.
pub(crate) const TWICE: &str = "The parameters cannot be read; give each of them once";

/// A cursor and a limit that people gave.
fn paging(app: &App, cursor: Option<&str>, limit: Option<&str>) -> Result<Paging, Problem> {
    let (cursor, limit) = part(cursor, limit, app.limits.page_entries_max)?;
    Ok(Paging { cursor, limit })
}

/// A list and where it goes on.
fn list(items: Vec<Value>, next: Option<impl ToString>) -> Value {
    let next = next.map(|next| next.to_string().into());
    let members = [
        ("items", Value::Array(items)),
        ("next", next.unwrap_or_default()),
    ];
    Value::Object(
        members
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
    )
}

/// Text that was given and is not empty.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn no_order() -> Problem {
    Problem::new(ProblemCode::OrderNotFound, "Order not found")
}

/// The accession number in a path: one that cannot be names no order.
fn accession(text: &str) -> Result<AccessionNumber, Problem> {
    AccessionNumber::try_from(text).map_err(|_| no_order())
}

fn no_patient() -> Problem {
    Problem::new(ProblemCode::PatientNotFound, "Patient not found")
}

/// The patient id in a path.
fn patient_id(text: &str) -> Result<PatientId, Problem> {
    PatientId::try_from(text).map_err(|_| no_patient())
}

/// The number in a path: one that cannot be names no message.
fn number(text: &str) -> Result<i64, Problem> {
    let number = text.parse::<i64>().ok().filter(|number| *number >= 1);
    let wrong = "Invalid message ID";
    number.ok_or_else(|| Problem::new(ProblemCode::InvalidMessageId, wrong))
}

fn no_message() -> Problem {
    Problem::new(ProblemCode::MessageNotFound, "Message not found")
}
