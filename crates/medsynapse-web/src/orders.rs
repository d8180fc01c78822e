//! `GET /orders`: the orders, the one registered last first.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use medsynapse::{Attribute, OrderState, PersonName, ReportStatus};
use medsynapse_broker::Clock;
use medsynapse_store::{OrderQuery, OrderRecord, Paging, Slice};
use serde::Deserialize;

use crate::address::{self, Address};
use crate::app::{Frame, Shared};
use crate::error_page::{render, unavailable};
use crate::reading::read;
use crate::wall::{Wall, grouped, readable};

/// Longer text names nothing.
const TEXT_MAX: usize = 64;

#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    modality: String,
    #[serde(default)]
    aet: String,
    #[serde(default)]
    before: String,
}

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage {
    frame: Frame,
    asked: Asked,
    states: Vec<(&'static str, &'static str)>,
    rows: Vec<OrderRow>,
    narrows: bool,
    everything: String,
    first: bool,
    older: Option<String>,
}

/// An order in a list.
pub(crate) struct OrderRow {
    pub(crate) accession_number: String,
    pub(crate) address: String,
    pub(crate) state: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) report: &'static str,
    pub(crate) patient: String,
    pub(crate) patient_id: String,
    pub(crate) patient_address: String,
    pub(crate) description: String,
    pub(crate) modality: String,
    pub(crate) station: String,
    pub(crate) scheduled: String,
    pub(crate) updated: Wall,
}

impl OrderRow {
    pub(crate) fn of(record: &OrderRecord, clock: &dyn Clock) -> Self {
        let order = &record.order;
        let text = |attribute| {
            order
                .attributes
                .get(attribute)
                .unwrap_or_default()
                .to_owned()
        };
        let (state, tone) = state_words(order.state);
        let name = order.patient_name();
        let patient_id = text(Attribute::PatientId);
        Self {
            address: address::order(order.accession_number.as_str()),
            accession_number: order.accession_number.as_str().to_owned(),
            state,
            tone,
            report: report_words(record.report_status),
            patient: name.as_ref().map(PersonName::to_string).unwrap_or_default(),
            patient_address: address::patient(&patient_id),
            patient_id,
            description: text(Attribute::ScheduledProcedureStepDescription),
            modality: text(Attribute::Modality),
            station: text(Attribute::ScheduledStationAeTitle),
            scheduled: readable(&text(Attribute::ScheduledStart)),
            updated: Wall::of(record.updated_at, clock),
        }
    }
}

/// A state in words, and its tone.
pub(crate) const fn state_words(state: OrderState) -> (&'static str, &'static str) {
    match state {
        OrderState::Scheduled => ("Scheduled", "ok"),
        OrderState::Arrived => ("Arrived", "ok"),
        OrderState::Ready => ("Ready", "ok"),
        OrderState::Started => ("Started", "warn"),
        OrderState::Completed => ("Completed", "done"),
        OrderState::Discontinued => ("Discontinued", "bad"),
    }
}

/// How far a report has come, in words.
pub(crate) const fn report_words(status: Option<ReportStatus>) -> &'static str {
    match status {
        None => "",
        Some(ReportStatus::Read) => "Read",
        Some(ReportStatus::Final) => "Final",
        Some(ReportStatus::Printed) => "Printed",
    }
}

impl Asked {
    fn query(&self, limit: u32) -> OrderQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        OrderQuery {
            state: OrderState::from_name(&self.state),
            modality: given(&self.modality),
            station_ae_title: given(&self.aet),
            text: given(&self.q),
            paging: Paging {
                cursor: self.before.parse().ok(),
                limit,
            },
            ..OrderQuery::default()
        }
    }

    fn cleaned(self) -> Self {
        let short = |text: String| text.trim().chars().take(TEXT_MAX).collect();
        Self {
            q: short(self.q),
            state: OrderState::from_name(&self.state)
                .map_or("", OrderState::as_str)
                .to_owned(),
            modality: short(self.modality),
            aet: short(self.aet),
            before: self
                .before
                .parse::<i64>()
                .map_or(String::new(), |id| id.to_string()),
        }
    }

    fn narrows(&self) -> bool {
        [&self.q, &self.state, &self.modality, &self.aet]
            .into_iter()
            .any(|text| !text.is_empty())
    }

    fn address(&self, before: Option<i64>) -> String {
        let before = before.map(|id| id.to_string()).unwrap_or_default();
        Address::to("/orders")
            .with("q", &self.q)
            .with("state", &self.state)
            .with("modality", &self.modality)
            .with("aet", &self.aet)
            .with("before", &before)
            .done()
    }
}

pub(crate) async fn orders(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked
        .map(|Query(asked)| asked)
        .unwrap_or_default()
        .cleaned();
    let query = asked.query(shared.app.limits.page_rows);
    let found = read(shared.app.broker.store(), move |store| {
        Ok((store.orders(&query)?, store.order_count()?))
    });
    let Some((Slice { items, next }, count)) = found.await else {
        return unavailable(&shared);
    };
    let clock = shared.app.clock.as_ref();
    render(&OrdersPage {
        frame: Frame::of(&shared.app),
        states: OrderState::ALL
            .map(|state| (state.as_str(), state_words(state).0))
            .into(),
        rows: items
            .iter()
            .map(|record| OrderRow::of(record, clock))
            .collect(),
        narrows: asked.narrows(),
        everything: grouped(count),
        first: asked.before.is_empty(),
        older: next.map(|id| asked.address(Some(id))),
        asked,
    })
}
