//! JSON to a [`Request`], with all that is wrong.

use std::collections::BTreeMap;

use hl7_message::{AckCode, Location};
use serde_json::{Map, Value};

use super::error::{Errors, Problem};
use super::form::Form;
use super::request::{AckError, Request};
use super::{date, name, status, unique};
use crate::interpret::fields::{Oddity, oddity};
use crate::map::{Attribute, Detail, Kind, Member, Patch};
use crate::rejection::Warning;

pub(super) const EMPTY: &str = "is empty; leave it out to keep the value, null clears it";

/// Members that answers have and requests may repeat: they change nothing.
pub(super) const READ_ONLY: [&str; 3] = ["status", "createdAt", "updatedAt"];
const READ_ONLY_OUTSIDE: [&str; 2] = ["warnings", "_map"];
const SHORT: [(&str, Attribute); 3] = [
    ("patientId", Attribute::PatientId),
    ("study", Attribute::ScheduledProcedureStepDescription),
    ("priority", Attribute::Priority),
];
/// Most entries of `acknowledgement.errors`.
const ACK_ERRORS_MAX: usize = 1_000;

impl Request {
    /// Reads a document of domain JSON.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: no JSON, a member that is given twice or that the form does
    /// not have, a value of the wrong type, an empty text, a value that its field cannot have.
    /// Whether something is missing is asked by [`to_message`](super::to_message).
    ///
    /// ```
    /// use medsynapse::Attribute;
    /// use medsynapse::domain::{Form, Request};
    ///
    /// let request = Request::from_slice(
    ///     br#"{"patientId": "12345", "study": "CT CHEST", "priority": "ROUTINE"}"#,
    /// )?;
    /// assert_eq!(request.form(), Form::Order);
    /// assert_eq!(request.text(Attribute::ScheduledProcedureStepDescription), Some("CT CHEST"));
    ///
    /// let errors = Request::from_slice(br#"{"order": {"patient": {"id": 7}, "studies": {}}}"#);
    /// let errors = errors.unwrap_err();
    /// assert_eq!(errors.problems()[0].json_pointer, "/order/patient/id");
    /// assert_eq!(errors.problems()[0].to_string(), "/order/patient/id is not text (PID-3.1)");
    /// assert_eq!(errors.problems()[1].code, "unknown-member");
    /// # Ok::<(), medsynapse::domain::Errors>(())
    /// ```
    pub fn from_slice(json: &[u8]) -> Result<Self, Errors> {
        Self::from_value(&unique::from_slice(json)?)
    }

    /// Reads a document of domain JSON that was parsed already.
    ///
    /// # Errors
    ///
    /// As [`Request::from_slice`].
    pub fn from_value(document: &Value) -> Result<Self, Errors> {
        let Value::Object(map) = document else {
            let text = "is not an object";
            return Err(Errors::one(Problem::of("", None, "wrong-type", text)));
        };
        let forms: Vec<Form> = Form::ALL
            .into_iter()
            .filter(|form| map.contains_key(form.name()))
            .collect();
        let short = SHORT.iter().any(|(name, _)| map.contains_key(*name));
        let form = match (forms.as_slice(), short) {
            ([form], false) => *form,
            ([], true) => Form::Order,
            ([], false) => {
                let text = "has none of order, report, patient, merge, acknowledgement";
                return Err(Errors::one(Problem::of("", None, "no-form", text)));
            }
            _ => {
                let text = "has more than one of order, report, patient, merge, acknowledgement \
                            and the short order form; send one at a time";
                return Err(Errors::one(Problem::of("", None, "two-forms", text)));
            }
        };
        let mut parser = Parser {
            form,
            problems: Vec::new(),
            values: BTreeMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        parser.document(map, short);
        if !parser.problems.is_empty() {
            return Err(Errors(parser.problems));
        }
        Ok(Self {
            form,
            values: parser.values,
            errors: parser.errors,
            warnings: parser.warnings,
            short,
        })
    }
}

struct Parser {
    form: Form,
    problems: Vec<Problem>,
    values: BTreeMap<Member, Patch>,
    errors: Vec<AckError>,
    warnings: Vec<Warning>,
}

impl Parser {
    fn document(&mut self, map: &Map<String, Value>, short: bool) {
        for (key, value) in map {
            let own = SHORT.iter().find(|(name, _)| short && name == key);
            if let Some(&(name, attribute)) = own {
                self.value(attribute.into(), value, &format!("/{name}"));
            } else if key == self.form.name() {
                let pointer = format!("/{key}");
                match value {
                    Value::Object(map) => self.object(map, "", &pointer),
                    _ => self.wrong(&pointer, None, "wrong-type", "is not an object"),
                }
            } else if READ_ONLY_OUTSIDE.contains(&key.as_str()) {
                self.read_only(key);
            } else {
                self.unknown("", key);
            }
        }
    }

    fn object(&mut self, map: &Map<String, Value>, prefix: &str, pointer: &str) {
        for (key, value) in map {
            let name = format!("{prefix}{key}");
            let below = format!("{pointer}/{}", escaped(key));
            // A full stop in a key would look like a member of a member.
            let known = !key.contains('.');
            if let Some(member) = self.form.member(&name).filter(|_| known) {
                self.value(member, value, &below);
            } else if known && self.form.is_object(&name) {
                match value {
                    Value::Object(map) => self.object(map, &format!("{name}."), &below),
                    _ => self.wrong(&below, None, "wrong-type", "is not an object"),
                }
            } else if prefix.is_empty() && READ_ONLY.contains(&key.as_str()) {
                self.read_only(key);
            } else if self.form == Form::Acknowledgement && name == "errors" {
                self.ack_errors(value, &below);
            } else {
                self.unknown(pointer, key);
            }
        }
    }

    /// A member that the form does not have. Its name is repeated only where it looks like one.
    fn unknown(&mut self, pointer: &str, key: &str) {
        let plain = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let problem = if plain {
            let below = format!("{pointer}/{key}");
            Problem::of(below, None, "unknown-member", "is an unknown member")
        } else {
            Problem::of(pointer, None, "unknown-member", "has an unknown member")
        };
        self.problems.push(problem);
    }

    fn read_only(&mut self, key: &str) {
        self.warnings.push(Warning {
            code: "read-only-member",
            location: None,
            message: format!("{key} cannot be set and is not read"),
        });
    }

    fn wrong(&mut self, pointer: &str, path: Option<Location>, code: &'static str, text: &str) {
        self.problems.push(Problem::of(pointer, path, code, text));
    }

    fn value(&mut self, member: Member, value: &Value, pointer: &str) {
        let path = Some(member.location());
        match read(member, value) {
            Ok((said, odd)) => {
                self.warnings.extend(odd.map(|(code, what)| Warning {
                    code,
                    location: path,
                    message: format!("{} {what}", member.location()),
                }));
                self.values.insert(member, said);
            }
            Err(wrongs) => {
                for (below, code, what) in wrongs {
                    let below = below.map_or(String::new(), |part| format!("/{part}"));
                    let pointer = format!("{pointer}{below}");
                    self.problems.push(Problem::of(pointer, path, code, what));
                }
            }
        }
    }

    fn ack_errors(&mut self, value: &Value, pointer: &str) {
        let Value::Array(list) = value else {
            self.wrong(pointer, None, "wrong-type", "is not a list");
            return;
        };
        if list.len() > ACK_ERRORS_MAX {
            self.wrong(pointer, None, "too-long", "has more than 1000 entries");
            return;
        }
        for (n, entry) in list.iter().enumerate() {
            let pointer = format!("{pointer}/{n}");
            let Value::Object(map) = entry else {
                self.wrong(&pointer, None, "wrong-type", "is not an object");
                continue;
            };
            if map.is_empty() {
                self.wrong(&pointer, None, "empty-text", "says nothing; leave it out");
            }
            let mut error = AckError {
                path: None,
                code: None,
                message: None,
            };
            for (key, value) in map {
                let below = format!("{pointer}/{}", escaped(key));
                let slot = match key.as_str() {
                    "path" => {
                        let location = value.as_str().and_then(|text| text.parse().ok());
                        match location {
                            Some(_) => error.path = location,
                            None => self.wrong(&below, None, "wrong-type", "is no path of HL7"),
                        }
                        continue;
                    }
                    "code" => &mut error.code,
                    "message" => &mut error.message,
                    _ => {
                        self.unknown(&pointer, key);
                        continue;
                    }
                };
                match value {
                    Value::String(text) if text.trim().is_empty() => {
                        self.wrong(&below, None, "empty-text", EMPTY);
                    }
                    Value::String(text) => *slot = Some(text.clone()),
                    _ => self.wrong(&below, None, "wrong-type", "is not text"),
                }
            }
            self.errors.push(error);
        }
    }
}

/// A key inside a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

type Odd = Option<(&'static str, &'static str)>;

/// Reads the value of a member.
fn read(member: Member, value: &Value) -> Result<(Patch, Odd), Vec<name::Wrong>> {
    if member.kind() == Kind::Name {
        return name::from_json(value).map(|patch| (patch, None));
    }
    let text = match (member.kind(), value) {
        (_, Value::Null) => return Ok((Patch::Clear, None)),
        (Kind::Decimal, Value::Number(number)) => match number.as_i64() {
            Some(number) => number.to_string(),
            // `Display` of a float has no exponent, as NM wants it.
            None => number.as_f64().unwrap_or(f64::NAN).to_string(),
        },
        (Kind::Decimal, _) => return Err(vec![(None, "wrong-type", "is not a number")]),
        (_, Value::String(text)) => text.clone(),
        _ => return Err(vec![(None, "wrong-type", "is not text")]),
    };
    if text.trim().is_empty() {
        return Err(vec![(None, "empty-text", EMPTY)]);
    }
    check(member, text).map_err(|(code, what)| vec![(None, code, what)])
}

/// Text as it is kept, if the member can have it.
fn check(member: Member, mut text: String) -> Result<(Patch, Odd), (&'static str, &'static str)> {
    match member.kind() {
        Kind::DateTime | Kind::Date => {
            text = date::to_hl7(&text).ok_or((
                "not-a-date",
                "is not a date or time; write it as HL7 or RFC 3339 does",
            ))?;
        }
        Kind::Sex | Kind::Modality | Kind::Uid => text = trimmed(&text),
        Kind::Text | Kind::Name | Kind::Decimal => {}
    }
    // How long it may be is asked where a message is made of it.
    if member.characters_max().is_some() {
        text = trimmed(&text);
    }
    if member.is_key() && text.chars().any(char::is_control) {
        return Err(("control-characters", "holds control characters"));
    }
    if let Member::Detail(detail) = member {
        text = detail_text(detail, text)?;
    }
    let odd = match oddity(member.kind(), &text) {
        None => None,
        Some(Oddity::Taken(code, what)) => Some((code, what)),
        Some(Oddity::Unusable(code, what)) => return Err((code, what)),
        Some(Oddity::Refused(what)) => return Err(("not-in-table", what)),
    };
    Ok((Patch::Set(text.into()), odd))
}

fn trimmed(text: &str) -> String {
    text.trim().to_owned()
}

fn detail_text(detail: Detail, text: String) -> Result<String, (&'static str, &'static str)> {
    match detail {
        Detail::ResultStatus => status::code(text.trim()).map(str::to_owned).ok_or((
            "not-in-table",
            "is none of COMPLETED, READ, FINAL, PRINTED or a code of table 0085",
        )),
        Detail::ResultFormat => match text.trim() {
            format @ ("TX" | "RTF") => Ok(format.to_owned()),
            _ => Err(("not-in-table", "is neither TX nor RTF")),
        },
        Detail::ResultContent => Ok(text.replace("\r\n", "\n").replace('\r', "\n")),
        Detail::AckCode => match text.trim().parse::<AckCode>() {
            Ok(code) => Ok(code.as_str().to_owned()),
            Err(_) => Err((
                "not-in-table",
                "is not an acknowledgement code, such as AA, AE, AR",
            )),
        },
        Detail::OrderControl => Ok(text.trim().to_owned()),
        Detail::PatientClass
        | Detail::ResultDate
        | Detail::RadiologistId
        | Detail::RadiologistName
        | Detail::FromPatientId
        | Detail::IntoPatientId
        | Detail::AckControlId
        | Detail::AckText => Ok(text),
    }
}
