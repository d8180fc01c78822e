//! `GET /api/v1/dictionary`: names, types and tables of HL7 2.3.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use hl7_message::SegmentId;
use hl7_message::dictionary::{FieldDefinition, Optionality, SegmentDefinition, segment};
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::problem_code::ProblemCode;

fn unknown(what: &'static str) -> Problem {
    Problem::new(ProblemCode::NotInTheDictionary, what)
}

fn find(name: &str) -> Result<&'static SegmentDefinition, Problem> {
    let id: Option<SegmentId> = name.to_ascii_uppercase().parse().ok();
    id.and_then(segment)
        .ok_or_else(|| unknown("HL7 2.3 has no such segment"))
}

fn shown(of: &SegmentDefinition, field: &FieldDefinition, whole: bool) -> Value {
    let optionality = match field.optionality() {
        Optionality::Required => "R",
        Optionality::Optional => "O",
        Optionality::Conditional => "C",
        Optionality::Backward => "B",
    };
    let mut json = json!({
        "path": format!("{}-{}", of.id(), field.number()),
        "number": field.number(),
        "name": field.name(),
        "dataType": field.data_type().name(),
        "length": field.length_max(),
        "optionality": optionality,
        "repetitionsMax": field.repeats().max(),
        "table": field.table().map(|table| format!("{:04}", table.number())),
    });
    if let (true, Some(json)) = (whole, json.as_object_mut()) {
        let components = field.data_type().components().iter().map(|component| {
            json!({
                "number": component.number(),
                "name": component.name(),
                "dataType": component.data_type().name(),
            })
        });
        json.insert("dataTypeName".into(), field.data_type().title().into());
        json.insert("components".into(), components.collect());
        let values = field.table().map(|table| {
            let values = table.values();
            let value = |value: hl7_message::dictionary::TableValue| {
                json!({ "code": value.code(), "label": value.label() })
            };
            json!({ "name": table.name(), "values": values.map(value).collect::<Vec<_>>() })
        });
        json.insert("values".into(), values.unwrap_or_default());
    }
    json
}

/// A segment and its fields.
#[utoipa::path(get, path = "/api/v1/dictionary/{segment}", tag = "tools",
    security(("apiKey" = ["read"])), params(("segment" = String, Path, description = "PID")),
    responses((status = 200, body = Value)))]
pub(crate) async fn of_segment(
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(name) = name.map_err(|_| unknown("HL7 2.3 has no such segment"))?;
    let definition = find(&name)?;
    let fields = definition
        .fields()
        .iter()
        .map(|field| shown(definition, field, false));
    Ok(Json(json!({
        "segment": definition.id().to_string(),
        "name": definition.name(),
        "fields": fields.collect::<Vec<_>>(),
    })))
}

/// A field, its components and the values of its table.
#[utoipa::path(get, path = "/api/v1/dictionary/{segment}/{field}", tag = "tools",
    security(("apiKey" = ["read"])),
    params(("segment" = String, Path, description = "PID"), ("field" = u16, Path, description = "5")),
    responses((status = 200, body = Value)))]
pub(crate) async fn of_field(
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path((name, number)) = path.map_err(|_| unknown("HL7 2.3 has no such field"))?;
    let definition = find(&name)?;
    let field = number
        .parse()
        .ok()
        .and_then(|number| definition.field(number));
    let field = field.ok_or_else(|| unknown("The segment has no such field"))?;
    Ok(Json(shown(definition, field, true)))
}
