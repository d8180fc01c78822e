//! `POST /api/orders`: an order as JSON becomes an ORM^O01 and goes to the broker by MLLP.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::rejection::QueryRejection};
use hl7_message::Message;
use medsynapse::domain::{self, Context, Dates, Form, from_message, to_message};
use medsynapse::render::Envelope;
use medsynapse::{AccessionNumber, Attributes, Order, PatientId};
use medsynapse_store::{Store, StoreError};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::OnWhom;
use crate::app::App;
use crate::body::{Limit, json_body};
use crate::problem::{HL7_ACK_CODE, Problem};
use crate::problem_code::ProblemCode;
use crate::reading::read;

/// How an answer is shown.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Shown {
    /// `1`: `_map` says where each value came from, and which were made up.
    explain: Option<String>,
    /// `iso`: dates as RFC 3339.
    dates: Option<String>,
}

impl Shown {
    pub(crate) fn dates(dates: Option<String>) -> Self {
        Self {
            explain: None,
            dates,
        }
    }

    pub(crate) fn options(&self, app: &App) -> Result<domain::Options, Problem> {
        let explain = match self.explain.as_deref() {
            None | Some("" | "0" | "false") => false,
            Some("1" | "true") => true,
            Some(_) => return Err(Problem::parameter("Invalid explain: give 1 or 0")),
        };
        let dates = match self.dates.as_deref() {
            None | Some("hl7") => Dates::Hl7,
            Some("iso") => Dates::Iso,
            Some(_) => return Err(Problem::parameter("Invalid dates: give hl7 or iso")),
        };
        let offset = app.clock.offset(app.clock.now()).local_minus_utc() / 60;
        Ok(domain::Options {
            dates,
            explain,
            utc_offset_minutes: i16::try_from(offset).unwrap_or_default(),
            default_charset: app.broker.profile().default_charset,
            ..domain::Options::default()
        })
    }
}

/// What the broker knows of those whom a request names.
pub(crate) struct Known {
    patient: Option<Attributes>,
    order: Option<Order>,
    new_number: AccessionNumber,
}

impl Known {
    pub(crate) async fn of(app: &App, request: Option<&domain::Request>) -> Result<Self, Problem> {
        let patient = request
            .and_then(domain::Request::patient_id)
            .and_then(|id| PatientId::try_from(id).ok());
        let accession = request
            .and_then(domain::Request::accession_number)
            .and_then(|number| AccessionNumber::try_from(number).ok());
        let (gateway, now) = (app.gateway.clone(), app.clock.now());
        let looking = move |store: &dyn Store| {
            let orders = patient.map_or(Ok(Vec::new()), |patient| store.orders_of(&patient))?;
            let latest = orders.into_iter().max_by_key(|record| record.updated_at);
            let order = accession.map_or(Ok(None), |number| store.order(&number))?;
            Ok::<_, StoreError>(Self {
                patient: latest.map(|record| record.order.attributes),
                order: order.map(|record| record.order),
                new_number: gateway.accession_number(store, now)?,
            })
        };
        read(app.broker.store(), looking).await
    }

    /// Calls `make` with everything that a message needs.
    pub(crate) fn within<T>(&self, app: &App, make: impl FnOnce(&Context<'_>) -> T) -> T {
        let settings = &app.gateway.settings;
        let control_id = app.gateway.control_id();
        let context = Context {
            new_accession_number: Some(&self.new_number),
            stations: Some(&settings.stations),
            patient: self.patient.as_ref(),
            order: self.order.as_ref(),
            ..Context::new(Envelope {
                sending_application: &settings.sending_application,
                sending_facility: &settings.sending_facility,
                receiving_application: &settings.receiving_application,
                receiving_facility: &settings.receiving_facility,
                time: app.clock.timestamp(app.clock.now()),
                control_id: &control_id,
            })
        };
        make(&context)
    }
}

/// A message as it is shown in an answer.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An order that was taken.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what is written as JSON")]
pub(crate) struct Ordered {
    /// The order as it was sent, with what was filled in.
    #[schema(value_type = Object)]
    order: Value,
    /// The ORM^O01 that was sent.
    message: String,
    /// What the broker answered: `code`, `controlId`, `text`.
    #[schema(value_type = Object)]
    ack: Value,
}

/// Makes an ORM^O01 of an order and sends it to the broker by MLLP.
///
/// Takes `{"order": {…}}` or the short form `{"patientId", "study", "priority"}`.
#[utoipa::path(post, path = "/api/orders", tag = "orders", security(("apiKey" = ["send"])),
    params(Shown), request_body(content = Value, content_type = "application/json"),
    responses((status = 201, description = "The broker took the order", body = Ordered)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    shown: Result<Query<Shown>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(shown) = shown.map_err(|_| Problem::parameter("Give explain and dates once"))?;
    let options = shown.options(&app)?;
    let body = json_body(request, &app, Limit::Document).await?;
    let request = domain::Request::from_slice(&body).map_err(Problem::from)?;
    if request.form() != Form::Order {
        let text = "Send an order here: {\"order\": {…}} or the short form";
        return Err(Problem::new(ProblemCode::NotAnOrder, text));
    }
    send_order(&app, &request, &options, StatusCode::CREATED).await
}

/// Sends what a request asks for; gives what to show and MSA-1 of the answer.
pub(crate) async fn ordered(
    app: &App,
    request: &domain::Request,
    options: &domain::Options,
) -> Result<(Value, String), Problem> {
    let known = Known::of(app, Some(request)).await?;
    let (bytes, explain) = known.within(app, |context| to_message(request, context))?;
    let answer = app.gateway.exchange(&bytes).await?;
    answer.accepted()?;
    let message = Message::parse(&bytes).ok();
    let shown = message.and_then(|message| from_message(&message, options).ok());
    let order = shown.and_then(|mut shown| Some(shown.get_mut("order")?.take()));
    let mut body = json!({
        "order": order.unwrap_or_default(),
        "message": text(&bytes),
        "ack": answer.to_json(),
    });
    if let Some(body) = body.as_object_mut() {
        if options.explain {
            body.insert("_map".into(), explain.to_map().into());
        }
        let warnings: Vec<_> = request
            .warnings()
            .iter()
            .chain(&explain.warnings)
            .cloned()
            .collect();
        if !warnings.is_empty() {
            let list = domain::warnings_json(&warnings, options.warnings_max);
            body.insert("warnings".into(), list);
        }
    }
    Ok((body, answer.code))
}

/// Sends what a request asks for and answers with what came of it.
pub(crate) async fn send_order(
    app: &App,
    request: &domain::Request,
    options: &domain::Options,
    status: StatusCode,
) -> Result<Response, Problem> {
    let (body, code) = ordered(app, request, options).await?;
    let accession = body
        .pointer("/order/accessionNumber")
        .and_then(Value::as_str);
    let accession = utf8_percent_encode(accession.unwrap_or_default(), NON_ALPHANUMERIC);
    let location = HeaderValue::try_from(format!("/api/v1/orders/{accession}")).ok();
    let whom = request
        .patient_id()
        .map(|id| Extension(OnWhom(id.to_owned())));
    let mut response = (status, whom, Json(body)).into_response();
    let headers = response.headers_mut();
    if let Some(location) = location.filter(|_| status == StatusCode::CREATED) {
        headers.insert(LOCATION, location);
    }
    if let Ok(code) = HeaderValue::try_from(code) {
        headers.insert(HL7_ACK_CODE, code);
    }
    Ok(response)
}
