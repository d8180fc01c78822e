//! [`Edit`]: `--set PID-5.1=DOE`, one value put into a message.

use std::{ops::Range, str::FromStr};

use anyhow::{Context, anyhow, bail};
use hl7_message::{Charset, Location, Message, Segment, Separators, escape};

/// A place and the value that goes there.
///
/// Where the place is a whole field the value is taken as HL7 text, delimiters and all
/// (`PID-5=DOE^JANE`); where it is a component or subcomponent the value is data, and what looks
/// like a delimiter is escaped.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    pub(crate) location: Location,
    value: String,
}

impl FromStr for Edit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, value) = text
            .split_once('=')
            .ok_or("write PLACE=VALUE, such as PID-5.1=DOE")?;
        let location: Location = place.parse().map_err(|error| format!("{error}"))?;
        let header = location.segment_id() == hl7_message::SegmentId::MSH;
        match location.field_number() {
            None => Err("name a field, such as PID-5".to_owned()),
            Some(1 | 2) if header => {
                Err("MSH-1 and MSH-2 are the delimiters themselves".to_owned())
            }
            Some(_) => Ok(Self {
                location,
                value: value.to_owned(),
            }),
        }
    }
}

impl Edit {
    /// An edit made by the program itself.
    pub(crate) fn new(location: Location, value: impl Into<String>) -> Self {
        Self {
            location,
            value: value.into(),
        }
    }

    /// The message with the value in its place, the rest as it was; `None` where the message has
    /// no such segment.
    pub(crate) fn apply(&self, bytes: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let message = Message::parse(bytes)?;
        let Some(segment) = message.segment_at(self.location) else {
            return Ok(None);
        };
        let value = self.written(&message)?;
        let place = self.find(&segment, bytes)?;
        if value.is_empty() && !place.lead.is_empty() {
            return Ok(Some(bytes.to_vec()));
        }
        let (before, after) = (bytes.get(..place.range.start), bytes.get(place.range.end..));
        let parts = [
            before.unwrap_or_default(),
            &place.lead,
            &value,
            after.unwrap_or_default(),
        ];
        Ok(Some(parts.concat()))
    }

    /// The value in the message's character set and under its delimiters.
    fn written(&self, message: &Message<'_>) -> anyhow::Result<Vec<u8>> {
        let location = self.location;
        let name = message.header().character_set().first().as_bytes();
        let encoded = if self.value.is_ascii() || name.is_empty() {
            self.value.as_bytes().to_vec()
        } else {
            let charset = Charset::from_msh18(name)
                .map_err(|_| anyhow!("the message's character set (MSH-18) is not known"))?;
            let encoded = charset.encode(&self.value);
            let encoded = encoded.map_err(|_| {
                anyhow!(
                    "the value for {location} does not exist in {}",
                    charset.name()
                )
            })?;
            encoded.into_owned()
        };
        let separators = message.separators();
        if location.component_number().is_some() {
            let escaped = escape::escape(&encoded, separators)
                .map_err(|_| anyhow!("MSH-2 declares no escape, which {location} needs"))?;
            return Ok(escaped.into_owned());
        }
        let ends = |byte: &u8| *byte == separators.field() || byte.is_ascii_control();
        if encoded.iter().any(ends) {
            bail!("the value for {location} would end the field; name a component to escape it");
        }
        Ok(encoded)
    }

    fn find(&self, segment: &Segment<'_>, bytes: &[u8]) -> anyhow::Result<Place> {
        let location = self.location;
        let separators: &Separators = segment.separators();
        let field = location
            .field_number()
            .context("the place names no field")?;
        // MSH-1 is the separator itself, so MSH-2 is the second piece and PID-2 the third.
        let header = location.segment_id() == hl7_message::SegmentId::MSH;
        let piece = if header { field } else { field + 1 };
        let mut place = Place {
            range: segment.span(),
            lead: Vec::new(),
        };
        place = place.step(bytes, separators.field(), piece);
        let repetition = location.repetition_number();
        let Some(component) = location.component_number() else {
            if repetition > 1 {
                place = place.step(bytes, separators.repetition(), repetition);
            }
            return Ok(place);
        };
        place = place.step(bytes, separators.repetition(), repetition);
        place = place.step(bytes, separators.component(), component);
        if let Some(subcomponent) = location.subcomponent_number() {
            let separator = separators
                .subcomponent()
                .with_context(|| format!("MSH-2 declares no subcomponents, as in {location}"))?;
            place = place.step(bytes, separator, subcomponent);
        }
        Ok(place)
    }
}

/// What a value replaces, and the delimiters that must come before it.
#[derive(Debug)]
struct Place {
    range: Range<usize>,
    /// Not empty where the message does not reach that far; the range is empty then.
    lead: Vec<u8>,
}

impl Place {
    /// Piece `number` of this place, from 1.
    fn step(mut self, bytes: &[u8], separator: u8, number: u16) -> Self {
        let number = usize::from(number);
        if !self.lead.is_empty() {
            self.lead.extend(std::iter::repeat_n(separator, number - 1));
            return self;
        }
        let scope = bytes.get(self.range.clone()).unwrap_or_default();
        let mut start = self.range.start;
        let mut count = 0;
        for piece in scope.split(|byte| *byte == separator) {
            count += 1;
            if count == number {
                return Self {
                    range: start..start + piece.len(),
                    lead: self.lead,
                };
            }
            start += piece.len() + 1;
        }
        let end = self.range.end;
        Self {
            range: end..end,
            lead: vec![separator; number - count],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "MSH|^~\\&|A|||||||7\r";

    #[track_caller]
    fn check(pid: &str, edit: &str, expected: &str) {
        let edit: Edit = edit.parse().unwrap();
        let edited = edit
            .apply(format!("{HEAD}{pid}\rPV1|1\r").as_bytes())
            .unwrap()
            .unwrap();
        assert_eq!(
            String::from_utf8(edited).unwrap(),
            format!("{HEAD}{expected}\rPV1|1\r")
        );
    }

    #[test]
    fn what_is_there_is_replaced() {
        check(
            "PID|1||77^A||DOE^JANE",
            "PID-5.1=ROE",
            "PID|1||77^A||ROE^JANE",
        );
        check("PID|1||77^A~88^B||D", "PID-3[2].2=C", "PID|1||77^A~88^C||D");
        check("PID|1||77^A~88^B||D", "PID-3=9", "PID|1||9||D");
        check("PID|1||77^A~88^B", "PID-3[2]=9^Z", "PID|1||77^A~9^Z");
        check("PID|1||a&b^c", "PID-3.1.2=x", "PID|1||a&x^c");
    }

    #[test]
    fn what_is_not_there_is_added_with_its_delimiters() {
        check("PID|1", "PID-5.2=JANE", "PID|1||||^JANE");
        check("PID", "PID-1=1", "PID|1");
        check("PID|1||77", "PID-3[3].2.2=x", "PID|1||77~~^&x");
        check("PID|1||77", "PID-3.4=x", "PID|1||77^^^x");
        check("PID|1", "PID-5=", "PID|1");
        check("PID|1||||D", "PID-5=", "PID|1||||");
        check("PID|1||||D", "PID-5=\"\"", "PID|1||||\"\"");
    }

    #[test]
    fn data_is_escaped_and_fields_are_not() {
        check("PID|1", "PID-5.1=A^B|C", "PID|1||||A\\S\\B\\F\\C");
        check("PID|1", "PID-5=A^B", "PID|1||||A^B");
        let edit: Edit = "PID-5=A|B".parse().unwrap();
        assert!(edit.apply(format!("{HEAD}PID|1\r").as_bytes()).is_err());
    }

    #[test]
    fn the_header_is_counted_from_its_separator() {
        let edit: Edit = "MSH-10=99".parse().unwrap();
        let edited = |text: &str| edit.apply(text.as_bytes()).unwrap().unwrap();
        assert_eq!(edited(HEAD), b"MSH|^~\\&|A|||||||99\r");
        assert_eq!(edited("MSH|^~\\&\r"), b"MSH|^~\\&||||||||99\r");
    }

    #[test]
    fn values_take_the_message_s_character_set() {
        let edit: Edit = "PID-5.1=Müller".parse().unwrap();
        let message = b"MSH|^~\\&||||||||7|P|2.3||||||8859/1\rPID|1||||x\r";
        let edited = edit.apply(message).unwrap().unwrap();
        assert!(edited.ends_with(b"PID|1||||M\xFCller\r"));
        let edit: Edit = "PID-5.1=\u{4E2D}".parse().unwrap();
        assert!(edit.apply(message).is_err());
    }

    #[test]
    fn a_missing_segment_is_none_and_a_wrong_place_an_error() {
        let edit: Edit = "OBR-2=1".parse().unwrap();
        assert_eq!(edit.apply(HEAD.as_bytes()).unwrap(), None);
        for text in ["PID-5.1", "PID=1", "MSH-1=#", "MSH-2.1=#", "pid-5=1"] {
            assert!(text.parse::<Edit>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_back_and_the_rest_stays(
            field in 1..9_u16,
            repetition in 1..4_u16,
            component in 1..5_u16,
            subcomponent in 1..4_u16,
            value in "[A-Z|^~\\\\&\r]{1,8}",
            pid in "PID[|^~&A-C]{0,20}",
        ) {
            let location = Location::field(*b"PID", field)
                .repetition(repetition)
                .component(component)
                .subcomponent(subcomponent);
            let original = format!("{HEAD}{pid}\rPV1|1\r");
            // What stands behind the three letters may not be a fourth.
            prop_assume!(pid.len() == 3 || pid.as_bytes()[3] == b'|');
            let edit = Edit::new(location, value.clone());
            let edited = edit.apply(original.as_bytes()).unwrap().unwrap();
            let message = Message::parse(&edited).unwrap();
            let leaf = message.leaf(location).unwrap();
            let read = leaf.unescape().into_owned();
            prop_assert_eq!(read, value.as_bytes());
            // The other fields are the same as before.
            let before = Message::parse(original.as_bytes()).unwrap();
            for other in 1..9 {
                let place = Location::field(*b"PID", other);
                if other != field {
                    let (old, new) = (before.raw(place), message.raw(place));
                    prop_assert_eq!(old.unwrap_or_default(), new.unwrap_or_default());
                }
            }
        }
    }
}
