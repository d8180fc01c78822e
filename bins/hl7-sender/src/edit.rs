//! [`Edit`]: `--set PID-5.1=DOE`, one value put into a message.

use std::{borrow::Cow, str::FromStr};

use anyhow::anyhow;
use hl7_message::{Charset, EditError, Location, Message};

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
        let location = self.location;
        if message.segment_at(location).is_none() {
            return Ok(None);
        }
        let value = self.encoded(&message)?;
        let mut edit = hl7_message::Edit::new(&message);
        if location.component_number().is_some() {
            edit.set_bytes(location, &value)?;
        } else {
            edit.set_raw(location, &value)
                .map_err(|error| match error {
                    EditError::RawBytes { .. } => {
                        anyhow!("{error}; name a component to have the value escaped")
                    }
                    error => error.into(),
                })?;
        }
        Ok(Some(edit.apply()))
    }

    /// The value in the message's character set.
    fn encoded(&self, message: &Message<'_>) -> anyhow::Result<Cow<'_, [u8]>> {
        let name = message.header().character_set().first().as_bytes();
        if self.value.is_ascii() || name.is_empty() {
            return Ok(Cow::Borrowed(self.value.as_bytes()));
        }
        let charset = Charset::from_msh18(name)
            .map_err(|_| anyhow!("the message's character set (MSH-18) is not known"))?;
        charset.encode(&self.value).map_err(|_| {
            anyhow!(
                "the value for {} does not exist in {}",
                self.location,
                charset.name()
            )
        })
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
        for text in ["PID-5=A|B", "PID-5=A\rB", "PID-5[2]=A~B"] {
            let edit: Edit = text.parse().unwrap();
            let error = edit.apply(format!("{HEAD}PID|1\r").as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.contains("; name a component"), "{error}");
        }
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
