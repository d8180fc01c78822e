//! [`from_message`]: a message as domain JSON.

use std::collections::HashSet;

use hl7_message::{AckCode, Charset, Location, Message, SegmentId, Value as Leaf, loc};
use serde_json::{Map, Value};

use super::form::Form;
use super::unmapped::unmapped;
use super::write::{Origin, path_of, to_map};
use super::{date, name, status};
use crate::interpret::fields::{Oddity, oddity};
use crate::interpret::report::decoded_text;
use crate::map::{Detail, Kind, Mapping, Member, ROWS};
use crate::rejection::Warning;
use crate::report::ReportFormat;

/// How dates are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dates {
    /// As HL7 writes them, at the precision that was sent.
    #[default]
    Hl7,
    /// RFC 3339; `dates=iso`.
    Iso,
}

/// How a message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How dates are shown.
    pub dates: Dates,
    /// The offset from UTC, in minutes, of times that have none: RFC 3339 wants one.
    pub utc_offset_minutes: i16,
    /// Whether `_map` says where each member came from.
    pub explain: bool,
    /// What text is read in where MSH-18 is empty.
    pub default_charset: Charset,
    /// Most entries of `warnings`; one more tells how many there are beyond.
    pub warnings_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dates: Dates::Hl7,
            utc_offset_minutes: 0,
            explain: false,
            default_charset: Charset::UTF_8,
            warnings_max: 200,
        }
    }
}

/// A message that the domain form does not cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "MSH-9 names a message without a domain form; there are ORM^O01, ORU^R01, ADT^A08, ADT^A40 and ACK"
)]
pub struct NotMapped;

/// A message as domain JSON: `{"order": {…}, "warnings": […]}`.
///
/// Everything in the message that has no member, and everything odd, is listed in `warnings`,
/// which is left out where there are none. What cannot be shown as its member (a date that is
/// none) is left out and listed too.
///
/// # Errors
///
/// A message of another type.
///
/// ```
/// use hl7_message::Message;
/// use medsynapse::domain::{Options, from_message};
/// use serde_json::json;
///
/// let bytes = b"MSH|^~\\&|PACS_APP|PACS_FACILITY|API_GATEWAY|FACILITY|20230614151617||ORU^R01|ACK123|P|2.3\r\
/// PID|1||PAT789||SMITH^JOHN||19800101|M\r\
/// OBR|1|ACC123456||CT123^CT CHEST\r\
/// OBX||TX|CT123^CT CHEST||Normal study.\\X0D\\\\X0A\\Lungs are clear.||||||F\r";
/// let json = from_message(&Message::parse(bytes)?, &Options::default())?;
/// assert_eq!(json["report"]["patient"]["name"], json!({"family": "SMITH", "given": "JOHN"}));
/// assert_eq!(
///     json["report"]["result"],
///     json!({"status": "FINAL", "content": "Normal study.\nLungs are clear."})
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_message(message: &Message<'_>, options: &Options) -> Result<Value, NotMapped> {
    let form = Form::of(message).ok_or(NotMapped)?;
    let mut reader = Reader {
        message,
        form,
        charset: Charset::ASCII,
        options,
        taken: Taken::default(),
        warnings: Vec::new(),
        origins: Vec::new(),
    };
    reader.charset = reader.find_charset();
    let body = reader.body();
    let taken = std::mem::take(&mut reader.taken);
    unmapped(message, form, &taken, &mut reader.warnings);
    let mut document = Map::new();
    document.insert(form.name().into(), Value::Object(body));
    if !reader.warnings.is_empty() {
        let list = warnings_json(&reader.warnings, options.warnings_max);
        document.insert("warnings".into(), list);
    }
    if options.explain {
        document.insert("_map".into(), Value::Object(to_map(&reader.origins)));
    }
    Ok(Value::Object(document))
}

/// `[{code, path, message}]`, at most `max` and one that tells of the others.
pub fn warnings_json(warnings: &[Warning], max: usize) -> Value {
    let entry = |code: &str, path: Option<String>, message: &str| {
        let mut map = Map::new();
        map.insert("code".into(), code.into());
        if let Some(path) = path {
            map.insert("path".into(), path.into());
        }
        map.insert("message".into(), message.into());
        Value::Object(map)
    };
    let shown = warnings.iter().take(max).map(|warning| {
        let path = warning.location.map(|location| location.to_string());
        entry(warning.code, path, &warning.message)
    });
    let mut list: Vec<Value> = shown.collect();
    if let Some(more) = warnings.len().checked_sub(max).filter(|&more| more > 0) {
        let text = format!("{more} more warnings are not listed");
        list.push(entry("more-warnings", None, &text));
    }
    Value::Array(list)
}

/// The places that a form has read, in first segments and first repetitions.
#[derive(Default)]
pub(super) struct Taken {
    fields: HashSet<(SegmentId, u16)>,
    leaves: HashSet<(SegmentId, u16, u16, u16)>,
}

impl Taken {
    fn leaf(&mut self, at: Location) {
        if let Some(field) = at.field_number() {
            let component = at.component_number().unwrap_or(1);
            let leaf = at.subcomponent_number().unwrap_or(1);
            let id = at.segment_id();
            self.leaves.insert((id, field, component, leaf));
        }
    }

    fn field(&mut self, at: Location) {
        if let Some(field) = at.field_number() {
            self.fields.insert((at.segment_id(), field));
        }
    }

    pub(super) fn has_field(&self, id: SegmentId, field: u16) -> bool {
        self.fields.contains(&(id, field))
    }

    pub(super) fn has_leaf(&self, id: SegmentId, place: [u16; 4]) -> bool {
        let [field, repetition, component, leaf] = place;
        repetition == 1 && self.leaves.contains(&(id, field, component, leaf))
    }
}

/// What a place says.
enum Read {
    Absent,
    Null,
    Text(String),
}

struct Reader<'r, 'a> {
    message: &'r Message<'a>,
    form: Form,
    charset: Charset,
    options: &'r Options,
    taken: Taken,
    warnings: Vec<Warning>,
    origins: Vec<Origin>,
}

impl Reader<'_, '_> {
    fn find_charset(&mut self) -> Charset {
        let name = self.message.header().character_set();
        if name.is_empty() {
            return self.options.default_charset;
        }
        Charset::from_msh18(name.first().as_bytes()).unwrap_or_else(|_| {
            let text = "names no known character set; read as UTF-8";
            self.warn("unknown-charset", loc!("MSH-18"), text);
            Charset::UTF_8
        })
    }

    fn warn(&mut self, code: &'static str, at: Location, what: &str) {
        self.warnings.push(Warning {
            code,
            location: Some(at),
            message: format!("{at} {what}"),
        });
    }

    fn body(&mut self) -> Map<String, Value> {
        let mut body = Map::new();
        for &member in self.form.members() {
            if let Some((at, value)) = self.member(member) {
                let name = self.form.name_of(member);
                insert(&mut body, name, value);
                self.origins.push(Origin {
                    member: format!("{}.{name}", self.form.name()),
                    path: at,
                    made_up: None,
                });
            }
        }
        if self.form == Form::Acknowledgement {
            let errors = self.ack_errors();
            body.insert("errors".into(), Value::Array(errors));
        }
        self.missing(&body);
        body
    }

    /// Mandatory fields that the message does not have.
    fn missing(&mut self, body: &Map<String, Value>) {
        let control = body.get("orderControl").and_then(Value::as_str);
        let whole = self.form == Form::Order && !matches!(control, Some("CA" | "CM"));
        if self.form == Form::Order && control.is_none() {
            self.warn("missing", Detail::OrderControl.location(), "is missing");
        }
        let mandatory = ROWS.iter().filter(|row| whole && row.mandatory);
        let mandatory = mandatory.map(|row| Member::from(row.attribute));
        let required = self.form.required().iter().copied();
        let members: Vec<Member> = required.filter(|_| !whole).chain(mandatory).collect();
        for member in members {
            let at = member.location();
            let said = self.warnings.iter().any(|w| w.location == Some(at));
            if find(body, self.form.name_of(member)).is_none_or(Value::is_null) && !said {
                self.warn("missing", at, "is mandatory and missing");
            }
        }
    }

    /// The value of a member and where it was found.
    fn member(&mut self, member: Member) -> Option<(Location, Value)> {
        if let Member::Detail(Detail::ResultContent) = member {
            return self.content();
        }
        if member.kind() == Kind::Name {
            return self.name(member).map(|value| (path_of(member), value));
        }
        let (at, read) = self.sources(member);
        let text = match read {
            Read::Absent => return None,
            Read::Null => return Some((at, Value::Null)),
            Read::Text(text) => text,
        };
        match member {
            Member::Detail(detail) => self.detail(detail, at, text),
            Member::Attribute(attribute) => self.typed(attribute.into(), at, text),
        }
        .map(|value| (at, value))
    }

    /// What the places of a member say: the first one that says anything.
    fn sources(&mut self, member: Member) -> (Location, Read) {
        let Member::Attribute(attribute) = member else {
            let at = member.location();
            return (at, self.leaf(at));
        };
        let row = attribute.row();
        let own = row.report_source.filter(|_| self.form == Form::Report);
        if let Some(at) = own {
            let read = self.leaf(at);
            if let Read::Text(text) = &read {
                self.same_as(row.location(), at, text);
                return (at, read);
            }
        }
        for &at in row.sources(Mapping::Medsynapse) {
            let read = self.leaf(at);
            if !matches!(read, Read::Absent) {
                return (at, read);
            }
        }
        (row.location(), Read::Absent)
    }

    /// A value that stands in two places is read at the first.
    fn same_as(&mut self, at: Location, first: Location, text: &str) {
        let differs = match self.leaf(at) {
            Read::Absent => false,
            Read::Null => true,
            Read::Text(other) => other != text,
        };
        if differs {
            let what = format!("says something else than {first} and is left out");
            self.warn("differs", at, &what);
        }
    }

    /// The text of one leaf.
    fn leaf(&mut self, at: Location) -> Read {
        let leaf = match self.message.value(at) {
            Leaf::Absent => return Read::Absent,
            Leaf::Null => {
                self.taken.leaf(at);
                return Read::Null;
            }
            Leaf::Text(leaf) => leaf,
        };
        self.taken.leaf(at);
        match self.charset.decode(&leaf.unescape()) {
            Ok(text) if text.trim().is_empty() => {
                self.warn("blank", at, "holds white space alone and is left out");
                Read::Absent
            }
            Ok(text) => Read::Text(text.into_owned()),
            Err(_) => {
                let what = format!("has bytes that are not {} and is left out", self.charset);
                self.warn("not-text", at, &what);
                Read::Absent
            }
        }
    }

    /// Text as the value of a member; `None`, and a warning, where it cannot be one.
    fn typed(&mut self, member: Member, at: Location, mut text: String) -> Option<Value> {
        let kind = member.kind();
        if kind != Kind::Text || member.characters_max().is_some() {
            text = text.trim().to_owned();
        }
        if member.is_key() && text.chars().any(char::is_control) {
            self.warn(
                "control-characters",
                at,
                "holds control characters; left out",
            );
            return None;
        }
        if let Some(max) = member
            .characters_max()
            .filter(|&max| text.chars().count() > max)
        {
            self.warn("too-long", at, &format!("is longer than {max} characters"));
        }
        match oddity(kind, &text) {
            None => {}
            Some(Oddity::Taken(code, what)) => self.warn(code, at, what),
            Some(Oddity::Unusable(code, what)) => {
                self.warn(code, at, &format!("{what}; left out"));
                return None;
            }
            Some(Oddity::Refused(what)) => {
                self.warn("not-in-table", at, &format!("{what}; left out"));
                return None;
            }
        }
        let (value, assumed) = value_of(kind, &text, self.options);
        if assumed {
            let what = "has no offset from UTC; the configured one is shown";
            self.warn("assumed-offset", at, what);
        }
        Some(value)
    }

    fn detail(&mut self, detail: Detail, at: Location, text: String) -> Option<Value> {
        let code = text.trim();
        match detail {
            Detail::OrderControl => {
                if self.form == Form::Order && !matches!(code, "NW" | "XO" | "CA" | "CM") {
                    let what = "is none of NW, XO, CA, CM; the broker refuses it";
                    self.warn("other-order-control", at, what);
                }
                Some(code.into())
            }
            Detail::ResultStatus => match status::word(code) {
                Some((word, true)) => Some(word.into()),
                Some((code, false)) => {
                    let what = "is a code of table 0085 without a word here";
                    self.warn("other-status", at, what);
                    Some(code.into())
                }
                None => {
                    self.warn("not-in-table", at, "is not in table 0085; left out");
                    None
                }
            },
            Detail::ResultFormat => match ReportFormat::from_code(code) {
                Some(ReportFormat::RichText) => Some("RTF".into()),
                Some(ReportFormat::Text) => {
                    if code != "TX" {
                        self.warn("other-format", at, "is read as plain text, TX");
                    }
                    // Plain text goes without saying.
                    None
                }
                None => {
                    self.warn("not-in-table", at, "is no format of a report; left out");
                    None
                }
            },
            Detail::AckCode => {
                let code = code.parse::<AckCode>().ok();
                if code.is_none() {
                    self.warn("not-in-table", at, "is no acknowledgement code; left out");
                }
                code.map(|code| code.as_str().into())
            }
            Detail::ResultDate | Detail::FromPatientId | Detail::IntoPatientId => {
                self.typed(detail.into(), at, text)
            }
            Detail::PatientClass
            | Detail::ResultContent
            | Detail::RadiologistId
            | Detail::RadiologistName
            | Detail::AckControlId
            | Detail::AckText => Some(text.into()),
        }
    }

    /// XPN: the first leaf of each of the first five components.
    fn name(&mut self, member: Member) -> Option<Value> {
        let at = member.location();
        if self.message.field(at).is_some_and(|field| field.is_null()) {
            self.taken.leaf(at);
            return Some(Value::Null);
        }
        let mut map = Map::new();
        for (number, part) in (1..).zip(name::PARTS) {
            match self.leaf(at.component(number)) {
                Read::Absent => {}
                Read::Null => {
                    map.insert(part.into(), Value::Null);
                }
                Read::Text(text) => {
                    map.insert(part.into(), text.into());
                }
            }
        }
        match map.get("family") {
            None if map.is_empty() => None,
            Some(Value::Null) if map.len() == 1 => Some(Value::Null),
            _ => Some(Value::Object(map)),
        }
    }

    /// OBX-5: the whole field.
    fn content(&mut self) -> Option<(Location, Value)> {
        let at = Detail::ResultContent.location();
        let field = self.message.field(at)?;
        if field.is_empty() {
            return None;
        }
        self.taken.field(at);
        if field.is_null() {
            return Some((at, Value::Null));
        }
        let format = self.message.value(Detail::ResultFormat.location());
        let rich = format.raw().is_some_and(|code| code.trim_ascii() == b"RTF");
        match decoded_text(field, self.charset, !rich) {
            Ok(text) if text.trim().is_empty() => {
                self.warn("blank", at, "holds white space alone and is left out");
                None
            }
            Ok(text) => Some((at, text.into())),
            Err(_) => {
                let what = format!("has bytes that are not {} and is left out", self.charset);
                self.warn("not-text", at, &what);
                None
            }
        }
    }

    /// ERR-1: one entry a repetition.
    fn ack_errors(&mut self) -> Vec<Value> {
        let at = loc!("ERR-1");
        let count = self
            .message
            .field(at)
            .filter(|field| !field.is_empty())
            .map_or(0, |field| field.repetitions().count());
        self.taken.field(at);
        let mut errors = Vec::new();
        for number in (1..=u16::MAX).take(count) {
            let at = at.repetition(number);
            let mut text = |place: Location| match self.leaf(place) {
                Read::Text(text) => Some(text),
                Read::Absent | Read::Null => None,
            };
            let mut error = Map::new();
            let segment = text(at.component(1));
            let occurrence = text(at.component(2));
            let field = text(at.component(3));
            let code = text(at.component(4));
            let message = text(at.component(4).subcomponent(2));
            let location = segment.as_deref().and_then(|segment| {
                let mut location = Location::of(segment.trim().parse().ok()?);
                if let Some(number) = &occurrence {
                    let number = number.trim().parse().ok().filter(|&number| number > 0)?;
                    location = location.occurrence(number);
                }
                if let Some(number) = &field {
                    let number = number.trim().parse().ok().filter(|&number| number > 0)?;
                    location = location.at_field(number);
                }
                Some(location)
            });
            if let Some(location) = location {
                error.insert("path".into(), location.to_string().into());
            } else if segment.is_some() || occurrence.is_some() || field.is_some() {
                self.warn("not-a-path", at, "names no place in a message");
            }
            if let Some(code) = code {
                error.insert("code".into(), code.into());
            }
            if let Some(message) = message {
                error.insert("message".into(), message.into());
            }
            if !error.is_empty() {
                errors.push(Value::Object(error));
            }
        }
        errors
    }
}

/// Text of an attribute as JSON, and whether an offset from UTC was assumed.
pub(super) fn value_of(kind: Kind, text: &str, options: &Options) -> (Value, bool) {
    match kind {
        Kind::Name => (name::to_json(text), false),
        Kind::DateTime | Kind::Date if options.dates == Dates::Iso => {
            match date::to_rfc3339(text, options.utc_offset_minutes) {
                Some((text, assumed)) => (text.into(), assumed),
                None => (text.into(), false),
            }
        }
        Kind::Decimal => (number(text), false),
        Kind::Text | Kind::DateTime | Kind::Date | Kind::Sex | Kind::Modality | Kind::Uid => {
            (text.into(), false)
        }
    }
}

/// A decimal number: a whole one without a fraction, however it was written.
fn number(text: &str) -> Value {
    let Ok(number) = text.trim().parse::<f64>() else {
        return text.into();
    };
    let whole = format!("{number:.0}").parse::<i64>().ok();
    match whole.filter(|_| number.fract() == 0.0 && number.abs() < 9e15) {
        Some(whole) => whole.into(),
        None => serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number),
    }
}

/// Puts a value at `patient.id`, making the objects on the way.
pub(super) fn insert(map: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            map.insert(name.into(), value);
        }
        Some((first, rest)) => {
            let below = map.entry(first).or_insert_with(|| Map::new().into());
            if let Value::Object(below) = below {
                insert(below, rest, value);
            }
        }
    }
}

/// The value at `patient.id`.
fn find<'v>(map: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    match name.split_once('.') {
        None => map.get(name),
        Some((first, rest)) => find(map.get(first)?.as_object()?, rest),
    }
}
