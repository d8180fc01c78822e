//! Which segments a message has: the ones that belong to it once, others with a warning.

use hl7_message::{ErrorCondition, Location, Message, SegmentId};

use super::envelope::Kind;
use crate::rejection::{Finding, Rejection, Warning};

impl Kind {
    /// The segments that belong to the message, MSH left out. The order is not checked.
    fn segments(self) -> &'static [SegmentId] {
        use SegmentId as S;
        match self {
            Self::Order => &[S::PID, S::PV1, S::ORC, S::OBR, S::ZDS],
            Self::Report => &[S::PID, S::PV1, S::ORC, S::OBR, S::OBX, S::ZDS],
            Self::PatientUpdate => &[S::EVN, S::PID],
            Self::PatientMerge => &[S::EVN, S::PID, S::MRG],
        }
    }

    /// Those that must be there though the broker reads no mandatory field in them.
    fn required(self) -> &'static [SegmentId] {
        match self {
            Self::PatientUpdate | Self::PatientMerge => &[SegmentId::EVN],
            Self::Order | Self::Report => &[],
        }
    }
}

pub(super) fn check(
    message: &Message<'_>,
    kind: Kind,
    warnings: &mut Vec<Warning>,
) -> Result<(), Rejection> {
    let mut findings = Vec::new();
    for &id in kind.segments() {
        let count = message.segments_of(id).count();
        if count > 1 {
            let second = message.segments_of(id).nth(1);
            findings.push(Finding {
                location: Location::of(id).occurrence(2),
                offset: second.map(|segment| segment.span().start),
                condition: ErrorCondition::SegmentSequence,
                message: format!("{id} may occur once, {count} found."),
            });
        }
    }
    for &id in kind.required() {
        if message.segment(id).is_none() {
            findings.push(Finding {
                location: Location::of(id),
                offset: None,
                condition: ErrorCondition::SegmentSequence,
                message: format!("Missing {id}"),
            });
        }
    }
    let mut seen: Vec<&[u8]> = Vec::new();
    for segment in message.segments().skip(1) {
        let name = segment.name();
        let ours = segment.id().is_some_and(|id| kind.segments().contains(&id));
        if !ours && !seen.contains(&name) {
            seen.push(name);
            warnings.push(ignored(message, segment));
        }
    }
    Rejection::of(findings).map_or(Ok(()), Err)
}

fn ignored(message: &Message<'_>, segment: hl7_message::Segment<'_>) -> Warning {
    match segment.id() {
        Some(id) => Warning {
            code: "ignored-segment",
            location: Location::of(id),
            message: format!("segment {id} is not read by the broker"),
        },
        None => Warning {
            code: "odd-segment",
            // The place of the segment before it: this one has no name to point with.
            location: message
                .location_at(segment.span().start.saturating_sub(2))
                .map_or(Location::of(SegmentId::MSH), |at| {
                    Location::of(at.segment_id())
                }),
            message: format!(
                "the line at byte {} has no segment name and is not read",
                segment.span().start
            ),
        },
    }
}
