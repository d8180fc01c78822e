//! [`to_message`]: a request as the bytes of a message.

use std::collections::BTreeMap;

use hl7_message::{Location, MessageWriter, SegmentId, WriteError, loc};
use serde_json::{Map, Value};

use super::complete::complete;
use super::context::Context;
use super::error::{Errors, Problem};
use super::form::Form;
use super::request::{AckError, Request};
use crate::map::{Attribute, Detail as D, Kind, Member, Patch};
use crate::rejection::Warning;
use crate::render::{self, Given, Header, Known, ObservationResult, Visit, put};

/// Where the values of a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explain {
    /// One entry a value, in the order in which the form shows them.
    pub origins: Vec<Origin>,
    /// What is odd about the request.
    pub warnings: Vec<Warning>,
}

/// Where one value stands, and whether it was made up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The member, for instance `order.study.modality`.
    pub member: String,
    /// The place in the message.
    pub path: Location,
    /// How it was made up, if it was.
    pub made_up: Option<&'static str>,
}

impl Explain {
    /// The member `_map` of an answer: `{"order.study.modality": "OBR-24.1"}`. Values that were
    /// made up say so: `"OBR-5.1 (made up: default, ROUTINE)"`.
    pub fn to_map(&self) -> Map<String, Value> {
        to_map(&self.origins)
    }
}

pub(super) fn to_map(origins: &[Origin]) -> Map<String, Value> {
    let entries = origins.iter().map(|origin| {
        let text = match origin.made_up {
            None => origin.path.to_string(),
            Some(how) => format!("{} (made up: {how})", origin.path),
        };
        (origin.member.clone(), text.into())
    });
    entries.collect()
}

/// Where a member is written, a name as the whole field.
pub(super) fn path_of(member: Member) -> Location {
    let location = member.location();
    match member.kind() {
        Kind::Name => location.component(0),
        _ => location,
    }
}

/// The bytes of the message that a request asks for, and where its values came from.
///
/// What the request leaves out is filled in as [`Context`] says. All text is escaped: nothing in
/// a request can end a field or a segment.
///
/// # Errors
///
/// Everything that is mandatory and still missing, with its place in JSON and in HL7.
///
/// ```
/// use hl7_message::Message;
/// use medsynapse::domain::{Context, Options, Request, from_message, to_message};
/// use medsynapse::render::Envelope;
///
/// let context = Context::new(Envelope {
///     sending_application: "API_GATEWAY",
///     sending_facility: "FACILITY",
///     receiving_application: "PACS_APP",
///     receiving_facility: "PACS_FACILITY",
///     time: "20230614131415".parse()?,
///     control_id: "MSG123",
/// });
/// let request = Request::from_slice(
///     br#"{"order": {"accessionNumber": "ACC1", "study": {"description": "CT CHEST"},
///         "patient": {"id": "PAT789", "name": "SMITH, JOHN", "gender": "M"}}}"#,
/// )?;
/// let (bytes, explain) = to_message(&request, &context)?;
/// assert_eq!(
///     String::from_utf8_lossy(&bytes).replace('\r', "\n"),
///     "MSH|^~\\&|API_GATEWAY|FACILITY|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|MSG123|P|2.3\n\
///      PID|1||PAT789||SMITH^JOHN|||M\n\
///      PV1|1|O\n\
///      ORC|NW\n\
///      OBR|1|ACC1||ACC1^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|ACC1||CT1|||CT\
///      ||||||||||||20230614131415\n",
/// );
/// let map = explain.to_map();
/// assert_eq!(map["order.study.description"], "OBR-4.2");
/// assert_eq!(map["order.study.modality"], "OBR-24.1 (made up: default, first word of the description)");
///
/// let short = Request::from_slice(br#"{"patientId": "12345", "study": "CHEST"}"#)?;
/// let missing = to_message(&short, &context).unwrap_err();
/// let paths: Vec<_> = missing.problems().iter().map(|p| p.path.unwrap().to_string()).collect();
/// assert_eq!(
///     paths,
///     ["OBR-2.1", "PID-5.1", "PID-8.1", "OBR-24.1", "OBR-21.1", "OBR-18.1", "OBR-4.1", "OBR-19.1"]
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_message(request: &Request, context: &Context<'_>) -> Result<(Vec<u8>, Explain), Errors> {
    let complete = complete(request, context)?;
    let values = Values(&complete.values);
    let time = context.envelope.time.to_string();
    let header = Header::new(&context.envelope, &time);
    let known: Known<'_> = Attribute::ALL.map(|attribute| values.get(attribute));
    let visit = Visit {
        control: values.get(D::OrderControl),
        patient_class: values.get(D::PatientClass),
    };
    let bytes = match request.form() {
        Form::Order => render::order_given(&header, &visit, &known),
        Form::Report => render::report_given(&header, &visit, &known, &values.observation()),
        Form::Patient => render::patient_update_of(&header, &known),
        Form::Merge => render::patient_merge_given(
            &header,
            values.get(D::IntoPatientId),
            values.get(D::FromPatientId),
        ),
        Form::Acknowledgement => acknowledgement(&header, &values, &request.errors),
    };
    let bytes = bytes.map_err(|error| {
        let text = format!("cannot be written: {error}");
        Errors::one(Problem::of("", None, "not-writable", text))
    })?;
    let said = |member: &&Member| {
        let patch = complete.values.get(*member);
        !matches!(patch, None | Some(Patch::Keep))
    };
    let form = request.form();
    let origins = form.members().iter().filter(said).map(|&member| Origin {
        member: format!("{}.{}", form.name(), form.name_of(member)),
        path: path_of(member),
        made_up: complete.made_up.get(&member).copied(),
    });
    let explain = Explain {
        origins: origins.collect(),
        warnings: warnings(request),
    };
    Ok((bytes, explain))
}

/// What is odd about the request, and what of it the broker does not take.
fn warnings(request: &Request) -> Vec<Warning> {
    let mut warnings = request.warnings.clone();
    let birth_date = Member::from(Attribute::PatientBirthDate);
    if request.form() == Form::Patient && *request.get(birth_date) != Patch::Keep {
        warnings.push(Warning {
            code: "not-applied",
            location: Some(birth_date.location()),
            message:
                "the birth date is sent, and the broker takes name, sex and admission id alone"
                    .into(),
        });
    }
    for error in &request.errors {
        if let Some(path) = error.path.filter(|path| path.component_number().is_some()) {
            warnings.push(Warning {
                code: "cut-path",
                location: Some(path),
                message: format!("ERR names fields; {path} is sent as one"),
            });
        }
    }
    warnings
}

struct Values<'v>(&'v BTreeMap<Member, Patch>);

impl<'v> Values<'v> {
    fn get(&self, member: impl Into<Member>) -> Given<'v> {
        match self.0.get(&member.into()) {
            None | Some(Patch::Keep) => Given::Nothing,
            Some(Patch::Clear) => Given::Null,
            Some(Patch::Set(text)) => Given::Text(text),
        }
    }

    fn observation(&self) -> ObservationResult<'v> {
        let text = self.get(D::ResultContent);
        let format = match (self.get(D::ResultFormat), text) {
            // A text has a format; plain text goes without saying.
            (Given::Nothing, Given::Text(_)) => Given::Text("TX"),
            (format, _) => format,
        };
        ObservationResult {
            format,
            text,
            status: self.get(D::ResultStatus),
            date: self.get(D::ResultDate),
            physician_id: self.get(D::RadiologistId),
            physician_name: self.get(D::RadiologistName),
        }
    }
}

fn acknowledgement(
    header: &Header<'_>,
    values: &Values<'_>,
    errors: &[AckError],
) -> Result<Vec<u8>, WriteError> {
    render::message(header, ("ACK", ""), 0, |writer| {
        let mut msa = writer.segment(SegmentId::MSA);
        for detail in [D::AckCode, D::AckControlId, D::AckText] {
            put(&mut msa, detail.location(), values.get(detail))?;
        }
        if errors.is_empty() {
            return Ok(());
        }
        write_errors(writer, errors)
    })
}

/// ERR-1, one repetition an error: segment, its number, field, and the code with its text.
fn write_errors(writer: &mut MessageWriter, errors: &[AckError]) -> Result<(), WriteError> {
    let mut err = writer.segment(SegmentId::ERR);
    for (n, error) in (1..).zip(errors) {
        let at = loc!("ERR-1").repetition(n);
        if let Some(path) = error.path {
            put(
                &mut err,
                at.component(1),
                Given::Text(path.segment_id().as_str()),
            )?;
            let occurrence = path.occurrence_number().to_string();
            put(&mut err, at.component(2), Given::Text(&occurrence))?;
            if let Some(field) = path.field_number() {
                put(&mut err, at.component(3), Given::Text(&field.to_string()))?;
            }
        }
        let code = error.code.as_deref().map_or(Given::Nothing, Given::Text);
        let text = error.message.as_deref().map_or(Given::Nothing, Given::Text);
        put(&mut err, at.component(4), code)?;
        put(&mut err, at.component(4).subcomponent(2), text)?;
        if error.code.is_some() {
            let table = at.component(4).subcomponent(3);
            put(&mut err, table, Given::Text("HL70357"))?;
        }
    }
    Ok(())
}
