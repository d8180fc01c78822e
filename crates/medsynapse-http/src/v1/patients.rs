//! `/api/v1/patients`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use medsynapse::PersonName;
use medsynapse_store::{ChangeRecord, OrderRecord, PatientQuery, PatientRecord, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{TWICE, given, list, no_patient, patient_id};
use crate::app::App;
use crate::moment::rfc3339;
use crate::operations::part;
use crate::order;
use crate::problem::Problem;
use crate::reading::read;

/// Which patients to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Stands in the id or the name.
    q: Option<String>,
    /// `1`: also those whose id went to another.
    merged: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

fn shown(record: &PatientRecord) -> Value {
    let name = record.name.as_deref().map(PersonName::from_xpn);
    json!({
        "id": record.patient_id,
        "name": name.as_ref().map(order::name),
        "gender": record.sex,
        "dateOfBirth": record.birth_date,
        "mergedInto": record.merged_into,
        "orders": record.orders,
        "updatedAt": rfc3339(record.updated_at),
    })
}

fn change(record: &ChangeRecord) -> Value {
    let fields = record
        .fields
        .iter()
        .map(|field| json!({ "field": field.0, "before": field.1, "after": field.2 }));
    json!({
        "entryId": record.entry_id,
        "at": rfc3339(record.at),
        "accessionNumber": record.accession_number,
        "mergedInto": record.merged_into,
        "fields": fields.collect::<Vec<_>>(),
    })
}

/// The patients, by id.
#[utoipa::path(get, path = "/api/v1/patients", tag = "patients", security(("apiKey" = ["read"])),
    params(Filter), responses((status = 200, body = Value)))]
pub(crate) async fn patients(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|_| Problem::parameter(TWICE))?;
    let (_, limit) = part(None, filter.limit.as_deref(), app.limits.page_entries_max)?;
    let with_merged = match filter.merged.as_deref() {
        None | Some("" | "0") => false,
        Some("1") => true,
        Some(_) => return Err(Problem::parameter("Invalid merged: give 1 or 0")),
    };
    let query = PatientQuery {
        text: given(filter.q),
        with_merged,
        cursor: given(filter.cursor),
        limit,
    };
    let found = read(app.broker.store(), move |store| store.patients(&query)).await?;
    Ok(Json(list(
        found.items.iter().map(shown).collect(),
        found.next,
    )))
}

/// One patient with what changed.
#[utoipa::path(get, path = "/api/v1/patients/{id}", tag = "patients", security(("apiKey" = ["read"])),
    params(("id" = String, Path, description = "PID-3.1")), responses((status = 200, body = Value)))]
pub(crate) async fn patient(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(id) = id.map_err(|_| no_patient())?;
    let id = patient_id(&id)?;
    let found = read(app.broker.store(), move |store| store.patient(&id))
        .await?
        .ok_or_else(no_patient)?;
    let mut json = shown(&found.patient);
    if let Some(json) = json.as_object_mut() {
        json.insert(
            "merged".into(),
            found
                .merged
                .iter()
                .map(|id| Value::from(id.as_str()))
                .collect(),
        );
        json.insert("changes".into(), found.changes.iter().map(change).collect());
    }
    Ok(Json(json))
}

/// A patient's studies: order, schedule, status, report.
#[utoipa::path(get, path = "/api/v1/patients/{id}/studies", tag = "patients",
    security(("apiKey" = ["read"])), params(("id" = String, Path, description = "PID-3.1")),
    responses((status = 200, body = Value)))]
pub(crate) async fn studies(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(id) = id.map_err(|_| no_patient())?;
    let id = patient_id(&id)?;
    let found = read(app.broker.store(), move |store| {
        let orders = store.orders_of(&id)?;
        if orders.is_empty() && store.patient(&id)?.is_none() {
            return Ok(None);
        }
        let study = |record: &OrderRecord| {
            Ok(order::study(
                record,
                store.report(&record.order.accession_number)?.as_ref(),
            ))
        };
        orders
            .iter()
            .map(study)
            .collect::<Result<Vec<_>, StoreError>>()
            .map(Some)
    });
    let items = found.await?.ok_or_else(no_patient)?;
    Ok(Json(list(items, None::<i64>)))
}
