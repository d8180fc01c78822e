//! [`Gateway`]: to whom the gateway itself sends messages, and under which names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hl7_message::{Message, loc};
use hl7_mllp::tls::TlsDialer;
use hl7_mllp::{Client, ClientConfig, ExchangeError};
use medsynapse::AccessionNumber;
use medsynapse::domain::{Station, accession_number, from_message};
use medsynapse_broker::ControlIds;
use medsynapse_store::{Store, StoreError};
use serde_json::Value;

use crate::problem::Problem;
use crate::problem_code::ProblemCode;

/// To whom the gateway itself sends messages, and under which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Where the broker listens, `host:port`.
    pub broker: String,
    /// MSH-3
    pub sending_application: String,
    /// MSH-4
    pub sending_facility: String,
    /// MSH-5
    pub receiving_application: String,
    /// MSH-6
    pub receiving_facility: String,
    /// The stations by modality code, for orders that name none.
    pub stations: BTreeMap<String, Station>,
    /// How long the broker may take to answer.
    pub answer_wait: Duration,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            broker: "127.0.0.1:2575".into(),
            sending_application: "API_GATEWAY".into(),
            sending_facility: "FACILITY".into(),
            receiving_application: "PACS_APP".into(),
            receiving_facility: "PACS_FACILITY".into(),
            stations: BTreeMap::new(),
            answer_wait: Duration::from_secs(30),
        }
    }
}

/// Sends messages to the broker. Clones are the same one.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) settings: Arc<GatewaySettings>,
    tls: Option<TlsDialer>,
    control_ids: Arc<ControlIds>,
    last_number: Arc<AtomicU64>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The largest number that an accession number has room for, 13 digits.
const NUMBER_MAX: u64 = 9_999_999_999_999;

impl Gateway {
    /// A gateway that starts at this moment.
    pub fn new(settings: GatewaySettings, start: DateTime<Utc>) -> Self {
        Self {
            settings: Arc::new(settings),
            tls: None,
            control_ids: Arc::new(ControlIds::starting_at(start)),
            last_number: Arc::new(AtomicU64::new(0)),
        }
    }

    /// The same, to a broker that is reached over TLS.
    #[must_use]
    pub fn over_tls(self, dialer: TlsDialer) -> Self {
        Self {
            tls: Some(dialer),
            ..self
        }
    }

    /// A Message Control ID that no message had before.
    pub(crate) fn control_id(&self) -> String {
        format!("G{}", self.control_ids.next())
    }

    /// An accession number that no order has. Blocks.
    pub(crate) fn accession_number(
        &self,
        store: &dyn Store,
        now: DateTime<Utc>,
    ) -> Result<AccessionNumber, StoreError> {
        loop {
            // Milliseconds since 1970 have 13 digits until the year 2286.
            let millis = u64::try_from(now.timestamp_millis())
                .unwrap_or(1)
                .min(NUMBER_MAX);
            let before = self.last_number.fetch_max(millis, Ordering::Relaxed);
            let number = if before < millis {
                millis
            } else {
                self.last_number
                    .fetch_add(1, Ordering::Relaxed)
                    .saturating_add(1)
            };
            let Some(number) = accession_number(number) else {
                return Err(StoreError::Database("accession numbers are used up".into()));
            };
            if store.order(&number)?.is_none() {
                return Ok(number);
            }
        }
    }

    /// Sends a message and gives what the broker answers.
    pub(crate) async fn exchange(&self, message: &[u8]) -> Result<Acknowledged, Problem> {
        let config = ClientConfig {
            connect_timeout: self.settings.answer_wait.min(Duration::from_secs(10)),
            first_byte_timeout: self.settings.answer_wait,
            answer_timeout: self.settings.answer_wait,
            ..ClientConfig::default()
        };
        let exchanging = async {
            if let Some(dialer) = &self.tls {
                let mut client = Client::connect_tls(dialer, config).await?;
                return client.exchange(message).await;
            }
            let mut client = Client::connect(self.settings.broker.as_str(), config).await?;
            client.exchange(message).await
        };
        match exchanging.await {
            Ok(answer) => Ok(Acknowledged::of(answer)),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Why there is no answer; names the trouble, never the message.
fn failed(error: &ExchangeError) -> Problem {
    use ExchangeError as E;
    match error {
        E::ConnectTimeout | E::WriteTimeout | E::AnswerTimeout { .. } => Problem::new(
            ProblemCode::BrokerTimeout,
            "The broker did not answer in time; whether it has the message is not known",
        ),
        E::Encode(_) | E::NoControlId => Problem::new(
            ProblemCode::NotSendable,
            "The message cannot be sent over MLLP: it needs MSH-10 and no framing characters",
        ),
        _ => {
            tracing::warn!(%error, "the broker cannot be spoken to");
            Problem::new(
                ProblemCode::BrokerUnreachable,
                "The broker could not be reached, or its answer is none",
            )
        }
    }
}

/// What the broker answered.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) code: String,
    pub(crate) bytes: Bytes,
}

impl Acknowledged {
    fn of(bytes: Bytes) -> Self {
        let message = Message::parse(&bytes).ok();
        let code = message.and_then(|message| Some(message.raw(loc!("MSA-1"))?.to_vec()));
        let code = String::from_utf8_lossy(&code.unwrap_or_default()).into_owned();
        Self { code, bytes }
    }

    /// `{code, controlId, text, errors}`, as the domain form has it.
    pub(crate) fn to_json(&self) -> Value {
        let message = Message::parse(&self.bytes).ok();
        let json = message.and_then(|message| {
            from_message(&message, &medsynapse::domain::Options::default()).ok()
        });
        json.and_then(|mut json| Some(json.get_mut("acknowledgement")?.take()))
            .unwrap_or_default()
    }

    /// The problem that a refusal is.
    pub(crate) fn accepted(&self) -> Result<(), Problem> {
        let code = match self.code.as_str() {
            "AA" | "CA" => return Ok(()),
            "AR" | "CR" => ProblemCode::MessageRejected,
            _ => ProblemCode::NotProcessedThere,
        };
        let ack = String::from_utf8_lossy(&self.bytes).into_owned();
        let json = self.to_json();
        let text = json
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or("The broker refused the message");
        let problem = Problem::new(code, text.to_owned());
        Err(problem.with_answer(&self.code, ack, json))
    }
}
