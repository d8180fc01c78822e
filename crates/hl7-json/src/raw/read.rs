//! [`from_raw`]: JSON to the bytes of a message.

use std::ops::Range;

use hl7_message::{Charset, Location, Message, SegmentId, Separators};

use super::encode::{Place, Refusal, Writer};
use super::node::{Document, Node, SegmentNode};
use super::{FORMAT, delimiters};
use crate::error::RawError;

/// The bytes of the message that a raw form stands for.
///
/// Whatever it gives is a message: it parses, and into the same segments and leaves that the JSON
/// has. A leaf that would be cut by a delimiter is refused, and so is a member that the form does
/// not have.
///
/// # Errors
///
/// What is wrong first, with its place.
///
/// ```
/// use hl7_json::from_raw;
///
/// let json = r#"{"format": "hl7v2-raw/1", "delimiters": "|^~\\&", "charset": "ASCII",
///     "terminator": "\r", "finalTerminator": true, "segments": [
///         {"id": "MSH", "fields": ["|", "^~\\&", "RIS"]},
///         {"id": "PID", "fields": ["1", "", "77", "", [["DOE", "JANE|"]]]}]}"#;
/// let error = from_raw(json).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a delimiter or a line end that is not escaped in field 5 of segment 2 (PID-5.2)"
/// );
/// let json = json.replace("JANE|", r"JANE\\F\\");
/// assert_eq!(from_raw(&json)?, b"MSH|^~\\&|RIS\rPID|1||77||DOE^JANE\\F\\\r");
/// # Ok::<(), hl7_json::RawError>(())
/// ```
pub fn from_raw(json: &str) -> Result<Vec<u8>, RawError> {
    let document: Document<'_> = serde_json::from_str(json)?;
    if document.format != FORMAT {
        return Err(RawError::Format);
    }
    let charset =
        Charset::from_msh18(document.charset.as_bytes()).map_err(|_| RawError::Charset)?;
    let separators = declared(&document)?;
    let mut writer = Writer {
        out: Vec::with_capacity(json.len()),
        charset,
        separators,
        newline_cuts: document.terminator == "\n",
    };
    writer.out.extend_from_slice(document.prefix.as_bytes());
    let mut spans = Vec::with_capacity(document.segments.len());
    let last = document.segments.len().saturating_sub(1);
    for (n, segment) in document.segments.iter().enumerate() {
        let start = writer.out.len();
        writer
            .segment(segment)
            .map_err(|refusal| placed(refusal, &document.segments, n))?;
        spans.push(start..writer.out.len());
        let end = match &segment.end {
            Some(end) => end,
            None if n < last || document.final_terminator => &document.terminator,
            None => "",
        };
        writer.out.extend_from_slice(end.as_bytes());
    }
    writer.out.extend_from_slice(document.suffix.as_bytes());
    check(&writer.out, &document.delimiters, &spans)?;
    Ok(writer.out)
}

/// The delimiters, as the document and MSH both have to name them.
fn declared(document: &Document<'_>) -> Result<Separators, RawError> {
    let declared = document.delimiters.as_str();
    let msh = document
        .segments
        .first()
        .filter(|first| matches!(&first.id, Node::Text(id) if id == "MSH"));
    let fields = msh.ok_or(RawError::Header)?.fields.as_slice();
    let [Node::Text(field), Node::Text(encoding), ..] = fields else {
        return Err(RawError::Delimiters);
    };
    if declared.strip_prefix(field.as_ref()) != Some(encoding.as_ref()) {
        return Err(RawError::Delimiters);
    }
    Separators::parse(field.as_bytes(), encoding.as_bytes()).map_err(|_| RawError::Delimiters)
}

/// Reads what was written again: the segments have to be the ones that were meant.
fn check(bytes: &[u8], declared: &str, spans: &[Range<usize>]) -> Result<(), RawError> {
    let message = Message::parse(bytes)?;
    if delimiters(*message.separators()) != declared {
        return Err(RawError::Delimiters);
    }
    let mut found = message.segments().map(|segment| segment.span());
    for (n, span) in spans.iter().enumerate() {
        if found.next().as_ref() != Some(span) {
            return Err(RawError::Segments { segment: n + 1 });
        }
    }
    if found.next().is_some() {
        return Err(RawError::Segments {
            segment: spans.len(),
        });
    }
    Ok(())
}

/// A refusal in the segment at `index`, with its place.
fn placed(refusal: Refusal, segments: &[SegmentNode<'_>], index: usize) -> RawError {
    let segment = index + 1;
    match refusal {
        Refusal::Name => RawError::SegmentName { segment },
        Refusal::Leaf(place, problem) => RawError::Leaf {
            segment,
            field: place.field,
            location: location(place, segments.get(..segment).unwrap_or_default()),
            problem,
        },
    }
}

/// The name of a place in the last of `segments`, if it has one.
fn location(place: Place, segments: &[SegmentNode<'_>]) -> Option<Location> {
    let name = |segment: &SegmentNode<'_>| match &segment.id {
        Node::Text(text) => text.parse::<SegmentId>().ok(),
        Node::Bytes(_) | Node::List(_) => None,
    };
    let id = segments.last().and_then(name)?;
    let occurrence = segments
        .iter()
        .filter(|other| name(other) == Some(id))
        .count();
    let number = |n: usize| u16::try_from(n).ok();
    let [repetition, component, subcomponent] = place.parts;
    Some(
        Location::of(id)
            .occurrence(number(occurrence)?)
            .at_field(number(place.field)?)
            .repetition(number(repetition)?)
            .component(number(component)?)
            .subcomponent(number(subcomponent)?),
    )
}
