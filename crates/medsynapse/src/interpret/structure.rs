//! Which segments a message has: the ones that belong to it once, others with a warning.

use hl7_message::{ErrorCondition, Location, Message, SegmentId, loc};

use super::envelope::Kind;
use crate::map::Mapping;
use crate::rejection::{Finding, Warning};

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

    /// Segments that RAD-4 reads besides, and that may be there more than once. With several
    /// steps in one message, the second ORC is refused.
    fn others(self, mapping: Mapping) -> &'static [SegmentId] {
        use SegmentId as S;
        const IPC: S = loc!("IPC").segment_id();
        const TQ1: S = loc!("TQ1").segment_id();
        match (self, mapping) {
            (Self::Order, Mapping::IheRad4) => &[IPC, TQ1, S::OBX],
            _ => &[],
        }
    }

    /// Those that belong there though the broker reads nothing in them.
    fn expected(self) -> &'static [SegmentId] {
        match self {
            Self::PatientUpdate | Self::PatientMerge => &[SegmentId::EVN],
            Self::Order | Self::Report => &[],
        }
    }
}

pub(super) fn check(
    message: &Message<'_>,
    kind: Kind,
    mapping: Mapping,
    warnings: &mut Vec<Warning>,
) -> Vec<Finding> {
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
    // Sources disagree on what EVN must hold, and the broker reads nothing in it.
    for &id in kind.expected() {
        if message.segment(id).is_none() {
            warnings.push(Warning {
                code: "missing-segment",
                location: Some(Location::of(id)),
                message: format!("segment {id} is missing; the broker reads nothing in it"),
            });
        }
    }
    let mut seen: Vec<&[u8]> = Vec::new();
    for segment in message.segments().skip(1) {
        let name = segment.name();
        let ours = segment
            .id()
            .is_some_and(|id| kind.segments().contains(&id) || kind.others(mapping).contains(&id));
        if !ours && !seen.contains(&name) {
            seen.push(name);
            warnings.push(ignored(segment));
        }
    }
    findings
}

fn ignored(segment: hl7_message::Segment<'_>) -> Warning {
    match segment.id() {
        Some(id) => Warning {
            code: "ignored-segment",
            location: Some(Location::of(id)),
            message: format!("segment {id} is not read by the broker"),
        },
        None => Warning {
            code: "odd-segment",
            location: None,
            message: format!(
                "the line at byte {} has no segment name and is not read",
                segment.span().start
            ),
        },
    }
}
