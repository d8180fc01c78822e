//! The `serde` feature: what stands for itself in a configuration or a report, as text.

use core::fmt::{self, Display};
use core::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::ack::AckCode;
use crate::diagnostic::Diagnostic;
use crate::location::Location;
use crate::segment::SegmentId;
use crate::separators::Separators;
use crate::timestamp::Timestamp;

/// Text that is read by a function.
struct Text<T> {
    what: &'static str,
    read: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }
}

fn from_text<T>(text: &str) -> Result<T, String>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error: T::Err| error.to_string())
}

macro_rules! as_text {
    ($($kind:ident: $what:literal),* $(,)?) => {
        $(
            #[doc = concat!("As ", $what, ".")]
            impl Serialize for $kind {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            #[doc = concat!("From ", $what, ".")]
            impl<'de> Deserialize<'de> for $kind {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_str(Text {
                        what: $what,
                        read: from_text,
                    })
                }
            }
        )*
    };
}

as_text! {
    Location: "a location such as PID-5.2",
    SegmentId: "the name of a segment such as PID",
    Timestamp: "a time stamp such as 20230614131415",
    AckCode: "a code of table 0008 such as AA",
}

/// MSH-1 and MSH-2 in one, as `|^~\&`.
impl Serialize for Separators {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = [vec![self.field()], self.encoding_characters()].concat();
        serializer.serialize_str(&String::from_utf8_lossy(&bytes))
    }
}

/// From MSH-1 and MSH-2 in one, as `|^~\&`.
impl<'de> Deserialize<'de> for Separators {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            what: r"the delimiters of a message such as |^~\&",
            read: |text| {
                let (field, rest) = text.as_bytes().split_at_checked(1).unwrap_or_default();
                Separators::parse(field, rest).map_err(|error| error.to_string())
            },
        })
    }
}

#[cfg(feature = "charset")]
const _: () = {
    use crate::charset::Charset;

    /// As its name in MSH-18.
    impl Serialize for Charset {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(self.name())
        }
    }

    /// From a name in MSH-18.
    impl<'de> Deserialize<'de> for Charset {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Text {
                what: "a character set such as UNICODE UTF-8",
                read: |name| {
                    Charset::from_msh18(name.as_bytes()).map_err(|error| error.to_string())
                },
            })
        }
    }
};

/// As offset, location where there is one, and what it is in words.
impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut told = serializer.serialize_struct("Diagnostic", 3)?;
        told.serialize_field("offset", &self.offset)?;
        told.serialize_field("location", &self.location)?;
        told.serialize_field("kind", &self.kind.to_string())?;
        told.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, loc};
    use serde_json::{from_str, from_value, json, to_value};

    #[track_caller]
    fn check<T>(value: &T, text: &str)
    where
        T: Serialize + for<'de> Deserialize<'de> + PartialEq + fmt::Debug,
    {
        assert_eq!(to_value(value).unwrap(), json!(text));
        assert_eq!(&from_value::<T>(json!(text)).unwrap(), value);
    }

    #[test]
    fn values_go_there_and_back_as_text() {
        check(&loc!("PID-3[2].4.1"), "PID-3[2].4.1");
        check(&SegmentId::OBR, "OBR");
        check(
            &"202306141314+0200".parse::<Timestamp>().unwrap(),
            "202306141314+0200",
        );
        check(&AckCode::ApplicationError, "AE");
        check(&Separators::DEFAULT, r"|^~\&");
        check(&Separators::parse(b"@", b"~#").unwrap(), "@~#");
        #[cfg(feature = "charset")]
        check(&crate::Charset::LATIN_1, "8859/1");
    }

    #[test]
    fn other_text_is_refused_with_the_reason() {
        let error = from_str::<Location>(r#""PID-0""#).unwrap_err().to_string();
        assert!(error.contains("a number from 1 to 65535"), "{error}");
        let error = from_str::<Separators>(r#""|^^""#).unwrap_err().to_string();
        assert!(error.contains("the same character"), "{error}");
        assert!(from_str::<Separators>(r#""""#).is_err());
        let error = from_str::<AckCode>("7").unwrap_err().to_string();
        assert!(error.contains("a code of table 0008"), "{error}");
    }

    #[test]
    fn diagnostics_are_told() {
        let message = Message::parse(b"MSH|^~\\&|RIS\nPID|\x01\n").unwrap();
        assert_eq!(
            to_value(message.diagnostics()).unwrap(),
            json!([
                {"offset": 12, "location": "MSH", "kind": "segments do not end in CR"},
                {"offset": 17, "location": "PID-1.1.1", "kind": "a control character"},
            ])
        );
    }
}
