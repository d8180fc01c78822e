//! [`Edit`]: one value put into a message, `PID-5.1=DOE`.

use core::fmt;
use core::str::FromStr;

use hl7_message::{Charset, EditError, Location, LocationError, Message, loc};

/// A place and the value that goes there, for messages that shall differ in one thing.
///
/// Where the place is a whole field, the value is taken as HL7 text, delimiters and all; where it
/// is a component or a subcomponent, the value is data, and what looks like a delimiter is
/// escaped. Messages without the segment stay as they are.
///
/// ```
/// use medsynapse::synth::Edit;
///
/// let message = b"MSH|^~\\&|RIS\rPID|1||PAT789||SMITH^JOHN\r";
/// let edit: Edit = "PID-5.1=O&NEIL".parse()?;
/// assert_eq!(edit.apply(message)?, b"MSH|^~\\&|RIS\rPID|1||PAT789||O\\T\\NEIL^JOHN\r");
/// let edit: Edit = "PID-8=M".parse()?;
/// assert_eq!(edit.apply(message)?, b"MSH|^~\\&|RIS\rPID|1||PAT789||SMITH^JOHN|||M\r");
/// # Ok::<(), medsynapse::synth::InvalidEdit>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    location: Location,
    value: String,
}

/// An edit that cannot be read or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidEdit {
    /// There is no `=` between place and value.
    NoValue,
    /// The place is none.
    Location(LocationError),
    /// The place is a whole segment, or the delimiters themselves.
    NoField,
    /// The value has a line end, a framing byte, or a separator that would end its place.
    Value(Location),
    /// The character set of the message does not have a character of the value.
    Charset(Location, Charset),
    /// The message cannot be read.
    Message,
    /// The message cannot take the value in this place.
    Edit(EditError),
}

impl From<EditError> for InvalidEdit {
    fn from(error: EditError) -> Self {
        match error {
            EditError::RawBytes { location, .. } => Self::Value(location),
            error => Self::Edit(error),
        }
    }
}

impl fmt::Display for InvalidEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValue => f.write_str("write PLACE=VALUE, such as PID-5.1=DOE"),
            Self::Location(error) => error.fmt(f),
            Self::NoField => f.write_str("name a field behind MSH-2, such as PID-5.1"),
            Self::Value(at) => write!(
                f,
                "the value for {at} holds a separator or a line end that would end it; name a \
                 component to have it escaped"
            ),
            Self::Charset(at, charset) => write!(
                f,
                "the value for {at} has characters that are not in {charset}; choose another \
                 character set, for instance UTF-8"
            ),
            Self::Message => f.write_str("the message cannot be read"),
            Self::Edit(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for InvalidEdit {}

impl FromStr for Edit {
    type Err = InvalidEdit;

    fn from_str(text: &str) -> Result<Self, InvalidEdit> {
        let (place, value) = text.split_once('=').ok_or(InvalidEdit::NoValue)?;
        let location: Location = place.trim().parse().map_err(InvalidEdit::Location)?;
        Self::new(location, value)
    }
}

impl Edit {
    /// The same from a place and a value.
    ///
    /// ```
    /// use hl7_message::loc;
    /// use medsynapse::synth::Edit;
    ///
    /// assert_eq!(Edit::new(loc!("PID-5.1"), "DOE"), "PID-5.1=DOE".parse());
    /// assert!(Edit::new(loc!("MSH-2"), "#").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// A whole segment, and MSH-1 and MSH-2, which are the delimiters themselves.
    pub fn new(location: Location, value: impl Into<String>) -> Result<Self, InvalidEdit> {
        let header = location.segment_id().declares();
        match location.field_number() {
            None => Err(InvalidEdit::NoField),
            Some(1 | 2) if header => Err(InvalidEdit::NoField),
            Some(_) => Ok(Self {
                location,
                value: value.into(),
            }),
        }
    }

    /// The place.
    pub const fn location(&self) -> Location {
        self.location
    }

    /// Whether a message that is written in `charset` can take the value.
    ///
    /// # Errors
    ///
    /// A character that the set does not have.
    pub fn check(&self, charset: Charset) -> Result<(), InvalidEdit> {
        match charset.encode(&self.value) {
            Ok(_) => Ok(()),
            Err(_) => Err(InvalidEdit::Charset(self.location, charset)),
        }
    }

    /// Whether the message has the segment of the place.
    pub fn concerns(&self, message: &Message<'_>) -> bool {
        message.segment_at(self.location).is_some()
    }

    /// The message with the value in its place. A value beyond ASCII is written in the character
    /// set of the message, which is UTF-8 where MSH-18 is empty.
    ///
    /// # Errors
    ///
    /// A value that would end its place, or that the character set or the delimiters of the
    /// message do not have.
    pub fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, InvalidEdit> {
        let message = Message::parse(bytes).map_err(|_| InvalidEdit::Message)?;
        if !self.concerns(&message) {
            return Ok(bytes.to_vec());
        }
        let name = message.header().character_set().first();
        // A set that nobody knows is there on purpose, and no reason to stop.
        let known = Some(name).filter(|name| !name.is_empty());
        let charset = known
            .and_then(|name| Charset::from_msh18(name.as_bytes()).ok())
            .unwrap_or(Charset::UTF_8);
        let value = charset
            .encode(&self.value)
            .map_err(|_| InvalidEdit::Charset(self.location, charset))?;
        let mut edit = hl7_message::Edit::new(&message);
        if self.location.component_number().is_some() {
            edit.set_bytes(self.location, &value)?;
        } else {
            edit.set_raw(self.location, &value)?;
        }
        if !value.is_ascii() && name.is_empty() {
            edit.set(loc!("MSH-18"), Charset::UTF_8.name())?;
        }
        Ok(edit.apply())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &str =
        "MSH|^~\\&|RIS|H|||1||ORM^O01|M1|P|2.3\rPID|1||7~8^^A&B||DOE^JANE\rORC|NW\r";

    #[track_caller]
    fn check(edit: &str, from: &str, to: &str) {
        let edit: Edit = edit.parse().unwrap();
        let edited = edit.apply(MESSAGE.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(edited).unwrap(),
            MESSAGE.replace(from, to)
        );
    }

    #[test]
    fn a_place_that_is_there_is_replaced() {
        check("PID-5=X^Y", "DOE^JANE", "X^Y");
        check("PID-5.1=X", "DOE", "X");
        check("PID-5.2=a^b", "JANE", r"a\S\b");
        check("PID-3[2].3.2=C", "A&B", "A&C");
        check("PID-3[2]=9", "8^^A&B", "9");
        check("PID-3=", "7~8^^A&B", "");
        check("MSH-3=X", "RIS", "X");
        check("MSH-9.2=O02", "O01", "O02");
        check("ORC-1=CA", "NW", "CA");
    }

    #[test]
    fn a_place_that_is_not_there_is_added() {
        check("PID-8=F", "JANE", "JANE|||F");
        check("PID-5.4=JR", "JANE", "JANE^^JR");
        check("ORC-12.2=A|B", "NW", r"NW|||||||||||^A\F\B");
        check("PID-5[2].1.2=x", "JANE", "JANE~&x");
        check("MSH-18=8859/1", "2.3", "2.3||||||8859/1");
        check("OBR-2=x", "", "");
    }

    #[test]
    fn text_beyond_ascii_names_its_character_set() {
        check(
            "PID-5.1=MÜLLER",
            "P|2.3\rPID|1||7~8^^A&B||DOE",
            "P|2.3||||||UNICODE UTF-8\rPID|1||7~8^^A&B||MÜLLER",
        );
        let latin = MESSAGE.replace("2.3\r", "2.3||||||8859/1\r");
        let edit: Edit = "PID-5.1=MÜLLER".parse().unwrap();
        let edited = edit.apply(latin.as_bytes()).unwrap();
        assert!(edited.windows(6).any(|bytes| bytes == b"M\xDCLLER"));
        assert!(edit.check(Charset::ASCII).is_err() && edit.check(Charset::LATIN_1).is_ok());
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert_eq!("PID-5".parse::<Edit>(), Err(InvalidEdit::NoValue));
        assert!(matches!(
            "pid-5=1".parse::<Edit>(),
            Err(InvalidEdit::Location(_))
        ));
        for text in ["PID=1", "MSH-1=x", "MSH-2=x"] {
            assert_eq!(text.parse::<Edit>(), Err(InvalidEdit::NoField));
        }
        let edit: Edit = "PID-5=a|b".parse().unwrap();
        assert!(matches!(
            edit.apply(MESSAGE.as_bytes()),
            Err(InvalidEdit::Value(_))
        ));
    }

    #[test]
    fn what_is_empty_grows_its_delimiters() {
        for (pid, edit, expected) in [
            ("PID|1", "PID-5.2=JANE", "PID|1||||^JANE"),
            ("PID", "PID-1=1", "PID|1"),
            ("PID|1||77", "PID-3[3].2.2=x", "PID|1||77~~^&x"),
            ("PID|1||77", "PID-3.4=x", "PID|1||77^^^x"),
            ("PID|1", "PID-5=", "PID|1"),
            ("PID|1||||D", "PID-5=", "PID|1||||"),
            ("PID|1||||D", "PID-5=\"\"", "PID|1||||\"\""),
        ] {
            let message = format!("MSH|^~\\&|A\r{pid}\rPV1|1\r");
            let edit: Edit = edit.parse().unwrap();
            let edited = String::from_utf8(edit.apply(message.as_bytes()).unwrap()).unwrap();
            assert_eq!(edited, message.replace(pid, expected));
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
            let original = format!("MSH|^~\\&|A|||||||7\r{pid}\rPV1|1\r");
            // What stands behind the three letters may not be a fourth.
            prop_assume!(pid.len() == 3 || pid.as_bytes()[3] == b'|');
            let edit = Edit::new(location, value.clone()).unwrap();
            let edited = edit.apply(original.as_bytes()).unwrap();
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
