//! The path view: every leaf that says something, under its location.

use std::collections::HashMap;

use hl7_message::{Charset, Field, Location, Message, Segment, SegmentId, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Map;

use crate::text;

/// The path view of a message as something that serde can write, in the order of the message.
///
/// A leaf that has neighbours inside its component, repetition or field is named down to it; one
/// that is alone takes the shorter name: `PID-5.1`, but `PID-3` where there is one id and nothing
/// else. Either name finds it, for a path to a thing with parts means its first leaf.
///
/// Text is decoded; HL7's `""` is `null`; a byte that the character set does not have becomes
/// U+FFFD. Segments whose name has another shape than three capitals have no paths.
///
/// ```
/// use hl7_json::Paths;
/// use hl7_message::Message;
///
/// let message = Message::parse(b"MSH|^~\\&|\rPID|||77||DOE^JANE||\"\"\rOBX|1\rOBX|2||A&B\r")?;
/// let json = serde_json::to_string(&Paths(&message))?;
/// assert_eq!(
///     json,
///     concat!(
///         r#"{"MSH-1":"|","MSH-2":"^~\\&","PID-3":"77","PID-5.1":"DOE","PID-5.2":"JANE","#,
///         r#""PID-7":null,"OBX-1":"1","OBX[2]-1":"2","OBX[2]-3.1.1":"A","OBX[2]-3.1.2":"B"}"#,
///     )
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Paths<'m, 'a>(pub &'m Message<'a>);

/// The path view of a message as a map.
///
/// ```
/// use hl7_json::to_paths;
/// use hl7_message::Message;
///
/// let paths = to_paths(&Message::parse(br"MSH|^~\&|A \T\ B")?);
/// assert_eq!(paths["MSH-3"], "A & B");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
pub fn to_paths(message: &Message<'_>) -> Map<String, serde_json::Value> {
    let mut map = Map::new();
    let _ = each_leaf(message, &mut |location, value| {
        let value = value.map_or(serde_json::Value::Null, serde_json::Value::from);
        map.insert(location.to_string(), value);
        Ok::<(), core::convert::Infallible>(())
    });
    map
}

impl Serialize for Paths<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        each_leaf(self.0, &mut |location, value| {
            map.serialize_entry(&location.to_string(), &value)
        })?;
        map.end()
    }
}

type Tell<'f, E> = &'f mut dyn FnMut(Location, Option<&str>) -> Result<(), E>;

fn each_leaf<E>(message: &Message<'_>, tell: Tell<'_, E>) -> Result<(), E> {
    let charset = text::charset_of(message);
    let mut seen: HashMap<SegmentId, u16> = HashMap::new();
    for segment in message.segments() {
        let Some(id) = segment.id() else { continue };
        let occurrence = seen.entry(id).or_default();
        if *occurrence == u16::MAX {
            continue; // A location counts no further.
        }
        *occurrence += 1;
        let occurrence = *occurrence;
        in_segment(
            segment,
            Location::of(id).occurrence(occurrence),
            charset,
            tell,
        )?;
    }
    Ok(())
}

fn in_segment<E>(
    segment: Segment<'_>,
    at: Location,
    charset: Charset,
    tell: Tell<'_, E>,
) -> Result<(), E> {
    for (number, field) in (1..=u16::MAX).zip(segment.fields()) {
        if !field.is_empty() {
            in_field(field, at.at_field(number), charset, tell)?;
        }
    }
    Ok(())
}

fn in_field<E>(
    field: Field<'_>,
    at: Location,
    charset: Charset,
    tell: Tell<'_, E>,
) -> Result<(), E> {
    for (r, repetition) in (1..=u16::MAX).zip(field.repetitions()) {
        let at = at.repetition(r);
        let components = || (1..=u16::MAX).zip(repetition.components());
        let one_component = components().nth(1).is_none();
        for (c, component) in components() {
            let leaves = || (1..=u16::MAX).zip(component.subcomponents());
            let one_leaf = leaves().nth(1).is_none();
            for (s, leaf) in leaves() {
                let at = match (one_component, one_leaf) {
                    (true, true) => at,
                    (false, true) => at.component(c),
                    (_, false) => at.component(c).subcomponent(s),
                };
                match Value::from(leaf) {
                    Value::Absent => {}
                    Value::Null => tell(at, None)?,
                    Value::Text(_) => tell(at, Some(&text::lossy(&leaf.unescape(), charset)))?,
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(segments: &str, expected: &str) {
        let bytes = format!("MSH|^~\\&\r{segments}");
        let message = Message::parse(bytes.as_bytes()).unwrap();
        let json = serde_json::to_string(&Paths(&message)).unwrap();
        let header = r#"{"MSH-1":"|","MSH-2":"^~\\&""#;
        assert_eq!(
            json,
            format!(
                "{header}{}{expected}}}",
                if expected.is_empty() { "" } else { "," }
            )
        );
        // The map has the same members, and every key finds its leaf.
        let map = to_paths(&message);
        assert_eq!(serde_json::from_str::<Map<_, _>>(&json).unwrap(), map);
        for key in map.keys() {
            assert!(!message.value(key.parse().unwrap()).is_absent(), "{key}");
        }
    }

    #[test]
    fn empty_leaves_are_left_out() {
        check("PID|||\rZZZ", "");
        check("PID|^A^", r#""PID-1.2":"A""#);
    }

    #[test]
    fn names_reach_as_deep_as_they_must() {
        check("PID|A", r#""PID-1":"A""#);
        check("PID|A~B", r#""PID-1":"A","PID-1[2]":"B""#);
        check(
            "PID|A^B&C",
            r#""PID-1.1":"A","PID-1.2.1":"B","PID-1.2.2":"C""#,
        );
        check(
            "OBX|1\rNTE|1\rOBX|2",
            r#""OBX-1":"1","NTE-1":"1","OBX[2]-1":"2""#,
        );
    }

    #[test]
    fn odd_segments_have_no_paths() {
        check("pid|1\rfree text\rPIDX|1", "");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let message = Message::parse(b"MSH|^~\\&|M\xFCller").unwrap();
        assert_eq!(to_paths(&message)["MSH-3"], "M\u{FFFD}ller");
    }
}
