//! Names of people: `"SMITH, JOHN"`, `"SMITH^JOHN"` or an object; XPN inside.

use hl7_message::{Separators, escape};
use serde_json::{Map, Value};

use crate::map::Patch;
use crate::person_name::escaped;

/// The members of a name, XPN.1 to XPN.5.
pub(super) const PARTS: [&str; 5] = ["family", "given", "middle", "suffix", "prefix"];

/// What is wrong with a name: below which member of it, the code, and what.
pub(super) type Wrong = (Option<&'static str>, &'static str, &'static str);

/// Reads a name; [`Patch::Set`] holds an XPN under the usual delimiters.
pub(super) fn from_json(value: &Value) -> Result<Patch, Vec<Wrong>> {
    match value {
        Value::Null => Ok(Patch::Clear),
        Value::String(text) => from_text(text).map_err(|wrong| vec![wrong]),
        Value::Object(map) => from_object(map),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(vec![(
            None,
            "wrong-type",
            "is neither text nor an object of family, given, middle, suffix, prefix",
        )]),
    }
}

fn from_text(text: &str) -> Result<Patch, Wrong> {
    let parts: Vec<&str> = if text.contains('^') {
        text.split('^').collect()
    } else if let Some((family, given)) = text.split_once(',') {
        vec![family, given]
    } else {
        vec![text]
    };
    if parts.len() > PARTS.len() {
        return Err((None, "too-many-parts", "has more than five parts"));
    }
    let parts: Vec<Option<&str>> = parts.into_iter().map(|part| Some(part.trim())).collect();
    if parts.iter().all(|part| part.is_none_or(str::is_empty)) {
        return Err((None, "empty-text", super::parse::EMPTY));
    }
    Ok(Patch::Set(xpn(&parts).into()))
}

fn from_object(map: &Map<String, Value>) -> Result<Patch, Vec<Wrong>> {
    let mut wrong = Vec::new();
    if map.keys().any(|key| !PARTS.contains(&key.as_str())) {
        wrong.push((
            None,
            "unknown-member",
            "has a member that is none of family, given, middle, suffix, prefix",
        ));
    }
    let mut parts = [Some(""); 5];
    for (slot, part) in parts.iter_mut().zip(PARTS) {
        match map.get(part) {
            None => {}
            Some(Value::Null) => *slot = None,
            Some(Value::String(text)) if text.trim().is_empty() => {
                wrong.push((Some(part), "empty-text", super::parse::EMPTY));
            }
            Some(Value::String(text)) => *slot = Some(text),
            Some(_) => wrong.push((Some(part), "wrong-type", "is not text")),
        }
    }
    if wrong.is_empty() && map.is_empty() {
        wrong.push((None, "empty-text", super::parse::EMPTY));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let text = xpn(&parts);
    Ok(if text == "\"\"" {
        Patch::Clear
    } else {
        Patch::Set(text.into())
    })
}

/// An XPN under the usual delimiters; `None` is HL7's `""`.
fn xpn(parts: &[Option<&str>]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| part.map_or_else(|| "\"\"".to_owned(), escaped))
        .collect();
    let mut text = parts.join("^");
    text.truncate(text.trim_end_matches('^').len());
    text
}

/// The object of an XPN under the usual delimiters.
pub(super) fn to_json(xpn: &str) -> Value {
    let mut map = Map::new();
    for (name, part) in PARTS.into_iter().zip(xpn.split('^')) {
        let leaf = part.split('&').next().unwrap_or_default();
        if leaf == "\"\"" {
            map.insert(name.into(), Value::Null);
        } else if !leaf.is_empty() {
            let data = escape::unescape(leaf.as_bytes(), &Separators::DEFAULT);
            let text = String::from_utf8_lossy(&data).into_owned();
            map.insert(name.into(), text.into());
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(name: &Value, xpn: &str) {
        assert!(from_json(name) == Ok(Patch::Set(xpn.into())), "{name}");
    }

    #[test]
    fn three_spellings() {
        check(&json!("SMITH, JOHN"), "SMITH^JOHN");
        check(&json!("SMITH,JOHN Q"), "SMITH^JOHN Q");
        check(&json!("SMITH^JOHN^Q^JR^DR"), "SMITH^JOHN^Q^JR^DR");
        check(&json!("SMITH"), "SMITH");
        check(&json!({"family": "SMITH", "given": "JOHN"}), "SMITH^JOHN");
        check(&json!({"given": "JOHN", "prefix": "DR"}), "^JOHN^^^DR");
        check(&json!({"family": "SMITH", "given": null}), "SMITH^\"\"");
        check(&json!("SMITH^^Q"), "SMITH^^Q");
    }

    #[test]
    fn delimiters_in_a_part_are_text() {
        check(&json!("A&B~C|D, E\\F"), r"A\T\B\R\C\F\D^E\E\F");
        check(&json!({"family": "A^B\r"}), r"A\S\B\X0D\");
        check(&json!({"family": "\"\"", "given": "X"}), "\\X22\\\"^X");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [
            json!(""),
            json!(" ,"),
            json!("^^"),
            json!(7),
            json!(["A"]),
            json!({}),
            json!({"family": ""}),
            json!({"nick": "A"}),
            json!({"family": 1}),
            json!("1^2^3^4^5^6"),
        ] {
            assert!(from_json(&name).is_err(), "{name}");
        }
        assert!(from_json(&json!(null)) == Ok(Patch::Clear));
        assert!(from_json(&json!({"family": null})) == Ok(Patch::Clear));
    }

    #[test]
    fn there_and_back() {
        for name in [
            json!({"family": "SMITH", "given": "JOHN"}),
            json!({"family": "A&B^C", "suffix": "\"\""}),
            json!({"family": "SMITH", "given": null, "prefix": "DR"}),
        ] {
            let Ok(Patch::Set(xpn)) = from_json(&name) else {
                panic!()
            };
            assert_eq!(to_json(&xpn), name);
        }
    }
}
