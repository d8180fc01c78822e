//! `POST /api/hl7/query`: questions about patients, orders and reports.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use medsynapse::{AccessionNumber, PatientId};
use medsynapse_store::{OrderRecord, StepQuery, StoreError};
use serde_json::{Map, Value, json};

use crate::access::OnWhom;
use crate::app::App;
use crate::order;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::reading::read;
use crate::receive::{body, object, unsupported_type};

/// No question is longer.
const QUERY_BYTES_MAX: usize = 64 << 10;

/// A question about a patient, an order or a report.
#[utoipa::path(post, path = "/api/hl7/query", tag = "hl7", security(("apiKey" = ["read"])),
    request_body = serde_json::Value,
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn query(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(unsupported_type());
    }
    let body = body(request, &app, QUERY_BYTES_MAX).await?;
    let question = object(&body)?;
    match question.get("queryType").and_then(Value::as_str) {
        Some("patient_studies") => patient_studies(&app, &question).await,
        Some("order") => Ok(one_order(&app, &question).await?.into_response()),
        Some("report") => Ok(one_report(&app, &question).await?.into_response()),
        Some("worklist") => Ok(worklist(&app, &question).await?.into_response()),
        _ => Err(Problem::new(
            ProblemCode::UnsupportedQueryType,
            "Unsupported query type: give patient_studies, order, worklist or report",
        )),
    }
}

async fn patient_studies(app: &App, question: &Map<String, Value>) -> Result<Response, Problem> {
    let patient_id = question
        .get("patientId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let patient = PatientId::try_from(patient_id)
        .map_err(|_| Problem::new(ProblemCode::NoPatientId, "No patient ID provided"))?;
    let studies = read(app.broker.store(), move |store| {
        let orders = store.orders_of(&patient)?;
        let study = |record: &OrderRecord| {
            let report = store.report(&record.order.accession_number)?;
            Ok(order::study(record, report.as_ref()))
        };
        orders
            .iter()
            .map(study)
            .collect::<Result<Vec<_>, StoreError>>()
    });
    let studies = studies.await?;
    let answer = Json(json!({
        "queryType": "patient_studies",
        "patientId": patient_id.trim(),
        "totalCount": studies.len(),
        "studies": studies,
    }));
    Ok((Extension(OnWhom(patient_id.trim().to_owned())), answer).into_response())
}

fn accession_number(question: &Map<String, Value>) -> Result<AccessionNumber, Problem> {
    let text = question
        .get("accessionNumber")
        .and_then(Value::as_str)
        .unwrap_or_default();
    AccessionNumber::try_from(text).map_err(|_| {
        let text = "No accession number provided";
        Problem::new(ProblemCode::NoAccessionNumber, text)
    })
}

async fn one_order(app: &App, question: &Map<String, Value>) -> Result<Json<Value>, Problem> {
    let accession = accession_number(question)?;
    let found = read(app.broker.store(), move |store| {
        Ok(match store.order(&accession)? {
            Some(record) => Some(order::study(&record, store.report(&accession)?.as_ref())),
            None => None,
        })
    });
    let study = found
        .await?
        .ok_or_else(|| Problem::new(ProblemCode::OrderNotFound, "Order not found"))?;
    Ok(Json(json!({ "queryType": "order", "study": study })))
}

async fn one_report(app: &App, question: &Map<String, Value>) -> Result<Json<Value>, Problem> {
    let accession = accession_number(question)?;
    let found = read(app.broker.store(), move |store| store.report(&accession)).await?;
    let record =
        found.ok_or_else(|| Problem::new(ProblemCode::ReportNotFound, "Report not found"))?;
    Ok(Json(
        json!({ "queryType": "report", "report": order::report(&record) }),
    ))
}

/// The orders that are open for a station, the first to come first.
async fn worklist(app: &App, question: &Map<String, Value>) -> Result<Json<Value>, Problem> {
    let text = |name: &str| {
        let text = question.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let query = StepQuery {
        station_ae_titles: text("aet").into_iter().collect(),
        modalities: text("modality").into_iter().collect(),
        scheduled_from: text("from"),
        scheduled_to: text("to"),
        patient_id: text("patientId"),
        accession_number: text("accessionNumber"),
    };
    let digits = |text: &Option<String>| {
        text.as_ref().is_none_or(|text| {
            (4..=14).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    if !digits(&query.scheduled_from) || !digits(&query.scheduled_to) {
        return Err(Problem::parameter(
            "Invalid from or to: give 4 to 14 digits, for instance 20230614",
        ));
    }
    let most = app.limits.page_entries_max as usize;
    let found = read(app.broker.store(), move |store| {
        let mut numbers = Vec::new();
        store.scheduled_steps(&query, &mut |step| {
            numbers.extend(step.accession_number());
            if numbers.len() < most {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        let orders = numbers
            .iter()
            .filter_map(|number| store.order(number).transpose());
        orders.collect::<Result<Vec<_>, StoreError>>()
    });
    let items: Vec<_> = found.await?.iter().map(order::order).collect();
    Ok(Json(
        json!({ "queryType": "worklist", "totalCount": items.len(), "items": items }),
    ))
}
