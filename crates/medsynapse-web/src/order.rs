//! `GET /orders/{accession number}`: an order, its report and its messages.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use medsynapse::map::{Kind, Mapping};
use medsynapse::{AccessionNumber, Attribute, OrderState, PersonName, Report, ReportFormat};
use medsynapse_broker::Clock;
use medsynapse_store::{
    MessageOrder, MessageQuery, MessageSummary, OrderHistory, OrderRecord, Page, ReportRecord,
    Store, StoreError,
};

use medsynapse_worklist::live::Seen;
use serde::Deserialize;

use crate::act;
use crate::address;
use crate::app::{Frame, Shared};
use crate::error_page::{error_page, render, unavailable};
use crate::history::{Happened, happened, picture, stops};
use crate::list::Row;
use crate::orders::state_words;
use crate::reading::read;
use crate::search::{By, Search};
use crate::text::{Piece, show_lines};
use crate::wall::{Wall, grouped, readable};

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    frame: Frame,
    accession_number: String,
    order: Option<OrderView>,
    report: Option<ReportView>,
    rows: Vec<Row>,
    /// How many messages there are beyond those that are shown, and where.
    more: Option<(String, String)>,
    /// Which entries of the log are messages, and have a page.
    messages: Vec<i64>,
    happened: Vec<Happened>,
    picture: String,
    seen: Option<SeenView>,
    said: Option<(&'static str, &'static str)>,
    steps: Vec<(&'static str, &'static str)>,
    patient_address: String,
}

/// When a modality had it on its worklist.
struct SeenView {
    by: String,
    first: Wall,
    last: Wall,
}

struct OrderView {
    state: &'static str,
    tone: &'static str,
    patient: String,
    created: Wall,
    created_by: i64,
    updated: Wall,
    updated_by: i64,
    attributes: Vec<AttributeView>,
}

struct AttributeView {
    name: &'static str,
    path: String,
    value: String,
}

struct ReportView {
    status: &'static str,
    by: String,
    version: u32,
    updated: Wall,
    message_id: i64,
    rich: bool,
    text: Vec<Piece>,
}

struct Found {
    order: Option<OrderRecord>,
    report: Option<ReportRecord>,
    messages: Page<MessageSummary>,
    history: OrderHistory,
}

pub(crate) async fn order(
    State(shared): State<Arc<Shared>>,
    accession: Result<Path<String>, PathRejection>,
    after: Result<Query<After>, QueryRejection>,
) -> Response {
    let text = "Neither an order nor a message has this accession number.";
    let not_found = || error_page(&shared, StatusCode::NOT_FOUND, "No such order", text);
    let accession = accession
        .ok()
        .and_then(|Path(text)| AccessionNumber::try_from(&*text).ok());
    let Some(accession) = accession else {
        return not_found();
    };
    let (asked, rows) = (accession.clone(), shared.app.limits.page_rows);
    match read(shared.app.broker.store(), move |store| {
        find(store, &asked, rows)
    })
    .await
    {
        None => unavailable(&shared),
        Some(found) if found.order.is_none() && found.messages.total == 0 => not_found(),
        Some(found) => {
            let clock = shared.app.clock.as_ref();
            let mapping = shared.app.broker.profile().mapping;
            let live = shared.app.modalities.as_ref().map(|served| &served.live);
            let seen = live.and_then(|live| live.seen(accession.as_str()));
            let seen = seen.as_ref();
            let mut page = page(
                Frame::of(&shared.app),
                &accession,
                found,
                mapping,
                clock,
                seen,
            );
            page.said = after
                .ok()
                .and_then(|Query(after)| act::said(&after.outcome));
            render(&page)
        }
    }
}

fn find(store: &dyn Store, asked: &AccessionNumber, rows: u32) -> Result<Found, StoreError> {
    let query = MessageQuery {
        accession_number: Some(asked.as_str().to_owned()),
        order: MessageOrder::NewestFirst,
        limit: rows,
        ..MessageQuery::default()
    };
    Ok(Found {
        order: store.order(asked)?,
        report: store.report(asked)?,
        messages: store.messages(&query)?,
        history: store.order_history(asked)?.unwrap_or_default(),
    })
}

fn page(
    frame: Frame,
    accession: &AccessionNumber,
    found: Found,
    mapping: Mapping,
    clock: &dyn Clock,
    seen: Option<&Seen>,
) -> OrderPage {
    let shown = u64::try_from(found.messages.items.len()).unwrap_or_default();
    let more = found.messages.total.saturating_sub(shown);
    let all = Search {
        text: format!("{}{accession}", By::Accession.prefix()),
        page: 1,
        ..Search::default()
    };
    let steps = found
        .order
        .as_ref()
        .map_or(&[][..], |record| steps(record.order.state));
    let steps = steps.to_vec();
    let patient = found
        .order
        .as_ref()
        .and_then(|record| record.order.attributes.get(Attribute::PatientId));
    let patient_address = patient.map(address::patient).unwrap_or_default();
    OrderPage {
        frame,
        accession_number: accession.as_str().to_owned(),
        order: found
            .order
            .map(|record| order_view(&record, mapping, clock)),
        report: found.report.map(|record| report_view(record, clock)),
        rows: found
            .messages
            .items
            .into_iter()
            .map(|message| Row::of(message, clock))
            .collect(),
        more: (more > 0).then(|| (grouped(more), all.address())),
        messages: found
            .history
            .messages
            .iter()
            .map(|message| message.id)
            .collect(),
        happened: happened(&found.history, clock),
        picture: picture(
            &stops(&found.history, seen.map(|seen| seen.first_at)),
            clock,
        ),
        seen: seen.map(|seen| SeenView {
            by: seen.by.clone(),
            first: Wall::of(seen.first_at, clock),
            last: Wall::of(seen.last_at, clock),
        }),
        said: None,
        steps,
        patient_address,
    }
}

/// The steps that a person can take an order to from a state.
const fn steps(state: OrderState) -> &'static [(&'static str, &'static str)] {
    match state {
        OrderState::Scheduled => &[
            ("arrived", "Patient arrived"),
            ("started", "Start"),
            ("completed", "Complete"),
        ],
        OrderState::Arrived => &[
            ("ready", "Patient ready"),
            ("started", "Start"),
            ("completed", "Complete"),
        ],
        OrderState::Ready => &[("started", "Start"), ("completed", "Complete")],
        OrderState::Started => &[("completed", "Complete"), ("discontinued", "Discontinue")],
        OrderState::Discontinued => &[("rescheduled", "Schedule again")],
        OrderState::Completed => &[("read", "Report read"), ("printed", "Report printed")],
    }
}

/// What became of an action before this page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct After {
    #[serde(default)]
    outcome: String,
}

fn order_view(record: &OrderRecord, mapping: Mapping, clock: &dyn Clock) -> OrderView {
    let order = &record.order;
    let (state, tone) = state_words(order.state);
    let attributes = order
        .attributes
        .iter()
        .map(|(attribute, value)| AttributeView {
            name: attribute.row().name,
            path: attribute.row().place(mapping).to_string(),
            value: match attribute.row().kind {
                Kind::Name => PersonName::from_xpn(value).to_string(),
                Kind::Date | Kind::DateTime => readable(value),
                _ => value.to_owned(),
            },
        });
    OrderView {
        state,
        tone,
        patient: order
            .patient_name()
            .as_ref()
            .map(PersonName::to_string)
            .unwrap_or_default(),
        created: Wall::of(record.created_at, clock),
        created_by: record.created_by,
        updated: Wall::of(record.updated_at, clock),
        updated_by: record.updated_by,
        attributes: attributes.collect(),
    }
}

fn report_view(record: ReportRecord, clock: &dyn Clock) -> ReportView {
    let Report {
        status,
        physician_id,
        physician_name,
        format,
        text,
        ..
    } = record.report;
    let by = [physician_name, physician_id].into_iter().flatten();
    let mut pieces = Vec::new();
    show_lines(&text, &mut pieces);
    ReportView {
        status: match status.as_deref() {
            Some("I") => "Study completed",
            Some("R") => "Read",
            Some("F") => "Final",
            Some("P") => "Printed",
            _ => "Report",
        },
        by: by
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" · "),
        version: record.version,
        updated: Wall::of(record.updated_at, clock),
        message_id: record.message_id,
        rich: format == ReportFormat::RichText,
        text: pieces,
    }
}
