//! What MSH alone decides: is this a message for us, and in which character set?

use hl7_message::{Charset, ErrorCondition, Location, Message, escape, loc};

use crate::profile::Profile;
use crate::rejection::{Rejection, Warning};

/// The messages that the broker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// ORM^O01
    Order,
    /// ORU^R01
    Report,
    /// ADT^A08
    PatientUpdate,
    /// ADT^A40
    PatientMerge,
}

pub(super) fn check(
    message: &Message<'_>,
    profile: &Profile,
    warnings: &mut Vec<Warning>,
) -> Result<(Kind, Charset), Rejection> {
    one_message(message)?;
    no_framing_bytes(message)?;
    let header = message.header();
    let refuse = |condition, location: Location, text: String| {
        let offset = message.leaf(location).map(|leaf| leaf.span().start);
        Err(Rejection::single(condition, location, offset, text))
    };
    if header.control_id().as_bytes().trim_ascii().is_empty() {
        return refuse(
            ErrorCondition::RequiredFieldMissing,
            loc!("MSH-10"),
            "Missing MSH-10".into(),
        );
    }
    let kind = match (header.message_code(), header.trigger_event()) {
        (b"ORM", b"O01") => Kind::Order,
        (b"ORU", b"R01") => Kind::Report,
        (b"ADT", b"A08") => Kind::PatientUpdate,
        (b"ADT", b"A40") => Kind::PatientMerge,
        (code @ (b"ORM" | b"ORU" | b"ADT"), event) => {
            let text = format!(
                "Event {} is not supported for {}.",
                shown(&escape::unescape(event, message.separators())),
                String::from_utf8_lossy(code)
            );
            return refuse(ErrorCondition::UnsupportedEvent, loc!("MSH-9.2"), text);
        }
        (code, _) => {
            let text = format!("Message type {} is not supported.", shown(code));
            return refuse(
                ErrorCondition::UnsupportedMessageType,
                loc!("MSH-9.1"),
                text,
            );
        }
    };
    let processing_id = header.processing_id().first().as_bytes();
    if !matches!(processing_id.trim_ascii(), b"P" | b"T" | b"D") {
        let text = "MSH-11 is not P, T or D.".into();
        return refuse(
            ErrorCondition::UnsupportedProcessingId,
            loc!("MSH-11"),
            text,
        );
    }
    version(message, profile, warnings)?;
    if !header.continuation_pointer().is_empty() {
        let text = "Continued messages (MSH-14) are not supported.".into();
        return refuse(ErrorCondition::InternalError, loc!("MSH-14"), text);
    }
    if let Some(dsc) = message.segment(hl7_message::SegmentId::DSC) {
        let text = "Continued messages (DSC) are not supported.";
        let (condition, at) = (ErrorCondition::InternalError, loc!("DSC-1"));
        return Err(Rejection::single(
            condition,
            at,
            Some(dsc.span().start),
            text,
        ));
    }
    Ok((kind, charset(message, profile)?))
}

/// A frame holds one message: no batch, no second MSH.
fn one_message(message: &Message<'_>) -> Result<(), Rejection> {
    let other = message
        .segments()
        .skip(1)
        .find(|segment| matches!(segment.name(), b"MSH" | b"FHS" | b"BHS" | b"BTS" | b"FTS"));
    let Some(segment) = other else { return Ok(()) };
    let location = segment.id().map_or(loc!("MSH"), Location::of);
    Err(Rejection::single(
        ErrorCondition::UnsupportedMessageType,
        location,
        Some(segment.span().start),
        format!("One message at a time: {location} is not allowed here."),
    ))
}

/// A message that holds framing bytes could never be sent on.
fn no_framing_bytes(message: &Message<'_>) -> Result<(), Rejection> {
    for segment in message.segments() {
        let framing = |byte: &u8| matches!(byte, 0x0B | 0x1C);
        if let Some(at) = segment.as_bytes().iter().position(framing) {
            let offset = segment.span().start + at;
            return Err(Rejection::single(
                ErrorCondition::DataType,
                message.location_at(offset).unwrap_or(loc!("MSH")),
                Some(offset),
                "The bytes 0B and 1C frame messages and cannot stand in one.",
            ));
        }
    }
    Ok(())
}

fn version(
    message: &Message<'_>,
    profile: &Profile,
    warnings: &mut Vec<Warning>,
) -> Result<(), Rejection> {
    let version = message.header().version().first();
    let text = version.as_bytes().trim_ascii();
    if text == b"2.3" {
        return Ok(());
    }
    // 2.1 to 2.8, releases such as 2.3.1 and 2.5.1 included.
    let known = matches!(
        text,
        [b'2', b'.', b'1'..=b'8'] | [b'2', b'.', b'1'..=b'8', b'.', _]
    );
    if known && profile.accept_other_versions {
        warnings.push(Warning {
            code: "other-version",
            location: Some(loc!("MSH-12")),
            message: format!("version {} is read as 2.3", shown(text)),
        });
        return Ok(());
    }
    Err(Rejection::single(
        ErrorCondition::UnsupportedVersion,
        loc!("MSH-12"),
        Some(version.span().start),
        format!("Version {} is not supported; send 2.3.", shown(text)),
    ))
}

/// The character set of the message, all of whose bytes it has.
fn charset(message: &Message<'_>, profile: &Profile) -> Result<Charset, Rejection> {
    let field = message.header().character_set();
    let name = field.first();
    let charset = if name.is_empty() {
        profile.default_charset
    } else {
        Charset::from_msh18(name.as_bytes()).map_err(|_| {
            let message = "MSH-18 names a character set that is not known; send UNICODE UTF-8.";
            let (condition, at) = (ErrorCondition::TableValueNotFound, loc!("MSH-18"));
            Rejection::single(condition, at, Some(name.span().start), message)
        })?
    };
    if !charset.is_ascii_superset() {
        return Err(Rejection::single(
            ErrorCondition::TableValueNotFound,
            loc!("MSH-18"),
            Some(name.span().start),
            format!("Character set {charset} has to be put into UTF-8 before it is read."),
        ));
    }
    for segment in message.segments() {
        if let Err(invalid) = charset.decode(segment.as_bytes()) {
            let offset = segment.span().start + invalid.offset;
            let location = message.location_at(offset).unwrap_or(loc!("MSH-18"));
            let short = location.subcomponent(0).component(0);
            return Err(Rejection::single(
                ErrorCondition::DataType,
                location,
                Some(offset),
                format!("{short} has bytes that are not {charset}; set MSH-18."),
            ));
        }
    }
    Ok(charset)
}

/// A value of the sender in an answer: short, printable, or a word that says it is not there.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .take(20)
        .collect();
    if text.is_empty() {
        "(empty)".into()
    } else {
        text
    }
}
