//! `/api/v1/reports`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use medsynapse_store::StoreError;
use serde_json::Value;

use super::orders::Filter;
use super::{TWICE, list};
use crate::app::App;
use crate::order;
use crate::problem::Problem;
use crate::reading::read;

/// The reports of the orders that a filter names. A page may have fewer than asked for, and yet
/// more to come: not every order has a report.
#[utoipa::path(get, path = "/api/v1/reports", tag = "orders", security(("apiKey" = ["read"])),
    params(Filter), responses((status = 200, body = Value)))]
pub(crate) async fn reports(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|_| Problem::parameter(TWICE))?;
    filter.options(&app)?;
    let query = filter.query(&app)?;
    let found = read(app.broker.store(), move |store| {
        let orders = store.orders(&query)?;
        let report = |record: &medsynapse_store::OrderRecord| {
            store.report(&record.order.accession_number).transpose()
        };
        let reports = orders
            .items
            .iter()
            .filter_map(report)
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok((reports, orders.next))
    });
    let (reports, next) = found.await?;
    Ok(Json(list(
        reports.iter().map(order::report).collect(),
        next,
    )))
}
