//! [`Rejection`] and [`Warning`]: what is wrong with a message, and what is odd about it.

use std::fmt::Write as _;

use hl7_message::{ACK_TEXT_MAX, ErrorCondition, Location, ParseError};

/// One thing that is wrong with a message.
///
/// Names the place, never the value: the value may be a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The place in HL7 terms.
    pub location: Location,
    /// The place in bytes from the start of the message, where the place is there.
    pub offset: Option<usize>,
    /// The number in table 0357.
    pub condition: ErrorCondition,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

/// Something odd about a message that was taken all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// A short name that programs can match, for instance `ignored-segment`.
    pub code: &'static str,
    /// The place in HL7 terms; `None` for a line that has no name.
    pub location: Option<Location>,
    /// What is odd, in a sentence.
    pub message: String,
}

impl Warning {
    /// Every code that a message can be taken with, and what it says; the page
    /// `docs/reference/errors.md` has them.
    pub const CODES: &[(&str, &str)] = &[
        (
            "control-id-reused",
            "MSH-10 was used before with other content.",
        ),
        (
            "extra-repetition",
            "A field that names something repeats; the first one is read.",
        ),
        (
            "ignored-segment",
            "A segment that the broker does not read.",
        ),
        ("kept", "`\"\"` in a field that is never cleared."),
        (
            "later-code",
            "A sex that only later versions of HL7 have (A, N) is taken as it is.",
        ),
        (
            "missing-segment",
            "A segment is missing that the broker reads nothing in.",
        ),
        (
            "no-format",
            "OBX-2 is empty; the report is read as plain text.",
        ),
        ("no-time", "A day without time of day."),
        ("not-a-date", "Not a date; an optional field is ignored."),
        (
            "not-a-number",
            "Not a number; an optional field is ignored.",
        ),
        ("not-a-uid", "Not a UID; an optional field is ignored."),
        ("not-kilograms", "A body weight in another unit is ignored."),
        (
            "odd-segment",
            "A line without the name of a segment is not read.",
        ),
        (
            "other-modality",
            "A modality that the statement does not list is taken as it is.",
        ),
        (
            "other-patient",
            "The order, or the order of the report, was another patient's.",
        ),
        (
            "other-uid",
            "The order had another Study Instance UID; it now has this one.",
        ),
        ("other-version", "Another version of HL7 2 is read as 2.3."),
    ];
}

/// Why a message is refused: everything that is wrong with it, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Rejection {
    /// All findings, at least one.
    pub findings: Vec<Finding>,
    /// MSA-3, at most 80 characters.
    pub text: String,
}

impl Rejection {
    /// A refusal for one reason.
    pub fn single(
        condition: ErrorCondition,
        location: Location,
        offset: Option<usize>,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        let text = message.clone();
        Self {
            findings: vec![Finding {
                location,
                offset,
                condition,
                message,
            }],
            text,
        }
    }

    /// A refusal of all that was found; `None` where nothing was.
    pub fn of(findings: Vec<Finding>) -> Option<Self> {
        if findings.is_empty() {
            None
        } else {
            Some(Self::new(findings))
        }
    }

    /// A refusal of all of these.
    pub(crate) fn new(findings: Vec<Finding>) -> Self {
        let missing: Vec<Location> = findings
            .iter()
            .filter(|finding| finding.condition == ErrorCondition::RequiredFieldMissing)
            .map(|finding| finding.location)
            .collect();
        let mut text = missing_text(&missing);
        let others = findings
            .iter()
            .filter(|f| f.condition != ErrorCondition::RequiredFieldMissing);
        for finding in others {
            let gap = match text.as_str() {
                "" => "",
                said if said.ends_with('.') => " ",
                _ => "; ",
            };
            if text.len() + gap.len() + finding.message.len() > ACK_TEXT_MAX {
                // The first reason is given even where it has to be cut.
                if !text.is_empty() {
                    break;
                }
            }
            let _ = write!(text, "{gap}{}", finding.message);
        }
        Self { findings, text }
    }
}

impl From<ParseError> for Rejection {
    fn from(error: ParseError) -> Self {
        let condition = match error.location.field_number() {
            Some(_) => ErrorCondition::DataType,
            None => ErrorCondition::SegmentSequence,
        };
        let mut message = error.kind.to_string();
        if let Some(first) = message.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        message.push('.');
        Self::single(condition, error.location, Some(error.offset), message)
    }
}

/// Longest list of whole names: beyond it the short form leaves room for other reasons.
const LONG_FORM_MAX: usize = 64;

/// `Missing OBR-19 OBR-21`, or `Missing PID-3,5 OBR-19,21` where that is too long.
fn missing_text(missing: &[Location]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    // A field of which the first component is missing is named once.
    let fields: Vec<&Location> = missing
        .iter()
        .filter(|at| {
            let first = at.component(1);
            at.component_number() == Some(1) || !missing.contains(&first)
        })
        .collect();
    let names: Vec<String> = fields.iter().map(|at| short_name(at)).collect();
    let long = format!("Missing {}", names.join(" "));
    if long.len() <= LONG_FORM_MAX {
        return long;
    }
    let mut short = String::from("Missing");
    let mut last = None;
    for (location, name) in fields.iter().zip(&names) {
        if last == Some(location.segment_id()) {
            let number = name
                .split_once('-')
                .map_or(name.as_str(), |(_, number)| number);
            let _ = write!(short, ",{number}");
        } else {
            let _ = write!(short, " {name}");
        }
        last = Some(location.segment_id());
    }
    short
}

/// The field, with the component where it is not the first.
fn short_name(location: &Location) -> String {
    match (location.field_number(), location.component_number()) {
        (Some(field), None | Some(1)) => format!("{}-{field}", location.segment_id()),
        _ => location.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(places: &str, text: &str) {
        let missing: Vec<Location> = places.split(' ').map(|p| p.parse().unwrap()).collect();
        assert_eq!(missing_text(&missing), text);
        assert!(text.len() <= ACK_TEXT_MAX);
    }

    #[test]
    fn missing_fields_are_named_within_80_characters() {
        check(
            "OBR-19.1 OBR-21.1 OBR-24.1 OBR-36.1",
            "Missing OBR-19 OBR-21 OBR-24 OBR-36",
        );
        check(
            "PID-3 PID-5 PID-8 OBR-2 OBR-4 OBR-15 OBR-18 OBR-19 OBR-21 OBR-24 OBR-36",
            "Missing PID-3,5,8 OBR-2,4,15,18,19,21,24,36",
        );
        check("OBR-4.2", "Missing OBR-4.2");
        check("OBR-4.1 OBR-4.2", "Missing OBR-4");
    }
}
