//! ORU^R01 from the RIS.

use hl7_message::escape::{Token, tokens};
use hl7_message::{Charset, ErrorCondition, Field, Timestamp, loc};

use super::envelope::shown;
use super::fields::Reader;
use super::order::{accession_number, patient_id, rejection};
use crate::change::Change;
use crate::map::Attribute;
use crate::rejection::{Finding, Rejection, Warning};
use crate::report::{Report, ReportFormat};

/// Table 0085, observation result status; `W` stands in one of its sources only.
const RESULT_STATUS: [&str; 11] = ["C", "D", "F", "I", "N", "O", "P", "R", "S", "U", "X"];

pub(super) fn read(
    reader: Reader<'_, '_>,
    warnings: &mut Vec<Warning>,
) -> Result<Change, Rejection> {
    let mut findings = Vec::new();
    let only = |attribute| matches!(attribute, Attribute::AccessionNumber | Attribute::PatientId);
    let patches = reader.patches(only, |_| true, &mut findings, warnings);
    let accession_number = accession_number(reader, &patches, &mut findings);
    let patient_id = patient_id(patches.text(Attribute::PatientId), &mut findings);

    let format = keep(format(reader, warnings), &mut findings).flatten();
    let text = keep(text(reader, format), &mut findings);
    let date = keep(date(reader), &mut findings);
    let status = keep(status(reader), &mut findings).flatten();
    let mut optional = |at| keep(reader.some_text(at), &mut findings).flatten();
    let physician_id = optional(loc!("OBX-16.1"));
    let physician_name = optional(loc!("OBX-16.2"));

    if let Some(rejection) = Rejection::of(findings) {
        return Err(rejection);
    }
    let (Some(accession_number), Some(patient_id), Some(format), Some(text), Some(date)) =
        (accession_number, patient_id, format, text, date)
    else {
        // Each of them is there or has a finding.
        return Err(rejection(vec![reader.missing(loc!("OBX-5.1"))]));
    };
    Ok(Change::StoreReport(Report {
        accession_number,
        patient_id,
        format,
        text,
        date,
        status,
        physician_id,
        physician_name,
        segments: reader.segments(),
    }))
}

fn keep<T>(result: Result<T, Finding>, findings: &mut Vec<Finding>) -> Option<T> {
    result.map_err(|finding| findings.push(finding)).ok()
}

/// OBX-2. Without an OBX there is none to read; its fields are told missing elsewhere.
fn format(
    reader: Reader<'_, '_>,
    warnings: &mut Vec<Warning>,
) -> Result<Option<ReportFormat>, Finding> {
    let at = loc!("OBX-2.1");
    let Some(code) = reader.some_text(at)? else {
        if reader.message.segment_at(at).is_some() {
            warnings.push(Warning {
                code: "no-format",
                location: Some(at),
                message: "OBX-2 is empty; the report is read as plain text".into(),
            });
        }
        return Ok(Some(ReportFormat::Text));
    };
    match ReportFormat::from_code(&code) {
        Some(ReportFormat::RichText) if !reader.profile.accept_rich_text => Err(reader.wrong(
            at,
            ErrorCondition::TableValueNotFound,
            "Report format RTF is not supported; send TX.".into(),
        )),
        Some(format) => Ok(Some(format)),
        None => Err(reader.wrong(
            at,
            ErrorCondition::TableValueNotFound,
            format!(
                "Report format {} is not supported; send TX.",
                shown(code.as_bytes())
            ),
        )),
    }
}

/// OBX-5: the whole field, delimiters in it are text; repetitions are lines.
fn text(reader: Reader<'_, '_>, format: Option<ReportFormat>) -> Result<String, Finding> {
    let at = loc!("OBX-5.1");
    let field = reader
        .message
        .field(at)
        .filter(|field| !field.as_bytes().trim_ascii().is_empty() && !field.is_null())
        .ok_or_else(|| reader.missing(at))?;
    let plain = format != Some(ReportFormat::RichText);
    let text = decoded_text(field, reader.charset, plain).map_err(|offset| Finding {
        location: at,
        offset: Some(offset),
        condition: ErrorCondition::DataType,
        message: format!("{at} has bytes that are not {}.", reader.charset),
    })?;
    if text.trim().is_empty() {
        Err(reader.missing(at))
    } else {
        Ok(text)
    }
}

/// The text of OBX-5: delimiters in it are text, repetitions are lines, every line end is an LF.
/// The offset of the repetition with bytes that `charset` does not have, if there is one.
pub(crate) fn decoded_text(
    field: Field<'_>,
    charset: Charset,
    plain: bool,
) -> Result<String, usize> {
    let mut text = String::new();
    for (n, repetition) in field.repetitions().enumerate() {
        if n > 0 {
            text.push('\n');
        }
        let mut bytes = Vec::with_capacity(repetition.as_bytes().len());
        for token in tokens(repetition.as_bytes(), repetition.separators()) {
            match token {
                Token::Format(command) if plain && is_line_end(command) => bytes.push(b'\n'),
                other => other.decode_to(&mut bytes, repetition.separators()),
            }
        }
        let decoded = charset.decode(&bytes);
        text.push_str(&decoded.map_err(|_| repetition.span().start)?);
    }
    // CR LF and CR alone are line ends too.
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// `\.br\` and its old spelling.
fn is_line_end(command: &[u8]) -> bool {
    matches!(command, b"br" | b"sp")
}

/// OBX-14.1.
fn date(reader: Reader<'_, '_>) -> Result<String, Finding> {
    let at = loc!("OBX-14.1");
    let text = reader.some_text(at)?.ok_or_else(|| reader.missing(at))?;
    match text.parse::<Timestamp>() {
        Ok(_) => Ok(text),
        _ => Err(reader.wrong(at, ErrorCondition::DataType, "OBX-14 is not a date.".into())),
    }
}

/// OBX-11.
fn status(reader: Reader<'_, '_>) -> Result<Option<String>, Finding> {
    let at = loc!("OBX-11.1");
    let Some(code) = reader.some_text(at)? else {
        return Ok(None);
    };
    if RESULT_STATUS.contains(&code.as_str()) || code == "W" {
        return Ok(Some(code));
    }
    let text = "OBX-11 is not in table 0085.".into();
    Err(reader.wrong(at, ErrorCondition::TableValueNotFound, text))
}
