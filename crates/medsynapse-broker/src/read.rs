//! [`read`]: bytes to what the store takes.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hl7_message::{ErrorCondition, Header, Location, Message, Reply, SegmentId};
use medsynapse::interpret::is_acknowledgement;
use medsynapse::{Facts, Profile, Rejection, interpret};
use medsynapse_store::Received;

use crate::broker::Origin;

/// Reads a message; `None` for an acknowledgement. `reply` makes the answer but for code and text.
pub(crate) fn read(
    frame: &Bytes,
    origin: Origin,
    received_at: DateTime<Utc>,
    profile: &Profile,
    reply: impl Fn(Option<&Header<'_>>) -> Reply,
) -> Option<Received> {
    let (facts, outcome, warnings, reply) = match Message::parse(frame) {
        Ok(message) if is_acknowledgement(&message) => return None,
        Ok(message) => {
            let read = interpret(&message, profile);
            let facts = Facts::of(&message, profile);
            let reply = reply(Some(&message.header()));
            (facts, read.outcome, read.warnings, reply)
        }
        Err(error) => {
            let header = Header::salvage(frame);
            let facts = header.as_ref().map(Facts::of_header).unwrap_or_default();
            let refusal = batch(frame).unwrap_or_else(|| error.into());
            (facts, Err(refusal), Vec::new(), reply(header.as_ref()))
        }
    };
    Some(Received {
        raw: frame.to_vec(),
        received_at,
        transport: origin.transport,
        peer: origin.peer,
        facts,
        outcome,
        warnings,
        reply,
        accept_reused_control_id: profile.accept_reused_control_id,
        send_err: profile.send_err,
        default_charset: profile.default_charset,
    })
}

/// The refusal of a frame that holds a batch.
fn batch(frame: &[u8]) -> Option<Rejection> {
    let start = frame.trim_ascii_start();
    let id = match start.get(..3)? {
        b"FHS" => SegmentId::FHS,
        b"BHS" => SegmentId::BHS,
        _ => return None,
    };
    let offset = frame.len() - start.len();
    let text = "Batches are not supported; send one message a frame.";
    let condition = ErrorCondition::UnsupportedMessageType;
    Some(Rejection::single(
        condition,
        Location::of(id),
        Some(offset),
        text,
    ))
}
