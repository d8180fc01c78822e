//! [`read`]: bytes to what the store takes.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hl7_message::{ErrorCondition, Header, Location, Message, Readable, Reply, SegmentId, loc};
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
    let readable = Readable::of(frame, profile.default_charset);
    let (facts, outcome, warnings, reply) = match Message::parse(readable.as_bytes()) {
        Ok(message) if is_acknowledgement(&message) => return None,
        Ok(message) => {
            let read = interpret(&message, profile);
            let facts = Facts::of(&message, profile);
            let reply = reply(Some(&message.header()));
            let outcome = match undecodable(&message, &readable) {
                Some(rejection) => Err(rejection),
                None => read.outcome.map_err(|mut rejection| {
                    for finding in &mut rejection.findings {
                        finding.offset = finding.offset.map(|at| readable.source_offset(at));
                    }
                    rejection
                }),
            };
            (facts, outcome, read.warnings, reply)
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

/// The refusal of a message with bytes that its character set does not have, where it had to be put
/// into another one to be read.
fn undecodable(message: &Message<'_>, readable: &Readable<'_>) -> Option<Rejection> {
    let (first, charset) = (readable.undecodable().first()?, readable.changed_from()?);
    let location = message
        .location_at(readable.offset_of(first.offset))
        .unwrap_or(loc!("MSH-18"));
    let short = location.subcomponent(0).component(0);
    let text = format!("{short} has bytes that are not {charset}; set MSH-18.");
    let condition = ErrorCondition::DataType;
    Some(Rejection::single(
        condition,
        location,
        Some(first.offset),
        text,
    ))
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
