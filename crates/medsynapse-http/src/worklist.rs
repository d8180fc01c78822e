//! The worklist: as DICOM JSON (PS3.18 chapter 14), as plain JSON, and why an order is or is not
//! on it. The matching is that of the DICOM service.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, WARNING};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use medsynapse::AccessionNumber;
use medsynapse_worklist::explain::Mismatch;
use medsynapse_worklist::live::Live;
use medsynapse_worklist::scp::procedure_json;
use medsynapse_worklist::{Search, View, camel, dicom_json, plain_json};
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::reading::read;

/// Parameters in their order; some come several times.
type Parameters = Query<Vec<(String, String)>>;

/// Most orders that are explained where none is named.
const EXPLAINED: usize = 50;

fn wrong(text: String) -> Problem {
    Problem::new(ProblemCode::InvalidParameter, text)
}

fn live(live: Option<Extension<Arc<Live>>>) -> Result<Arc<Live>, Problem> {
    let text = "This server keeps no worklist";
    let missing = || Problem::new(ProblemCode::NoWorklist, text);
    live.map(|Extension(live)| live).ok_or_else(missing)
}

/// Everything that a search finds; the caller takes its page.
const ALL: usize = 0;

async fn off<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let asked = tokio::task::spawn_blocking(ask).await;
    asked.unwrap_or_else(|_| Err(Problem::unavailable()))
}

/// The scheduled procedure steps as DICOM JSON.
#[utoipa::path(get, path = "/modality-scheduled-procedure-steps", tag = "worklist",
    security(("apiKey" = ["read"])),
    params(
        ("match" = Option<String>, Query, description = "ATTRIBUTE=VALUE, or the attribute as a \
            parameter of its own, by keyword or tag, with dots into sequences"),
        ("includefield" = Option<String>, Query, description = "What is returned; all without it"),
        ("fuzzymatching" = Option<bool>, Query),
        ("offset" = Option<usize>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = serde_json::Value, content_type = "application/dicom+json"),
        (status = 204)))]
pub(crate) async fn steps(
    worklist: Option<Extension<Arc<Live>>>,
    Query(parameters): Parameters,
) -> Result<Response, Problem> {
    let live = live(worklist)?;
    let pairs = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let search = Search::read(pairs).map_err(|error| wrong(error.to_string()))?;
    let query = search.query().map_err(|error| wrong(error.to_string()))?;
    let (items, more) = off(move || {
        let view = View {
            max_results: ALL,
            ..View::default()
        };
        let found = live
            .find(&query, &view)
            .map_err(|_| Problem::unavailable())?;
        let page = found.items.iter().skip(search.offset).take(search.limit);
        let items: Vec<Value> = page.map(|item| dicom_json(item, &query)).collect();
        Ok((
            items,
            found.total > search.offset.saturating_add(search.limit),
        ))
    })
    .await?;
    if items.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut response = Json(items).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/dicom+json"),
    );
    if more {
        let text = "299 medsynapse \"There are additional results that can be requested\"";
        headers.insert(WARNING, HeaderValue::from_static(text));
    }
    Ok(response)
}

/// A performed procedure step as its modality made and changed it, as DICOM JSON.
#[utoipa::path(get, path = "/modality-performed-procedure-steps/{uid}", tag = "worklist",
    security(("apiKey" = ["read"])),
    params(("uid" = String, Path, description = "Its SOP Instance UID")),
    responses((status = 200, body = serde_json::Value, content_type = "application/dicom+json"),
        (status = 404)))]
pub(crate) async fn performed(
    State(app): State<Arc<App>>,
    uid: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let text = "No performed procedure step has this SOP Instance UID";
    let unknown = || Problem::new(ProblemCode::NoSuchProcedureStep, text);
    let Path(uid) = uid.map_err(|_| unknown())?;
    let found = read(app.broker.store(), move |store| store.procedure(&uid)).await?;
    let found = found.ok_or_else(unknown)?;
    let Some(object) = procedure_json(&found.sop_instance_uid, &found.dataset) else {
        tracing::error!(
            sop_instance_uid = found.sop_instance_uid,
            "a stored procedure step cannot be read"
        );
        return Err(Problem::unavailable());
    };
    let mut response = Json([object]).into_response();
    let media_type = HeaderValue::from_static("application/dicom+json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    Ok(response)
}

/// What `/api/v1/worklist` takes, in the words of DICOM.
fn translated(parameters: &[(String, String)]) -> Vec<(String, String)> {
    let of = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name == wanted);
        found
            .map(|(_, value)| value.replace('-', ""))
            .unwrap_or_default()
    };
    let mut pairs: Vec<(String, String)> = parameters
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "from" | "to" | "accession" | "cursor"))
        .map(|(name, value)| {
            let name = match name.as_str() {
                "aet" => "ScheduledStationAETitle",
                "modality" => "Modality",
                "patientId" => "PatientID",
                "patientName" => "PatientName",
                other => other,
            };
            (name.to_owned(), value.clone())
        })
        .collect();
    let (from, to) = (of("from"), of("to"));
    if !from.is_empty() || !to.is_empty() {
        let name = "ScheduledProcedureStepStartDate".to_owned();
        pairs.push((name, format!("{from}-{to}")));
    }
    pairs
}

fn search(pairs: &[(String, String)]) -> Result<Search, Problem> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Search::read(pairs).map_err(|error| wrong(error.to_string()))
}

/// What a modality would see.
#[utoipa::path(get, path = "/api/v1/worklist", tag = "worklist",
    security(("apiKey" = ["read"])),
    params(("aet" = Option<String>, Query), ("modality" = Option<String>, Query),
        ("patientId" = Option<String>, Query), ("patientName" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "The first day"),
        ("to" = Option<String>, Query, description = "The last day"),
        ("limit" = Option<usize>, Query),
        ("cursor" = Option<usize>, Query, description = "The next of the page before")),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn list(
    worklist: Option<Extension<Arc<Live>>>,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Problem> {
    let live = live(worklist)?;
    let cursor = parameters.iter().find(|(name, _)| name == "cursor");
    let cursor = cursor.map_or(Ok(0), |(_, text)| text.parse::<usize>());
    let cursor = cursor.map_err(|_| wrong("cursor: not one of this list".into()))?;
    let search = search(&translated(&parameters))?;
    let query = search.query().map_err(|error| wrong(error.to_string()))?;
    off(move || {
        let view = View {
            max_results: ALL,
            ..View::default()
        };
        let found = live
            .find(&query, &view)
            .map_err(|_| Problem::unavailable())?;
        let page = found.items.iter().skip(cursor).take(search.limit);
        let items: Vec<Value> = page.map(|item| plain_json(item)).collect();
        let end = cursor + items.len();
        let next = (end < found.total && !items.is_empty()).then(|| end.to_string());
        Ok(Json(json!({ "items": items, "next": next })))
    })
    .await
}

fn reasons(mismatches: &[Mismatch]) -> Vec<Value> {
    mismatches
        .iter()
        .map(|one| {
            let attribute = one.element.map(|element| camel(element.row().keyword));
            json!({ "attribute": attribute, "reason": one.reason })
        })
        .collect()
}

/// Why an order is or is not what a query finds, and where each of its attributes comes from.
#[utoipa::path(get, path = "/api/v1/worklist/explain", tag = "worklist",
    security(("apiKey" = ["read"])),
    params(("accession" = Option<String>, Query, description = "Of one order; else those orders \
            that the query nearly finds"),
        ("aet" = Option<String>, Query), ("modality" = Option<String>, Query),
        ("from" = Option<String>, Query), ("to" = Option<String>, Query)),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn explain(
    worklist: Option<Extension<Arc<Live>>>,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Problem> {
    let live = live(worklist)?;
    let query = search(&translated(&parameters))?.query();
    let query = query.map_err(|error| wrong(error.to_string()))?;
    let named = parameters.iter().find(|(name, _)| name == "accession");
    let Some((_, accession)) = named else {
        return off(move || {
            let missed = live.missed(&query, &View::default(), EXPLAINED);
            let missed = missed.map_err(|_| Problem::unavailable())?;
            let items = missed.iter().map(|(accession_number, why)| {
                json!({ "accessionNumber": accession_number, "reasons": reasons(why) })
            });
            Ok(Json(
                json!({ "items": items.collect::<Vec<_>>(), "next": null }),
            ))
        })
        .await;
    };
    let accession = AccessionNumber::try_from(accession.as_str())
        .map_err(|error| wrong(format!("accession: {error}")))?;
    off(move || {
        let failed = |_| Problem::unavailable();
        let why = live
            .why(&query, &View::default(), &accession)
            .map_err(failed)?;
        let origins = live.origins(&accession).map_err(failed)?;
        let (Some(why), Some(origins)) = (why, origins) else {
            let text = "No order has this accession number";
            return Err(Problem::new(ProblemCode::NoSuchOrder, text));
        };
        let attributes: Vec<Value> = origins
            .iter()
            .map(|origin| {
                let row = origin.element.row();
                json!({
                    "attribute": camel(row.keyword),
                    "tag": row.tag.to_string(),
                    "value": origin.value,
                    "place": origin.place,
                    "rule": origin.rule,
                    "warning": origin.warning,
                })
            })
            .collect();
        Ok(Json(json!({
            "accessionNumber": accession.as_str(),
            "matches": why.is_empty(),
            "reasons": reasons(&why),
            "attributes": attributes,
        })))
    })
    .await
}
