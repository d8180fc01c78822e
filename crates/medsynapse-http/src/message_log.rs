//! The message log: its list, one message of it, and how many there are of each type.

use std::fmt;
use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use medsynapse_broker::{Broker, Clock};
use medsynapse_store::{MessageOrder, MessageQuery, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::app::App;
use crate::message::{Summary, Whole, whole};
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::reading::read;

/// Where the routes of the message log stand.
#[derive(Debug, Clone, Copy)]
pub struct MessageLogPaths {
    /// The list.
    pub list: &'static str,
    /// One message, with `{id}`.
    pub one: &'static str,
    /// How many there are of each type.
    pub types: &'static str,
}

impl MessageLogPaths {
    /// As the web port has them.
    pub const WEB: Self = Self {
        list: "/api/messages",
        one: "/api/messages/{id}",
        types: "/api/message-types",
    };
}

/// The message log over HTTP, without any check of who asks.
#[derive(Clone)]
pub struct MessageLog {
    /// Whose log.
    pub broker: Arc<Broker>,
    /// Tells where the clock on the wall is: MSH-7 carries wall time.
    pub clock: Arc<dyn Clock>,
    /// Most entries on a page.
    pub page_entries_max: u32,
}

impl MessageLog {
    /// Its routes.
    pub fn router(self, paths: MessageLogPaths) -> Router {
        Router::new()
            .route(paths.list, get(list))
            .route(paths.one, get(one))
            .route(paths.types, get(types))
            .with_state(self)
    }
}

impl fmt::Debug for MessageLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageLog")
            .field("page_entries_max", &self.page_entries_max)
            .finish_non_exhaustive()
    }
}

impl FromRef<Arc<App>> for MessageLog {
    fn from_ref(app: &Arc<App>) -> Self {
        Self {
            broker: Arc::clone(&app.broker),
            clock: Arc::clone(&app.clock),
            page_entries_max: app.limits.page_entries_max,
        }
    }
}

/// What is said of parameters that are given twice.
const PARAMETERS: &str = "The parameters cannot be read; give each of page, limit, order, type, \
    accession, patient, controlId and ack once";

/// What messages without a readable MSH-9 are counted and asked for as.
const UNREADABLE: &str = "UNREADABLE";

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Which page, from 1.
    #[param(value_type = Option<u32>, minimum = 1)]
    page: Option<String>,
    /// How many on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `asc` or `desc`.
    order: Option<String>,
    /// MSH-9.1, for instance `ORM`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// OBR-2.1
    accession: Option<String>,
    /// PID-3.1
    patient: Option<String>,
    /// MSH-10
    control_id: Option<String>,
    /// MSA-1 of the answer.
    ack: Option<String>,
}

impl Parameters {
    /// The page and what to ask for it.
    fn read(self, limit_max: u32) -> Result<(u64, MessageQuery), Problem> {
        let page = match self.page.as_deref() {
            None => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|page| *page >= 1)
                .ok_or_else(|| Problem::parameter("Invalid page: give a number from 1"))?,
        };
        let limit = match self.limit.as_deref() {
            None => 10,
            Some(text) => {
                let limit = text
                    .parse()
                    .ok()
                    .filter(|limit| (1..=limit_max).contains(limit));
                let say = || format!("Invalid limit: give a number from 1 to {limit_max}");
                limit.ok_or_else(|| Problem::parameter(say()))?
            }
        };
        let order = match self.order.as_deref() {
            None | Some("asc") => MessageOrder::OldestFirst,
            Some("desc") => MessageOrder::NewestFirst,
            Some(_) => return Err(Problem::parameter("Invalid order: give asc or desc")),
        };
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let query = MessageQuery {
            message_code: given(self.kind).map(|kind| code(&kind)),
            accession_number: given(self.accession),
            patient_id: given(self.patient),
            control_id: given(self.control_id),
            ack_code: given(self.ack),
            order,
            offset: (page - 1_u64).saturating_mul(u64::from(limit)),
            limit,
            ..MessageQuery::default()
        };
        // SQL counts no further.
        if i64::try_from(query.offset).is_err() {
            return Err(Problem::parameter("Invalid page: there are not so many"));
        }
        Ok((page, query))
    }
}

/// The message code that a person means: `orm` and `ORM^O01` are ORM.
pub(crate) fn code(kind: &str) -> String {
    let code = kind
        .split('^')
        .next()
        .unwrap_or(kind)
        .trim()
        .to_ascii_uppercase();
    if code == UNREADABLE {
        String::new()
    } else {
        code
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MessageList)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    total_count: u64,
    total_pages: u64,
    current_page: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_page: Option<u64>,
    messages: Vec<Summary>,
}

/// The message log, page by page.
#[utoipa::path(get, path = "/api/hl7/messages", tag = "hl7", security(("apiKey" = ["read"])),
    params(Parameters), responses((status = 200, body = List)))]
pub(crate) async fn list(
    State(log): State<MessageLog>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<List>, Problem> {
    let Query(parameters) = parameters.map_err(|_| Problem::parameter(PARAMETERS))?;
    let (page, query) = parameters.read(log.page_entries_max)?;
    let limit = u64::from(query.limit);
    let found = read(log.broker.store(), move |store| store.messages(&query)).await?;
    let total_pages = found.total.div_ceil(limit);
    let messages = found.items.into_iter();
    Ok(Json(List {
        total_count: found.total,
        total_pages,
        current_page: page,
        next_page: (page < total_pages).then_some(page + 1),
        prev_page: (page > 1).then(|| (page - 1).min(total_pages.max(1))),
        messages: messages
            .map(|message| Summary::of(message, log.clock.as_ref()))
            .collect(),
    }))
}

/// One message with its acknowledgement, its findings, and its raw form.
#[utoipa::path(get, path = "/api/hl7/messages/{id}", tag = "hl7", security(("apiKey" = ["read"])),
    params(("id" = i64, Path, description = "Its number", minimum = 1)),
    responses((status = 200, body = Whole)))]
pub(crate) async fn one(
    State(log): State<MessageLog>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let number = id.ok().and_then(|Path(id)| id.parse::<i64>().ok());
    let id = number
        .filter(|id| *id >= 1)
        .ok_or_else(|| Problem::new(ProblemCode::InvalidMessageId, "Invalid message ID"))?;
    let clock = Arc::clone(&log.clock);
    let found = read(log.broker.store(), move |store| {
        Ok(store
            .message(id)?
            .map(|message| whole(message, clock.as_ref())))
    });
    let not_found = || Problem::new(ProblemCode::MessageNotFound, "Message not found");
    let json = found.await?.ok_or_else(not_found)?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

/// How many messages there are of each type.
#[utoipa::path(get, path = "/api/hl7/types", tag = "hl7", security(("apiKey" = ["read"])),
    responses((status = 200, body = std::collections::HashMap<String, u64>)))]
pub(crate) async fn types(
    State(log): State<MessageLog>,
) -> Result<Json<Map<String, Value>>, Problem> {
    let types = read(log.broker.store(), Store::message_types).await?;
    Ok(Json(
        types
            .into_iter()
            .map(|(name, count)| {
                let name = if name.is_empty() {
                    UNREADABLE.to_owned()
                } else {
                    name
                };
                (name, count.into())
            })
            .collect(),
    ))
}
