//! The schema and the page that are published.

use std::sync::LazyLock;

use medsynapse::domain::{Form, members_table, schema};
use serde_json::{Value, json};

static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = schema();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

/// What comes out, and what is read, is what the schema says.
#[track_caller]
pub(super) fn fits(document: &Value) {
    if let Err(error) = VALIDATOR.validate(document) {
        panic!("{error}: {document}");
    }
}

#[test]
fn the_schema_is_current() {
    let published = include_str!("../../../../../docs/reference/domain.schema.json");
    let current = format!("{:#}\n", schema());
    assert!(
        published == current,
        "write this to docs/reference/domain.schema.json:\n{current}"
    );
}

#[test]
fn the_tables_are_current() {
    let page = include_str!("../../../../../docs/reference/json.md");
    for form in Form::ALL {
        let table = members_table(form);
        assert!(
            page.contains(&table),
            "write this to docs/reference/json.md:\n{table}"
        );
    }
}

#[test]
fn what_the_schema_refuses() {
    for document in [
        json!({}),
        json!({"order": {"accessionNumber": ""}}),
        json!({"order": {"studies": {}}}),
        json!({"order": {"patient": {"name": {}}}}),
        json!({"order": {"patient": {"weightKg": "70"}}}),
        json!({"order": {"patient": {"gender": "W"}}}),
        json!({"report": {"result": {"status": "DONE"}}}),
        json!({"patientId": "1", "modality": "CT"}),
        json!({"order": {}, "report": {}}),
    ] {
        assert!(!VALIDATOR.is_valid(&document), "{document}");
    }
    fits(&json!({"patientId": "12345", "study": "CT CHEST", "priority": "ROUTINE"}));
}
