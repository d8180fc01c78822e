//! A message as JSON: in a list, and whole.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hl7_json::Raw;
use hl7_message::{Charset, Message, Transcoded};
use medsynapse_broker::Clock;
use medsynapse_store::{MessageSummary, StoredMessage};
use serde::Serialize;

use crate::moment;
use crate::problem::ProblemAt;

/// A message in a list.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MessageSummary)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    id: i64,
    message_type: String,
    trigger_event: String,
    message_control_id: String,
    send_time: Option<String>,
    received_time: String,
    acknowledgment_code: String,
    acknowledgment_text: String,
    accession_number: Option<String>,
    patient_id: Option<String>,
    transport: String,
    peer: String,
    warnings: u32,
    retransmissions: u32,
    size: u64,
}

impl Summary {
    pub(crate) fn of(from: MessageSummary, clock: &dyn Clock) -> Self {
        Self {
            id: from.id,
            message_type: from.message_code,
            trigger_event: from.trigger_event,
            message_control_id: from.control_id,
            send_time: moment::sent(&from.sent_at, clock),
            received_time: moment::rfc3339(from.received_at),
            acknowledgment_code: from.ack_code,
            acknowledgment_text: from.ack_text,
            accession_number: from.accession_number,
            patient_id: from.patient_id,
            transport: from.transport,
            peer: from.peer,
            warnings: from.warning_count,
            retransmissions: from.retransmissions,
            size: from.size,
        }
    }
}

/// A message with everything that is kept of it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Message)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Whole<'m> {
    #[serde(flatten)]
    summary: Summary,
    #[schema(value_type = String)]
    message: Cow<'m, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_base64: Option<String>,
    #[schema(value_type = Option<Object>)]
    parsed_message: Option<Raw<'m, 'm>>,
    #[schema(value_type = String)]
    acknowledgment: Cow<'m, str>,
    findings: Vec<ProblemAt>,
    #[serde(rename = "warningList")]
    warnings: Vec<ProblemAt>,
}

/// A message with everything that is kept of it, as JSON.
pub(crate) fn whole(from: StoredMessage, clock: &dyn Clock) -> Vec<u8> {
    let parsed = Message::parse(&from.raw).ok();
    let (message, message_base64) = match core::str::from_utf8(&from.raw) {
        Ok(text) => (Cow::Borrowed(text), None),
        Err(_) => (
            legible(&from.raw, parsed.as_ref()),
            Some(STANDARD.encode(&from.raw)),
        ),
    };
    let whole = Whole {
        summary: Summary::of(from.summary, clock),
        message,
        message_base64,
        parsed_message: parsed.as_ref().map(Raw),
        acknowledgment: String::from_utf8_lossy(&from.ack),
        findings: from.findings.into_iter().map(ProblemAt::from).collect(),
        warnings: from.warnings.into_iter().map(ProblemAt::from).collect(),
    };
    // Names are text and a Vec takes everything: it cannot fail.
    serde_json::to_vec(&whole).unwrap_or_default()
}

/// Bytes that are not UTF-8 as text: in the set that MSH-18 names, else with U+FFFD.
fn legible<'m>(raw: &'m [u8], message: Option<&Message<'_>>) -> Cow<'m, str> {
    let charset = message.and_then(|message| Charset::of(message, Charset::UTF_8).ok());
    let text = charset.map(|charset| charset.to_utf8(raw));
    let text = text.filter(|text| text.undecodable().is_empty());
    text.map_or_else(|| String::from_utf8_lossy(raw), Transcoded::into_text)
}
