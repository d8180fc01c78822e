//! What is published of the domain JSON, made from the mapping: its JSON Schema and the tables of
//! its members.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::form::Form;
use super::name::PARTS;
use super::write::path_of;
use crate::map::{Attribute, Detail, Kind, Member};

/// The JSON Schema (2020-12) of the domain JSON, what goes in and what comes out.
///
/// Published as `docs/reference/domain.schema.json`.
///
/// ```
/// let schema = medsynapse::domain::schema();
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// assert_eq!(
///     schema["$defs"]["order"]["properties"]["study"]["properties"]["modality"]["description"],
///     "Modality, OBR-24.1"
/// );
/// ```
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut forms = Vec::new();
    for form in Form::ALL {
        definitions.insert(form.name().into(), body(form));
        forms.push(json!({
            "type": "object",
            "additionalProperties": false,
            "required": [form.name()],
            "properties": {
                form.name(): { "$ref": format!("#/$defs/{}", form.name()) },
                "warnings": { "$ref": "#/$defs/warnings" },
                "_map": { "$ref": "#/$defs/map" },
            },
        }));
    }
    forms.push(json!({
        "description": "The short form of an order.",
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": {
            "patientId": value(Attribute::PatientId.into()),
            "study": value(Attribute::ScheduledProcedureStepDescription.into()),
            "priority": value(Attribute::Priority.into()),
            "warnings": { "$ref": "#/$defs/warnings" },
            "_map": { "$ref": "#/$defs/map" },
        },
        "anyOf": [
            { "required": ["patientId"] }, { "required": ["study"] }, { "required": ["priority"] },
        ],
    }));
    definitions.insert(
        "name".into(),
        json!({
            "description": "SMITH, JOHN or SMITH^JOHN or an object; comes out as an object.",
            "anyOf": [
                { "type": "null" },
                { "type": "string", "pattern": "\\S" },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "minProperties": 1,
                    "properties": PARTS
                        .map(|part| (part.to_owned(), json!({ "$ref": "#/$defs/text" })))
                        .into_iter()
                        .collect::<Map<_, _>>(),
                },
            ],
        }),
    );
    definitions.insert(
        "text".into(),
        json!({ "description": "null clears the value.", "type": ["string", "null"], "pattern": "\\S" }),
    );
    definitions.insert(
        "warnings".into(),
        json!({
            "description": "What has no member, and what is odd. Not read.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "additionalProperties": false,
                "properties": {
                    "code": { "type": "string" },
                    "path": { "type": "string" },
                    "message": { "type": "string" },
                },
            },
        }),
    );
    definitions.insert(
        "map".into(),
        json!({
            "description": "Where each member stands in the message. Not read.",
            "type": "object",
            "additionalProperties": { "type": "string" },
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Domain JSON of the Medsynapse PACS Broker",
        "description": "A member that is absent keeps what is known, null clears it, text sets it.",
        "anyOf": forms,
        "$defs": definitions,
    })
}

/// The object that holds the members of a form.
fn body(form: Form) -> Value {
    let mut body = object();
    for &member in form.members() {
        add(&mut body, form.name_of(member), value(member));
    }
    if form == Form::Acknowledgement {
        let errors = json!({
            "description": "ERR-1",
            "type": "array",
            "maxItems": 1000,
            "items": {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "properties": {
                    "path": { "type": "string" },
                    "code": { "type": "string", "pattern": "\\S" },
                    "message": { "type": "string", "pattern": "\\S" },
                },
            },
        });
        add(&mut body, "errors", errors);
    }
    for name in super::parse::READ_ONLY {
        add(
            &mut body,
            name,
            json!({ "description": "Not read.", "readOnly": true }),
        );
    }
    body
}

fn object() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": {} })
}

/// Puts the schema of a member at `patient.id`.
fn add(object_schema: &mut Value, name: &str, schema: Value) {
    let Some(properties) = object_schema["properties"].as_object_mut() else {
        return;
    };
    match name.split_once('.') {
        None => {
            properties.insert(name.into(), schema);
        }
        Some((first, rest)) => {
            let below = properties.entry(first).or_insert_with(object);
            add(below, rest, schema);
        }
    }
}

/// The schema of one member.
fn value(member: Member) -> Value {
    let text = |more: Value| {
        let mut schema = json!({ "type": ["string", "null"], "pattern": "\\S" });
        if let (Some(schema), Value::Object(more)) = (schema.as_object_mut(), more) {
            schema.extend(more);
        }
        schema
    };
    let mut schema = match (member, member.kind()) {
        (Member::Detail(Detail::ResultStatus), _) => json!({
            "enum": ["COMPLETED", "READ", "FINAL", "PRINTED", "I", "R", "F", "P",
                     "C", "D", "N", "O", "S", "U", "W", "X", null],
        }),
        (Member::Detail(Detail::ResultFormat), _) => json!({ "enum": ["TX", "RTF", null] }),
        (Member::Detail(Detail::AckCode), _) => {
            json!({ "enum": ["AA", "AE", "AR", "CA", "CE", "CR", null] })
        }
        (_, Kind::Name) => json!({ "$ref": "#/$defs/name" }),
        (_, Kind::Decimal) => json!({ "type": ["number", "null"], "minimum": 0 }),
        (_, Kind::Sex) => json!({ "enum": ["F", "M", "O", "U", "A", "N", null] }),
        (_, Kind::Uid) => text(json!({ "maxLength": 64, "pattern": "^[0-9.]+$" })),
        (_, Kind::Date | Kind::DateTime) => text(json!({
            "examples": ["20230614132030", "2023-06-14T13:20:30+02:00"],
        })),
        (_, Kind::Text | Kind::Modality) => text(json!({})),
    };
    if let Some(map) = schema.as_object_mut() {
        map.insert("description".into(), describe(member).into());
    }
    schema
}

fn describe(member: Member) -> String {
    let path = path_of(member);
    match member {
        Member::Attribute(attribute) => format!("{}, {path}", attribute.row().name),
        Member::Detail(_) => path.to_string(),
    }
}

/// The members of a form as a table of Markdown.
///
/// ```
/// use medsynapse::domain::{Form, members_table};
///
/// let table = members_table(Form::Merge);
/// assert!(table.contains("| `fromPatientId` | `MRG-1.1` | text, at most 64 characters | yes |"));
/// ```
pub fn members_table(form: Form) -> String {
    let mut table = String::from("| member | stands in | value | mandatory |\n|---|---|---|---|\n");
    for &member in form.members() {
        let name = form.name_of(member);
        let places = places(form, member).join(", else ");
        let mandatory = match member {
            Member::Attribute(attribute) if form == Form::Order => attribute.row().mandatory,
            member => form.required().contains(&member),
        };
        let mandatory = if mandatory { "yes" } else { "" };
        let kind = describe_kind(member);
        let _ = writeln!(table, "| `{name}` | {places} | {kind} | {mandatory} |");
    }
    table
}

fn places(form: Form, member: Member) -> Vec<String> {
    let code = |place: String| format!("`{place}`");
    let Member::Attribute(attribute) = member else {
        return vec![code(member.location().to_string())];
    };
    let row = attribute.row();
    if row.kind == Kind::Name {
        return vec![code(path_of(member).to_string())];
    }
    let own = row.report_source.filter(|_| form == Form::Report);
    let places = own.into_iter().chain(row.statement.iter().copied());
    places.map(|place| code(place.to_string())).collect()
}

fn describe_kind(member: Member) -> String {
    let kind = match (member, member.kind()) {
        (Member::Detail(Detail::OrderControl), _) => "in an order `NW`, `XO`, `CA` or `CM`",
        (Member::Detail(Detail::ResultStatus), _) => {
            "`COMPLETED` (I), `READ` (R), `FINAL` (F), `PRINTED` (P), or a code of table 0085"
        }
        (Member::Detail(Detail::ResultContent), _) => "text, every line end `\\n`",
        (Member::Detail(Detail::ResultFormat), _) => "`TX` or `RTF`; left out for `TX`",
        (Member::Detail(Detail::AckCode), _) => "`AA`, `AE` or `AR`",
        (_, Kind::Name) => "a name",
        (_, Kind::Decimal) => "a number",
        (_, Kind::Sex) => "`F`, `M`, `O` or `U`",
        (_, Kind::Uid) => "a UID",
        (_, Kind::Date) => "a date",
        (_, Kind::DateTime) => "a date and time",
        (_, Kind::Modality) => "a modality code",
        (_, Kind::Text) => "text",
    };
    match member.characters_max() {
        Some(max) => format!("{kind}, at most {max} characters"),
        None => kind.to_owned(),
    }
}
