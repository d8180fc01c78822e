//! `GET /patients`: who the broker knows, by patient id.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use medsynapse::PersonName;
use medsynapse_broker::Clock;
use medsynapse_store::{PatientQuery, PatientRecord};
use serde::Deserialize;

use crate::address::{self, Address};
use crate::app::{Frame, Shared};
use crate::error_page::{render, unavailable};
use crate::reading::read;
use crate::wall::{Wall, readable};

/// Longer text names nobody.
const TEXT_MAX: usize = 64;

#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    merged: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "patients.html")]
struct PatientsPage {
    frame: Frame,
    asked: Asked,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    id: String,
    address: String,
    name: String,
    sex: String,
    birth_date: String,
    orders: String,
    /// Where the id went, and the address of that patient.
    merged_into: Option<(String, String)>,
    updated: Wall,
}

impl Row {
    fn of(record: PatientRecord, clock: &dyn Clock) -> Self {
        let name = record.name.as_deref().map(PersonName::from_xpn);
        Self {
            address: address::patient(&record.patient_id),
            name: name.map(|name| name.to_string()).unwrap_or_default(),
            sex: record.sex.unwrap_or_default(),
            birth_date: readable(&record.birth_date.unwrap_or_default()),
            orders: record.orders.to_string(),
            merged_into: record
                .merged_into
                .map(|id| (id.clone(), address::patient(&id))),
            updated: Wall::of(record.updated_at, clock),
            id: record.patient_id,
        }
    }
}

impl Asked {
    fn cleaned(self) -> Self {
        let short = |text: &str| text.trim().chars().take(TEXT_MAX).collect();
        Self {
            q: short(&self.q),
            merged: if self.merged == "shown" {
                self.merged
            } else {
                String::new()
            },
            after: short(&self.after),
        }
    }
}

pub(crate) async fn patients(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked
        .map(|Query(asked)| asked)
        .unwrap_or_default()
        .cleaned();
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let query = PatientQuery {
        text: given(&asked.q),
        with_merged: !asked.merged.is_empty(),
        cursor: given(&asked.after),
        limit: shared.app.limits.page_rows,
    };
    let found = read(shared.app.broker.store(), move |store| {
        store.patients(&query)
    });
    let Some(found) = found.await else {
        return unavailable(&shared);
    };
    let clock = shared.app.clock.as_ref();
    let older = found.next.map(|after| {
        Address::to("/patients")
            .with("q", &asked.q)
            .with("merged", &asked.merged)
            .with("after", &after)
            .done()
    });
    render(&PatientsPage {
        frame: Frame::of(&shared.app),
        rows: found
            .items
            .into_iter()
            .map(|record| Row::of(record, clock))
            .collect(),
        asked,
        older,
    })
}
