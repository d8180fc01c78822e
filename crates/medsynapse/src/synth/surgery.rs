//! [`Surgery`]: cuts into a message that is written already, for messages that shall be odd.

use hl7_message::{Edit, Location, Message, SegmentId, Separators, escape};

/// A message on the table. What cannot be done leaves it as it is.
#[derive(Debug, Clone)]
pub(super) struct Surgery {
    bytes: Vec<u8>,
}

impl Surgery {
    pub(super) fn on(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
        }
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes bytes at a place, delimiters and all.
    pub(super) fn set(self, location: Location, value: &str) -> Self {
        let edited = Message::parse(&self.bytes).ok().and_then(|message| {
            let mut edit = Edit::new(&message);
            let edit = edit.set_raw(location, value.as_bytes()).ok()?;
            Some(edit.apply())
        });
        Self {
            bytes: edited.unwrap_or(self.bytes),
        }
    }

    /// Writes bytes at every one of these places where something stands.
    pub(super) fn set_where_present(self, locations: &[Location], value: &str) -> Self {
        locations.iter().fold(self, |message, &location| {
            if message.has(location) {
                message.set(location, value)
            } else {
                message
            }
        })
    }

    /// Whether something stands at a place.
    pub(super) fn has(&self, location: Location) -> bool {
        let message = Message::parse(&self.bytes);
        message.is_ok_and(|message| message.raw(location).is_some_and(|raw| !raw.is_empty()))
    }

    /// What stands at a place, as it is written.
    pub(super) fn raw(&self, location: Location) -> String {
        let message = Message::parse(&self.bytes);
        let raw = message.ok().and_then(|message| message.raw(location));
        String::from_utf8_lossy(raw.unwrap_or_default()).into_owned()
    }

    /// Takes every segment of a name out.
    pub(super) fn without(self, id: SegmentId) -> Self {
        let mut segments = self.segments();
        segments.retain(|segment| !segment.starts_with(id.as_bytes()));
        Self::join(&segments)
    }

    /// Writes the first segment of a name twice.
    pub(super) fn twice(self, id: SegmentId) -> Self {
        let mut segments = self.segments();
        let first = segments
            .iter()
            .position(|segment| segment.starts_with(id.as_bytes()));
        if let Some(at) = first
            && let Some(&segment) = segments.get(at)
        {
            segments.insert(at + 1, segment);
        }
        Self::join(&segments)
    }

    /// Adds segments at the end.
    pub(super) fn with(mut self, segments: &[&str]) -> Self {
        for segment in segments {
            self.bytes.extend_from_slice(segment.as_bytes());
            self.bytes.push(b'\r');
        }
        self
    }

    /// Writes all segments but the header in the reverse order.
    pub(super) fn reversed(self) -> Self {
        let mut segments = self.segments();
        if let Some(body) = segments.get_mut(1..) {
            body.reverse();
        }
        Self::join(&segments)
    }

    /// Adds bytes to the end of every segment but the header.
    pub(super) fn padded(self, tail: &str) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 40);
        for (n, segment) in self.segments().into_iter().enumerate() {
            bytes.extend_from_slice(segment);
            if n > 0 {
                bytes.extend_from_slice(tail.as_bytes());
            }
            bytes.push(b'\r');
        }
        Self { bytes }
    }

    /// Writes the same values under other delimiters: MSH-1 and MSH-2 as given.
    pub(super) fn under(self, field: u8, encoding: &[u8]) -> Self {
        let (Ok(message), Ok(to)) = (
            Message::parse(&self.bytes),
            Separators::parse(&[field], encoding),
        ) else {
            return self;
        };
        let from = *message.separators();
        let body = self.bytes.get(4 + from.encoding_characters().len()..);
        let body = body.unwrap_or_default();
        let mut bytes = vec![b'M', b'S', b'H', field];
        bytes.extend_from_slice(encoding);
        let mut start = 0;
        for (at, &byte) in body.iter().enumerate() {
            if let Some(delimiter) = translated(byte, from, to) {
                let value = body.get(start..at).unwrap_or_default();
                let data = escape::unescape(value, &from);
                let Ok(value) = escape::escape(&data, &to) else {
                    return self;
                };
                bytes.extend_from_slice(&value);
                bytes.push(delimiter);
                start = at + 1;
            }
        }
        Self { bytes }
    }

    /// Writes MSH-1 and MSH-2 over those that are there, whatever becomes of the rest.
    pub(super) fn with_delimiters(self, characters: &str) -> Self {
        let behind = self.bytes.get(8..).unwrap_or_default();
        Self {
            bytes: [b"MSH", characters.as_bytes(), behind].concat(),
        }
    }

    fn segments(&self) -> Vec<&[u8]> {
        self.bytes
            .split(|&byte| byte == b'\r')
            .filter(|segment| !segment.is_empty())
            .collect()
    }

    fn join(segments: &[&[u8]]) -> Self {
        let mut bytes = Vec::new();
        for segment in segments {
            bytes.extend_from_slice(segment);
            bytes.push(b'\r');
        }
        Self { bytes }
    }
}

/// The delimiter of the same meaning; the end of a segment stays what it is.
fn translated(byte: u8, from: Separators, to: Separators) -> Option<u8> {
    match byte {
        b'\r' => Some(b'\r'),
        _ if byte == from.field() => Some(to.field()),
        _ if byte == from.component() => Some(to.component()),
        _ if byte == from.repetition() => Some(to.repetition()),
        _ if Some(byte) == from.subcomponent() => to.subcomponent(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hl7_message::loc;

    const MESSAGE: &str = "MSH|^~\\&|R\\F\\S|H\rPID|1||7~8||A#B^C\\T\\D\rORC|NW\r";

    #[track_caller]
    fn check(surgery: Surgery, expected: &str) {
        assert_eq!(String::from_utf8(surgery.done()).unwrap(), expected);
    }

    fn message() -> Surgery {
        Surgery::on(MESSAGE.as_bytes())
    }

    #[test]
    fn other_delimiters_carry_the_same_values() {
        check(
            message().under(b'#', br"*!$@"),
            "MSH#*!$@#R|S#H\rPID#1##7!8##A$F$B*C&D\rORC#NW\r",
        );
        check(
            message().under(b'|', b"^~\\"),
            "MSH|^~\\|R\\F\\S|H\rPID|1||7~8||A#B^C&D\rORC|NW\r",
        );
    }

    #[test]
    fn segments_come_and_go() {
        check(
            message().without(SegmentId::PID),
            "MSH|^~\\&|R\\F\\S|H\rORC|NW\r",
        );
        check(
            message().twice(SegmentId::ORC).with(&["NTE|1"]),
            &(MESSAGE.to_owned() + "ORC|NW\rNTE|1\r"),
        );
        check(
            message().reversed().padded("||"),
            "MSH|^~\\&|R\\F\\S|H\rORC|NW||\rPID|1||7~8||A#B^C\\T\\D||\r",
        );
    }

    #[test]
    fn values_are_set_where_they_are() {
        check(
            message().set_where_present(&[loc!("PID-5"), loc!("PID-9"), loc!("OBR-1")], "X"),
            &MESSAGE.replace(r"A#B^C\T\D", "X"),
        );
        assert_eq!(message().raw(loc!("PID-5.1")), "A#B");
    }
}
