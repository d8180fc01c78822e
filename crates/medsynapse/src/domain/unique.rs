//! JSON in which no member is given twice.

use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::{Errors, Problem};

const TWICE: &str = "member twice";

/// Parses JSON; a member that is given twice is refused, for nobody knows which one is meant.
pub(super) fn from_slice(json: &[u8]) -> Result<Value, Errors> {
    serde_json::from_slice::<Unique>(json)
        .map(|unique| unique.0)
        .map_err(|error| {
            // What serde_json says can quote a value: only the place is kept.
            let (code, what) = if error.is_data() && error.to_string().starts_with(TWICE) {
                (
                    "duplicate-member",
                    "has a member that is given twice, before",
                )
            } else {
                ("syntax", "is not JSON at")
            };
            let text = format!("{what} line {}, column {}", error.line(), error.column());
            Errors::one(Problem::of("", None, code, text))
        })
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let Unique(value) = map.next_value()?;
            if values.insert(key, value).is_some() {
                return Err(Error::custom(TWICE));
            }
        }
        Ok(Value::Object(values))
    }
}
