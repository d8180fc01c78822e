//! `GET /patients/{id}`: a patient, their orders, and what changed.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use medsynapse::{PatientId, PersonName};
use medsynapse_broker::Clock;
use medsynapse_store::{ChangeRecord, OrderRecord, PatientHistory};

use crate::address;
use crate::app::{Frame, Shared};
use crate::effect;
use crate::error_page::{error_page, render, unavailable};
use crate::orders::OrderRow;
use crate::reading::read;
use crate::search::{By, Search};
use crate::wall::{Wall, readable};

/// Most orders and changes that are shown.
const SHOWN_MAX: usize = 200;

#[derive(Template)]
#[template(path = "patient.html")]
struct PatientPage {
    frame: Frame,
    patient_id: String,
    name: String,
    facts: Vec<(&'static str, String)>,
    merged_into: Option<(String, String)>,
    merged: Vec<(String, String)>,
    rows: Vec<OrderRow>,
    changes: Vec<Changed>,
    messages: String,
}

struct Changed {
    at: Wall,
    fields: Vec<(String, String, String)>,
    merged_into: String,
    accession_number: String,
}

pub(crate) async fn patient(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let text = "The broker knows no patient with this id.";
    let not_found = || error_page(&shared, StatusCode::NOT_FOUND, "No such patient", text);
    let Some(id) = id
        .ok()
        .and_then(|Path(text)| PatientId::try_from(&*text).ok())
    else {
        return not_found();
    };
    let found = read(shared.app.broker.store(), move |store| {
        Ok((store.patient(&id)?, store.orders_of(&id)?))
    });
    match found.await {
        None => unavailable(&shared),
        Some((None, _)) => not_found(),
        Some((Some(history), orders)) => {
            let clock = shared.app.clock.as_ref();
            render(&page(Frame::of(&shared.app), history, &orders, clock))
        }
    }
}

fn page(
    frame: Frame,
    history: PatientHistory,
    orders: &[OrderRecord],
    clock: &dyn Clock,
) -> PatientPage {
    let patient = history.patient;
    let linked = |id: &str| (id.to_owned(), address::patient(id));
    let facts = [
        ("Patient ID", patient.patient_id.clone()),
        ("Sex", patient.sex.unwrap_or_default()),
        (
            "Birth date",
            readable(&patient.birth_date.unwrap_or_default()),
        ),
        ("Orders", patient.orders.to_string()),
        ("Last changed", Wall::of(patient.updated_at, clock).full),
    ];
    let messages = Search {
        text: format!("{}{}", By::Patient.prefix(), patient.patient_id),
        page: 1,
        ..Search::default()
    };
    PatientPage {
        frame,
        name: patient
            .name
            .as_deref()
            .map(|name| PersonName::from_xpn(name).to_string())
            .unwrap_or_default(),
        facts: facts
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        merged_into: patient.merged_into.as_deref().map(linked),
        merged: history
            .merged
            .iter()
            .map(|id| linked(id.as_str()))
            .collect(),
        rows: orders
            .iter()
            .take(SHOWN_MAX)
            .map(|record| OrderRow::of(record, clock))
            .collect(),
        changes: history
            .changes
            .into_iter()
            .rev()
            .take(SHOWN_MAX)
            .map(|change| changed(change, clock))
            .collect(),
        messages: messages.address(),
        patient_id: patient.patient_id,
    }
}

fn changed(change: ChangeRecord, clock: &dyn Clock) -> Changed {
    Changed {
        at: Wall::of(change.at, clock),
        fields: change.fields.into_iter().map(effect::field).collect(),
        merged_into: change.merged_into.unwrap_or_default(),
        accession_number: change.accession_number.unwrap_or_default(),
    }
}
