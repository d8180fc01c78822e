//! What stands in a message and has no member in its form.

use std::collections::HashMap;

use hl7_message::{Field, Location, Message, Segment, SegmentId, dictionary, loc};

use super::form::Form;
use super::show::Taken;
use crate::rejection::Warning;

/// Fields that hold no data of the form: set ids, and what MSH and EVN say of the message itself.
const ENVELOPE: [(SegmentId, u16); 6] = [
    (SegmentId::PID, 1),
    (SegmentId::PV1, 1),
    (SegmentId::OBR, 1),
    (SegmentId::OBX, 1),
    (SegmentId::EVN, 1),
    (SegmentId::EVN, 2),
];
const SET_IDS: usize = 4;

impl Form {
    /// The segments that it reads, MSH left out.
    const fn segments(self) -> &'static [SegmentId] {
        use SegmentId as S;
        match self {
            Self::Order => &[S::PID, S::PV1, S::ORC, S::OBR, S::ZDS],
            Self::Report => &[S::PID, S::PV1, S::ORC, S::OBR, S::OBX, S::ZDS],
            Self::Patient => &[S::EVN, S::PID],
            Self::Merge => &[S::EVN, S::PID, S::MRG],
            Self::Acknowledgement => &[S::MSA, S::ERR],
        }
    }
}

pub(super) fn unmapped(
    message: &Message<'_>,
    form: Form,
    taken: &Taken,
    warnings: &mut Vec<Warning>,
) {
    header(message, warnings);
    let mut seen: HashMap<SegmentId, u16> = HashMap::new();
    for segment in message.segments().skip(1) {
        let Some(id) = segment.id() else {
            warnings.push(Warning {
                code: "odd-segment",
                location: None,
                message: format!(
                    "the line at byte {} has no segment name and is left out",
                    segment.span().start
                ),
            });
            continue;
        };
        let occurrence = seen.entry(id).or_default();
        *occurrence = occurrence.saturating_add(1);
        let at = Location::of(id).occurrence(*occurrence);
        if *occurrence > 1 || !form.segments().contains(&id) {
            warnings.push(Warning {
                code: "unmapped-segment",
                location: Some(at),
                message: format!("{at} has no members in the {} form", form.name()),
            });
        } else {
            in_segment(segment, at, form, taken, warnings);
        }
    }
}

/// MSH says who sends what to whom, which no form repeats; a few fields are more than that.
fn header(message: &Message<'_>, warnings: &mut Vec<Warning>) {
    let header = message.header();
    let mut warn = |code, at: Location, what: &str| {
        warnings.push(Warning {
            code,
            location: Some(at),
            message: format!("{at} {what}"),
        });
    };
    let processing = header.processing_id().first();
    if !matches!(processing.as_bytes().trim_ascii(), b"P" | b"") {
        let what = "is not P, production; the form does not tell";
        warn("processing-id", loc!("MSH-11"), what);
    }
    let version = header.version().first();
    if !matches!(version.as_bytes().trim_ascii(), b"2.3" | b"") {
        warn("other-version", loc!("MSH-12"), "is read as version 2.3");
    }
    for (number, field) in (1..=u16::MAX).zip(header.segment().fields()) {
        if !field.is_empty() && (matches!(number, 8 | 14) || number > 18) {
            let at = loc!("MSH").at_field(number);
            warn("unmapped", at, "has no member in the domain form");
        }
    }
}

fn in_segment(
    segment: Segment<'_>,
    at: Location,
    form: Form,
    taken: &Taken,
    warnings: &mut Vec<Warning>,
) {
    let id = at.segment_id();
    for (number, field) in (1..=u16::MAX).zip(segment.fields()) {
        let set_id = ENVELOPE
            .iter()
            .take(SET_IDS)
            .any(|&place| place == (id, number));
        let envelope = ENVELOPE.contains(&(id, number));
        let usual = envelope && (!set_id || field.as_bytes().trim_ascii() == b"1");
        if field.is_empty() || usual || taken.has_field(id, number) {
            continue;
        }
        in_field(field, at.at_field(number), form, taken, warnings);
    }
}

/// One warning for a field of which nothing was read, else one for each part.
fn in_field(
    field: Field<'_>,
    at: Location,
    form: Form,
    taken: &Taken,
    warnings: &mut Vec<Warning>,
) {
    let (id, number) = (at.segment_id(), at.field_number().unwrap_or(0));
    let mut places: Vec<Location> = Vec::new();
    let mut any_taken = false;
    for (r, repetition) in (1..=u16::MAX).zip(field.repetitions()) {
        for (c, component) in (1..=u16::MAX).zip(repetition.components()) {
            for (s, leaf) in (1..=u16::MAX).zip(component.subcomponents()) {
                if taken.has_leaf(id, [number, r, c, s]) {
                    any_taken = true;
                } else if !leaf.is_empty() {
                    let place = match (r, s) {
                        (1, 1) => at.component(c),
                        (1, _) => at.component(c).subcomponent(s),
                        _ => at.repetition(r),
                    };
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
            }
        }
    }
    if !any_taken && !places.is_empty() {
        places = vec![at];
    }
    for place in places {
        let name = dictionary::name_of(at).map_or(String::new(), |name| format!(" ({name})"));
        warnings.push(Warning {
            code: "unmapped",
            location: Some(place),
            message: format!("{place}{name} has no member in the {} form", form.name()),
        });
    }
}
