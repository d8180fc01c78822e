//! Orders and reports as JSON: the members of the domain form.

use medsynapse::{Attribute, PersonName};
use medsynapse_store::{OrderRecord, ReportRecord};
use serde_json::{Map, Value, json};

use crate::moment;

/// An object of the attributes that are known.
struct Members<'a>(&'a OrderRecord, Map<String, Value>);

impl Members<'_> {
    fn with(mut self, name: &str, attribute: Attribute) -> Self {
        if let Some(text) = self.0.order.attributes.get(attribute) {
            self.1.insert(name.into(), text.into());
        }
        self
    }
}

fn scheduling(record: &OrderRecord) -> Map<String, Value> {
    Members(record, Map::new())
        .with("aeTitle", Attribute::ScheduledStationAeTitle)
        .with("stationName", Attribute::ScheduledStationName)
        .with("location", Attribute::Location)
        .with("scheduledDateTime", Attribute::ScheduledStart)
        .with("performingPhysician", Attribute::PerformingPhysician)
        .1
}

pub(crate) fn order(record: &OrderRecord) -> Value {
    let mut patient = Members(record, Map::new())
        .with("id", Attribute::PatientId)
        .with("gender", Attribute::PatientSex)
        .with("dateOfBirth", Attribute::PatientBirthDate)
        .with("admissionId", Attribute::AdmissionId)
        .1;
    if let Some(known) = record.order.patient_name() {
        patient.insert("name".into(), name(&known));
    }
    if let Some(weight) = record.order.attributes.get(Attribute::PatientWeight) {
        let number = weight
            .parse::<f64>()
            .ok()
            .filter(|weight| weight.is_finite());
        patient.insert(
            "weightKg".into(),
            number.map_or_else(|| weight.into(), Value::from),
        );
    }
    let study = Members(record, Map::new())
        .with("modality", Attribute::Modality)
        .with("description", Attribute::ScheduledProcedureStepDescription)
        .with("priority", Attribute::Priority)
        .with("procedureId", Attribute::ScheduledProcedureStepId)
        .with("requestedProcedureId", Attribute::RequestedProcedureId)
        .with(
            "requestedProcedureDescription",
            Attribute::RequestedProcedureDescription,
        )
        .with("reason", Attribute::Reason)
        .with("studyInstanceUid", Attribute::StudyInstanceUid)
        .1;
    let visit = Members(record, Map::new())
        .with("referringPhysician", Attribute::ReferringPhysician)
        .1;
    let top = Map::from_iter([
        (
            "accessionNumber".to_owned(),
            json!(record.order.accession_number.as_str()),
        ),
        ("status".to_owned(), json!(record.order.state.as_str())),
        ("patient".to_owned(), patient.into()),
        ("visit".to_owned(), visit.into()),
        ("study".to_owned(), study.into()),
        ("scheduling".to_owned(), scheduling(record).into()),
        (
            "createdAt".to_owned(),
            json!(moment::rfc3339(record.created_at)),
        ),
        (
            "updatedAt".to_owned(),
            json!(moment::rfc3339(record.updated_at)),
        ),
    ]);
    Members(record, top)
        .with("requestingPhysician", Attribute::RequestingPhysician)
        .with("institutionName", Attribute::InstitutionName)
        .1
        .into()
}

pub(crate) fn name(name: &PersonName) -> Value {
    let parts = [
        ("family", &name.family),
        ("given", &name.given),
        ("middle", &name.middle),
        ("suffix", &name.suffix),
        ("prefix", &name.prefix),
    ];
    let known = parts.into_iter().filter(|(_, text)| !text.is_empty());
    known
        .map(|(part, text)| (part.to_owned(), json!(text)))
        .collect::<Map<_, _>>()
        .into()
}

pub(crate) fn report(record: &ReportRecord) -> Value {
    let report = &record.report;
    let mut result = Map::from_iter([
        ("content".to_owned(), json!(report.text)),
        ("format".to_owned(), json!(report.format.as_str())),
    ]);
    if let Some(status) = &report.status {
        result.insert("status".into(), json!(status_name(status)));
    }
    if !report.date.is_empty() {
        result.insert("date".into(), json!(report.date));
    }
    let radiologist = [
        ("id", &report.physician_id),
        ("name", &report.physician_name),
    ];
    let radiologist: Map<String, Value> = radiologist
        .into_iter()
        .filter_map(|(part, text)| Some((part.to_owned(), json!(text.as_ref()?))))
        .collect();
    if !radiologist.is_empty() {
        result.insert("radiologist".into(), radiologist.into());
    }
    json!({
        "accessionNumber": report.accession_number.as_str(),
        "patientId": report.patient_id.as_str(),
        "result": result,
        "version": record.version,
        "updatedAt": moment::rfc3339(record.updated_at),
    })
}

/// OBX-11 in words; a code that has none stays.
fn status_name(code: &str) -> &str {
    match code {
        "I" => "COMPLETED",
        "R" => "READ",
        "F" => "FINAL",
        "P" => "PRINTED",
        other => other,
    }
}

/// An order as one of a patient's studies.
pub(crate) fn study(record: &OrderRecord, reported: Option<&ReportRecord>) -> Value {
    json!({
        "accessionNumber": record.order.accession_number.as_str(),
        "status": record.order.state.as_str(),
        "schedule": scheduling(record),
        "order": order(record),
        "report": reported.map(report),
    })
}
