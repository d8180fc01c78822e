//! The routes with their description, from which the `OpenAPI` document and the scopes come.

use std::sync::Arc;

use axum::http::Method;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Needs, Scope, Table};
use crate::app::App;
use crate::v1::{events, messages, orders, outbox, patients, reports, socket};
use crate::{
    dictionary, health, index, message_log, metrics, new_order, operations, query, receive, tools,
    worklist,
};

const ABOUT: &str = "HL7 v2.3 for applications that speak JSON. Every message that comes in here \
    is received exactly as one that comes in over MLLP.";

/// What answers of every route may hold.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(crate::problem::Body, crate::problem::ProblemAt)))]
struct Base;

/// Every route.
pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    let mut routes = OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(index::index))
        .routes(routes!(receive::receive))
        .routes(routes!(query::query))
        .routes(routes!(new_order::create))
        .routes(routes!(tools::parse))
        .routes(routes!(tools::convert_forms))
        .routes(routes!(tools::validate_message))
        .routes(routes!(tools::generate))
        .routes(routes!(tools::send))
        .routes(routes!(dictionary::of_segment))
        .routes(routes!(dictionary::of_field))
        .routes(routes!(orders::orders))
        .routes(routes!(orders::order, orders::update, orders::cancel))
        .routes(routes!(orders::status))
        .routes(routes!(reports::reports))
        .routes(routes!(patients::patients))
        .routes(routes!(patients::patient))
        .routes(routes!(patients::studies))
        .routes(routes!(messages::messages))
        .routes(routes!(messages::message))
        .routes(routes!(messages::ack))
        .routes(routes!(messages::resend))
        .routes(routes!(outbox::outbox))
        .routes(routes!(outbox::lanes))
        .routes(routes!(outbox::entry))
        .routes(routes!(outbox::command))
        .routes(routes!(events::events))
        .routes(routes!(socket::socket))
        .routes(routes!(operations::connections))
        .routes(routes!(operations::audit))
        .routes(routes!(
            operations::faults,
            operations::set_faults,
            operations::no_faults
        ))
        .routes(routes!(message_log::list))
        .routes(routes!(message_log::one))
        .routes(routes!(message_log::types))
        .routes(routes!(metrics::metrics))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(worklist::steps))
        .routes(routes!(worklist::performed))
        .routes(routes!(worklist::list))
        .routes(routes!(worklist::explain));
    let info = &mut routes.get_openapi_mut().info;
    info.title = "Medsynapse PACS Broker".into();
    info.version = env!("CARGO_PKG_VERSION").into();
    info.description = Some(ABOUT.into());
    info.license = None;
    info.contact = None;
    routes
}

/// The `OpenAPI` 3.1 document of the gateway.
///
/// ```
/// let document = medsynapse_http::openapi();
/// assert_eq!(document["openapi"], "3.1.0");
/// assert!(document["paths"]["/api/hl7"]["post"].is_object());
/// ```
pub fn openapi() -> serde_json::Value {
    // A document of names and texts is always JSON.
    serde_json::to_value(complete(routes().into_openapi())).unwrap_or_default()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds what every route has in common: how it is opened and how it fails.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_default();
    let key = ApiKeyValue::with_description("x-api-key", "hl7-server keys add makes one");
    let bearer = Http::new(HttpAuthScheme::Bearer);
    let scheme = |scheme| SecurityScheme::ApiKey(ApiKey::Header(scheme));
    components
        .security_schemes
        .insert("apiKey".into(), scheme(key).into());
    components
        .security_schemes
        .insert("bearer".into(), SecurityScheme::Http(bearer).into());
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let mut failure = Response::new("What is wrong, for people and for programs");
    failure
        .content
        .insert("application/problem+json".into(), RefOr::T(problem));
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            let responses = &mut operation.responses.responses;
            responses.insert("default".into(), RefOr::T(failure.clone()));
            if let Some(scope) = scope(operation) {
                let bearer = SecurityRequirement::new("bearer", [scope.as_str()]);
                operation.security.get_or_insert_default().push(bearer);
            }
        }
    }
    document
}

/// The scope that a description names.
fn scope(operation: &Operation) -> Option<Scope> {
    let requirement = operation.security.as_ref()?.first()?;
    let value = serde_json::to_value(requirement).ok()?;
    value.get("apiKey")?.get(0)?.as_str()?.parse().ok()
}

/// What each route of the document needs. One that says nothing is open to nobody.
pub(crate) fn needs(document: &OpenApi) -> Table {
    let mut table = Table::new();
    for (path, item) in &document.paths.paths {
        let mut item = item.clone();
        for (method, operation) in operations(&mut item) {
            let needs = match (scope(operation), operation.security.as_deref()) {
                (Some(scope), _) => Needs::Scope(scope),
                (None, Some([])) => Needs::Nothing,
                (None, _) => Needs::Undecided,
            };
            table.insert((method, path.clone()), needs);
        }
    }
    table
}
