//! [`Segments`]: the segments of an order that go back to the RIS.

use core::fmt;

use hl7_message::{Charset, Edit, Location, Message, SegmentId, Separators, escape, loc};

use crate::map::{Attribute, Attributes};

/// The segments of a message that are kept for the reports that go back, byte for byte, with
/// the delimiters and the character set that they are written in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Segments {
    /// MSH-1 and MSH-2, for instance `|^~\&`.
    pub delimiters: Vec<u8>,
    /// MSH-18, as it came.
    pub charset: Vec<u8>,
    /// The segments in the order PID, PV1, ORC, OBR, ZDS, each ended with CR.
    pub bytes: Vec<u8>,
}

impl Segments {
    const KEPT: [SegmentId; 5] = [
        SegmentId::PID,
        SegmentId::PV1,
        SegmentId::ORC,
        SegmentId::OBR,
        SegmentId::ZDS,
    ];

    /// Takes them from a message.
    pub fn of(message: &Message<'_>) -> Self {
        let mut bytes = Vec::new();
        for id in Self::KEPT {
            if let Some(segment) = message.segment(id) {
                bytes.extend_from_slice(segment.as_bytes());
                bytes.push(b'\r');
            }
        }
        let separators = message.separators();
        let mut delimiters = vec![separators.field()];
        delimiters.extend(separators.encoding_characters());
        let charset = message.header().character_set().as_bytes().to_vec();
        Self {
            delimiters,
            charset,
            bytes,
        }
    }

    /// The delimiters, if they are such.
    pub fn separators(&self) -> Option<Separators> {
        let (field, rest) = self.delimiters.split_first()?;
        Separators::parse(&[*field], rest).ok()
    }

    /// What they are written in; `default` where MSH-18 was empty or is not known.
    pub fn charset(&self, default: Charset) -> Charset {
        let repetition = self.separators().map(|separators| separators.repetition());
        let first = self
            .charset
            .split(|&byte| Some(byte) == repetition)
            .next()
            .unwrap_or_default();
        if first.is_empty() {
            return default;
        }
        Charset::from_msh18(first).unwrap_or(default)
    }

    /// The same segments in UTF-8, if they are what they say they are.
    #[must_use]
    pub fn in_utf8(&self, default: Charset) -> Option<Self> {
        let text = self.charset(default).decode(&self.bytes).ok()?;
        Some(Self {
            delimiters: self.delimiters.clone(),
            charset: Charset::UTF_8.name().into(),
            bytes: text.into_owned().into_bytes(),
        })
    }

    /// The same segments with the demographics that changed since: what is named in `changed` is
    /// written anew from `attributes`, everything else stays as it is, byte for byte.
    ///
    /// `None` where that cannot be: the segments are not what they say they are.
    #[must_use]
    pub fn with_demographics(
        &self,
        attributes: &Attributes,
        changed: &[Attribute],
        default: Charset,
    ) -> Option<Self> {
        let changed = |attribute| changed.contains(&attribute);
        let text = |attribute| attributes.get(attribute).unwrap_or_default();
        let places: Vec<(Location, Attribute)> = DEMOGRAPHICS
            .into_iter()
            .filter(|(_, attribute)| changed(*attribute))
            .collect();
        if places.is_empty() {
            return Some(self.clone());
        }
        let charset = self.charset(default);
        let fits = charset.is_ascii_superset()
            && places
                .iter()
                .all(|(_, attribute)| charset.encode(text(*attribute)).is_ok());
        let ascii = places.iter().all(|(_, a)| text(*a).is_ascii());
        if !fits && !ascii {
            let utf8 = self.in_utf8(default)?;
            if utf8 == *self {
                return None;
            }
            let names: Vec<Attribute> = places.iter().map(|(_, attribute)| *attribute).collect();
            return utf8.with_demographics(attributes, &names, Charset::UTF_8);
        }
        let head = [b"MSH".as_slice(), &self.delimiters, b"\r"].concat();
        let bytes = [head.as_slice(), &self.bytes].concat();
        let message = Message::parse(&bytes).ok()?;
        let separators = *message.separators();
        let mut edit = Edit::new(&message);
        for (location, attribute) in places {
            let bytes = charset.encode(text(attribute)).ok()?;
            if attribute == Attribute::PatientName {
                let name = redelimited(&bytes, separators)?;
                edit.set_raw(location, &name).ok()?;
            } else {
                edit.set_bytes(location, &bytes).ok()?;
            }
        }
        let bytes = edit.apply();
        let mut charset = self.charset.clone();
        if charset.is_empty() && !bytes.is_ascii() {
            charset = self.charset(default).name().into();
        }
        Some(Self {
            delimiters: self.delimiters.clone(),
            charset,
            bytes: bytes.get(head.len()..)?.to_vec(),
        })
    }
}

/// What ADT^A08 and ADT^A40 change, and where it stands in PID.
const DEMOGRAPHICS: [(Location, Attribute); 5] = [
    (loc!("PID-3.1"), Attribute::PatientId),
    (loc!("PID-5"), Attribute::PatientName),
    (loc!("PID-7"), Attribute::PatientBirthDate),
    (loc!("PID-8.1"), Attribute::PatientSex),
    (loc!("PID-18.1"), Attribute::AdmissionId),
];

/// Written text under the usual delimiters, under other ones.
fn redelimited(text: &[u8], separators: Separators) -> Option<Vec<u8>> {
    if separators == Separators::DEFAULT {
        return Some(text.to_vec());
    }
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'^' => out.push(separators.component()),
            b'~' => out.push(separators.repetition()),
            b'&' => out.push(separators.subcomponent()?),
            b'\\' => out.push(separators.escape()?),
            byte => out.extend_from_slice(&escape::escape(&[byte], &separators).ok()?),
        }
    }
    Some(out)
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segments({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(delimiters: &str, charset: &str, bytes: &[u8]) -> Segments {
        Segments {
            delimiters: delimiters.into(),
            charset: charset.into(),
            bytes: bytes.to_vec(),
        }
    }

    #[track_caller]
    fn check(before: &Segments, name: &str, expected: (&str, &[u8])) {
        let mut attributes = Attributes::default();
        attributes.set(Attribute::PatientName, name);
        attributes.set(Attribute::PatientId, "P2");
        let changed = [Attribute::PatientName, Attribute::AdmissionId];
        let after = before
            .with_demographics(&attributes, &changed, Charset::UTF_8)
            .unwrap();
        let found = (std::str::from_utf8(&after.charset).unwrap(), &*after.bytes);
        assert_eq!(found, expected);
    }

    #[test]
    fn only_what_changed_is_written_anew() {
        let before = segments(
            "|^~\\&",
            "",
            b"PID|1||P1^^^A||OLD^NAME|x|19800101|M|||||||||||ADM||\rPV1|1\r",
        );
        let after = b"PID|1||P1^^^A||DOE^JANE|x|19800101|M|||||||||||ADM||\rPV1|1\r";
        check(&before, "DOE^JANE", ("", after));
    }

    #[test]
    fn a_letter_that_the_character_set_lacks_takes_all_to_utf_8() {
        let before = segments("|^~\\&", "8859/1", b"PID|1||P1||M\xFCLLER\rPV1|\xE9\r");
        let after = "PID|1||P1||ŁUKASZ\rPV1|é\r".as_bytes();
        check(&before, "ŁUKASZ", ("UNICODE UTF-8", after));
        check(
            &before,
            "MÜLLER",
            ("8859/1", b"PID|1||P1||M\xDCLLER\rPV1|\xE9\r"),
        );
        let plain = segments("|^~\\&", "", b"PID|1||P1||X\r");
        check(
            &plain,
            "MÜLLER",
            ("UNICODE UTF-8", "PID|1||P1||MÜLLER\r".as_bytes()),
        );
    }

    #[test]
    fn a_name_is_written_under_the_delimiters_of_the_order() {
        let before = segments("#*~\\&", "", b"PID#1##P1##OLD*NAME\r");
        check(&before, "A#B^C", ("", b"PID#1##P1##A\\F\\B*C\r"));
    }
}
