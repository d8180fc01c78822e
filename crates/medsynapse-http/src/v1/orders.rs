//! `/api/v1/orders`

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use medsynapse::domain::{self, Form, order_json};
use medsynapse::{OrderState, ReportFormat, ReportStatus};
use medsynapse_broker::{ActError, Broker};
use medsynapse_store::{
    Acted, ActionKind, ActionOutcome, FinalReport, OrderQuery, OrderRecord, OrderStep,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{TWICE, accession, given, list, no_order, paging};
use crate::access::Caller;
use crate::app::App;
use crate::body::{Limit, json_body};
use crate::moment::rfc3339;
use crate::new_order::{Shown, send_order};
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::reading::read;
use crate::receive::object;

/// Which orders to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// `SCHEDULED`, `ARRIVED`, `READY`, `STARTED`, `COMPLETED`, `DISCONTINUED`
    status: Option<String>,
    /// `READ`, `FINAL`, `PRINTED`
    report_status: Option<String>,
    /// PID-3.1
    patient: Option<String>,
    /// OBR-24.1
    modality: Option<String>,
    /// OBR-21.1
    aet: Option<String>,
    /// Scheduled from here on: the first digits of a moment of HL7.
    from: Option<String>,
    /// Scheduled up to here.
    to: Option<String>,
    /// Stands in the accession number, the patient's id or name, or the description.
    q: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `iso`: dates as RFC 3339.
    dates: Option<String>,
}

/// The first digits of a moment of HL7.
fn digits(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let text = given(text);
    let good =
        |text: &String| (4..=14).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if text.as_ref().is_some_and(|text| !good(text)) {
        return Err(Problem::parameter(format!(
            "Invalid {name}: give 4 to 14 digits, for instance 20230614"
        )));
    }
    Ok(text)
}

impl Filter {
    pub(crate) fn query(self, app: &App) -> Result<OrderQuery, Problem> {
        let state = match given(self.status) {
            None => None,
            Some(name) => {
                let wrong = "Invalid status: give SCHEDULED, ARRIVED, READY, STARTED, COMPLETED or DISCONTINUED";
                let state = OrderState::from_name(&name.to_ascii_uppercase());
                Some(state.ok_or_else(|| Problem::parameter(wrong))?)
            }
        };
        let report_status = match given(self.report_status) {
            None => None,
            Some(name) => {
                let wrong = "Invalid reportStatus: give READ, FINAL or PRINTED";
                let status = ReportStatus::from_name(&name.to_ascii_uppercase());
                Some(status.ok_or_else(|| Problem::parameter(wrong))?)
            }
        };
        Ok(OrderQuery {
            state,
            report_status,
            patient_id: given(self.patient),
            modality: given(self.modality),
            station_ae_title: given(self.aet),
            scheduled_from: digits("from", self.from)?,
            scheduled_to: digits("to", self.to)?,
            text: given(self.q),
            paging: paging(app, self.cursor.as_deref(), self.limit.as_deref())?,
        })
    }

    pub(crate) fn options(&self, app: &App) -> Result<domain::Options, Problem> {
        Shown::dates(self.dates.clone()).options(app)
    }
}

fn shown(record: &OrderRecord, options: &domain::Options) -> Value {
    let (created, updated) = (rfc3339(record.created_at), rfc3339(record.updated_at));
    order_json(&record.order, &created, &updated, options)
}

/// The orders, the one registered last first.
#[utoipa::path(get, path = "/api/v1/orders", tag = "orders", security(("apiKey" = ["read"])),
    params(Filter), responses((status = 200, body = Value)))]
pub(crate) async fn orders(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|_| Problem::parameter(TWICE))?;
    let options = filter.options(&app)?;
    let query = filter.query(&app)?;
    let found = read(app.broker.store(), move |store| store.orders(&query)).await?;
    let items = found
        .items
        .iter()
        .map(|record| shown(record, &options))
        .collect();
    Ok(Json(list(items, found.next)))
}

async fn known(
    app: &App,
    number: Result<Path<String>, PathRejection>,
) -> Result<OrderRecord, Problem> {
    let Path(number) = number.map_err(|_| no_order())?;
    let number = accession(&number)?;
    read(app.broker.store(), move |store| store.order(&number))
        .await?
        .ok_or_else(no_order)
}

/// One order.
#[utoipa::path(get, path = "/api/v1/orders/{accession}", tag = "orders", security(("apiKey" = ["read"])),
    params(Shown, ("accession" = String, Path, description = "Its accession number")),
    responses((status = 200, body = Value)))]
pub(crate) async fn order(
    State(app): State<Arc<App>>,
    number: Result<Path<String>, PathRejection>,
    how: Result<Query<Shown>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(how) = how.map_err(|_| Problem::parameter(TWICE))?;
    let options = how.options(&app)?;
    Ok(Json(shown(&known(&app, number).await?, &options)))
}

/// A request about this order, whatever number it names itself.
fn about(record: &OrderRecord, mut document: Value) -> Result<domain::Request, Problem> {
    let number = record.order.accession_number.as_str();
    let order = document.get_mut("order").and_then(Value::as_object_mut);
    let Some(order) = order else {
        let text = "Send {\"order\": {…}} with the members that change";
        return Err(Problem::new(ProblemCode::NotAnOrder, text));
    };
    match order.get("accessionNumber") {
        None => {
            order.insert("accessionNumber".into(), number.into());
        }
        Some(named) if named == number => {}
        Some(_) => {
            let text = "The accession number in the body is not the one in the path";
            return Err(Problem::new(ProblemCode::OtherAccessionNumber, text));
        }
    }
    Ok(domain::Request::from_value(&document)?)
}

/// Changes an order: what is left out stays, `null` clears.
#[utoipa::path(put, path = "/api/v1/orders/{accession}", tag = "orders", security(("apiKey" = ["write"])),
    params(Shown, ("accession" = String, Path, description = "Its accession number")),
    request_body(content = Value, content_type = "application/json"),
    responses((status = 200, body = Value)))]
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    number: Result<Path<String>, PathRejection>,
    how: Result<Query<Shown>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(how) = how.map_err(|_| Problem::parameter(TWICE))?;
    let options = how.options(&app)?;
    let record = known(&app, number).await?;
    let body = json_body(request, &app, Limit::Document).await?;
    let request = about(&record, Value::Object(object(&body)?))?;
    debug_assert_eq!(request.form(), Form::Order);
    send_order(&app, &request, &options, StatusCode::OK).await
}

/// Cancels an order.
#[utoipa::path(delete, path = "/api/v1/orders/{accession}", tag = "orders", security(("apiKey" = ["write"])),
    params(("accession" = String, Path, description = "Its accession number")),
    responses((status = 200, body = Value)))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    number: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let record = known(&app, number).await?;
    let request = about(&record, json!({ "order": { "orderControl": "CA" } }))?;
    let options = Shown::default().options(&app)?;
    send_order(&app, &request, &options, StatusCode::OK).await
}

/// How an order goes on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Step {
    /// `completed`, `read`, `final`, `printed`; and `arrived`, `ready`, `started`,
    /// `discontinued`, `rescheduled`.
    status: String,
    /// The text that makes a report final.
    report: Option<ReportText>,
}

/// The text of a report.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReportText {
    /// The text.
    content: String,
    /// `TX` or `RTF`; without it `TX`.
    format: Option<String>,
    /// When, as HL7 writes it; without it now.
    date: Option<String>,
    radiologist: Option<Radiologist>,
}

/// Who read the study.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Radiologist {
    id: Option<String>,
    name: Option<String>,
}

impl Step {
    fn read(body: &[u8]) -> Result<OrderStep, Problem> {
        let given = Value::Object(object(body)?);
        let wrong = |text: &'static str| Problem::new(ProblemCode::InvalidStatus, text);
        let step: Self = serde_json::from_value(given).map_err(|_| {
            wrong("Give status, and with final a report of content, format, date and radiologist")
        })?;
        let report = step.report.map(|report| report.read(&wrong)).transpose()?;
        let kind = match (step.status.to_ascii_lowercase().as_str(), report) {
            ("final", report) => return Ok(OrderStep::Final(report)),
            (_, Some(_)) => return Err(wrong("Only final takes a report")),
            ("arrived", None) => OrderStep::Arrived,
            ("ready", None) => OrderStep::Ready,
            ("started", None) => OrderStep::Started,
            ("completed", None) => OrderStep::Completed,
            ("discontinued", None) => OrderStep::Discontinued,
            ("rescheduled", None) => OrderStep::Rescheduled,
            ("read", None) => OrderStep::Read,
            ("printed", None) => OrderStep::Printed,
            _ => {
                return Err(wrong(
                    "Unknown status: give completed, read, final or printed; or arrived, ready, \
                     started, discontinued or rescheduled",
                ));
            }
        };
        Ok(kind)
    }
}

impl ReportText {
    fn read(self, wrong: &impl Fn(&'static str) -> Problem) -> Result<FinalReport, Problem> {
        let format = match self.format.as_deref() {
            None => ReportFormat::Text,
            Some(code) => ReportFormat::from_code(&code.to_ascii_uppercase())
                .ok_or_else(|| wrong("Unknown format of the report: give TX or RTF"))?,
        };
        let date = self.date.unwrap_or_default();
        if !date.is_empty() && date.parse::<hl7_message::Timestamp>().is_err() {
            return Err(wrong("The date of the report is not a moment of HL7"));
        }
        let line_ends = self.content.replace("\r\n", "\n").replace('\r', "\n");
        if line_ends.trim().is_empty() {
            return Err(wrong("The report has no content"));
        }
        if line_ends
            .chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t')
        {
            return Err(wrong("The content of the report holds control characters"));
        }
        let radiologist = self.radiologist.unwrap_or(Radiologist {
            id: None,
            name: None,
        });
        Ok(FinalReport {
            format,
            text: line_ends,
            date,
            physician_id: given(radiologist.id),
            physician_name: given(radiologist.name),
        })
    }
}

/// Does something that is kept as durably as a message.
pub(crate) async fn act(
    broker: &Broker,
    kind: ActionKind,
    caller: &Caller,
) -> Result<Acted, Problem> {
    let acted = broker
        .act(kind, caller.name.clone(), None)
        .await
        .map_err(|error| match error {
            ActError::Store(error) => {
                tracing::error!(%error, "the store does not take an action");
                Problem::unavailable()
            }
            _ => Problem::unavailable(),
        })?;
    let code = match &acted.outcome {
        ActionOutcome::Done | ActionOutcome::Unchanged => return Ok(acted),
        ActionOutcome::UnknownOrder => return Err(no_order()),
        ActionOutcome::UnknownMessage => return Err(super::no_message()),
        ActionOutcome::NotPossible(_) | ActionOutcome::NotInState(_) => ProblemCode::NotPossible,
        ActionOutcome::NoReportText => ProblemCode::NoReportText,
        _ => ProblemCode::NotDone,
    };
    Err(Problem::new(code, acted.outcome.text()))
}

/// Moves an order on; the radiology systems that are configured are told.
#[utoipa::path(post, path = "/api/v1/orders/{accession}/status", tag = "orders",
    security(("apiKey" = ["write"])), request_body = Step,
    params(("accession" = String, Path, description = "Its accession number")),
    responses((status = 200, body = Value)))]
pub(crate) async fn status(
    State(app): State<Arc<App>>,
    number: Result<Path<String>, PathRejection>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let Path(number) = number.map_err(|_| no_order())?;
    let accession_number = accession(&number)?;
    let body = json_body(request, &app, Limit::Document).await?;
    let step = Step::read(&body)?;
    let kind = ActionKind::Order {
        accession_number: accession_number.clone(),
        step,
    };
    let acted = act(&app.broker, kind, &caller).await?;
    let record = read(app.broker.store(), move |store| {
        store.order(&accession_number)
    })
    .await?;
    let options = Shown::default().options(&app)?;
    Ok(Json(json!({
        "outcome": acted.outcome.as_str(),
        "queued": acted.queued,
        "order": record.as_ref().map(|record| shown(record, &options)),
        "reportStatus": record.and_then(|record| record.report_status).map(ReportStatus::as_str),
    })))
}
