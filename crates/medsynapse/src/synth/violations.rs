//! Messages that break one rule of the broker each, with the answer that the rule asks for.

use std::borrow::Cow;

use hl7_message::{AckCode, Location, SegmentId, loc};

use super::generated::{Expected, Generated, Kind};
use super::surgery::Surgery;

/// One rule and the message that breaks it.
struct Violation {
    kind: Kind,
    rule: &'static str,
    how: How,
    /// MSA-3, where the statement fixes it.
    text: Text,
}

enum How {
    Set(Location, &'static str),
    /// A value of so many characters.
    Long(Location, usize),
    Without(SegmentId),
    Twice(SegmentId),
    With(&'static str),
    /// Nothing but the names of its segments and the control code.
    Bare,
    /// MRG-1 is PID-3.
    SamePatient,
    /// MSH-1 and MSH-2.
    Delimiters(&'static str),
}

enum Text {
    Open,
    Fixed(&'static str),
    /// `No order has accession number X.`
    NoOrder,
}

macro_rules! violations {
    ($($kind:ident $rule:literal $how:expr, $text:expr;)*) => {
        static VIOLATIONS: &[Violation] = &[$(Violation {
            kind: Kind::$kind,
            rule: $rule,
            how: $how,
            text: $text,
        },)*];
    };
}

use How::{Bare, Delimiters, Long, SamePatient, Set, Twice, With, Without};
use Text::{Fixed, NoOrder, Open};

violations! {
    Order "missing-accession-number" Set(loc!("OBR-2"), ""), Fixed("Missing OBR-2");
    Order "missing-patient-id" Set(loc!("PID-3"), ""), Fixed("Missing PID-3");
    Order "missing-patient-name" Set(loc!("PID-5"), ""), Fixed("Missing PID-5");
    Order "missing-patient-sex" Set(loc!("PID-8"), ""), Fixed("Missing PID-8");
    Order "missing-modality" Set(loc!("OBR-24"), ""), Fixed("Missing OBR-24");
    Order "missing-ae-title" Set(loc!("OBR-21"), ""), Fixed("Missing OBR-21");
    Order "missing-station-name" Set(loc!("OBR-18"), ""), Fixed("Missing OBR-18");
    Order "missing-start" Set(loc!("OBR-36"), ""), Fixed("Missing OBR-36");
    Order "missing-step-id" Set(loc!("OBR-4.1"), ""), Fixed("Missing OBR-4");
    Order "missing-step-description" Set(loc!("OBR-4.2"), ""), Fixed("Missing OBR-4.2");
    Order "missing-procedure-id" Set(loc!("OBR-19"), ""), Fixed("Missing OBR-19");
    Order "missing-procedure-description" Set(loc!("OBR-15"), ""), Fixed("Missing OBR-15");
    Order "null-for-mandatory" Set(loc!("PID-8"), "\"\""), Fixed("Missing PID-8");
    Order "missing-everything" Bare, Fixed("Missing PID-3,5,8 OBR-2,4,15,18,19,21,24,36");
    Order "missing-pid" Without(SegmentId::PID), Fixed("Missing PID-3 PID-5 PID-8");
    Order "unknown-order-control" Set(loc!("ORC-1"), "SC"),
        Fixed("Order control SC is not supported.");
    Order "empty-order-control" Set(loc!("ORC-1"), ""), Open;
    Order "cancel-of-unknown-order" Set(loc!("ORC-1"), "CA"), NoOrder;
    Order "completion-of-unknown-order" Set(loc!("ORC-1"), "CM"), NoOrder;
    // The strict preset refuses XO itself: the text is another there.
    Order "change-of-unknown-order" Set(loc!("ORC-1"), "XO"), Open;
    Order "repeated-obr" Twice(SegmentId::OBR), Open;
    Order "repeated-pid" Twice(SegmentId::PID), Open;
    Order "repeated-pv1" Twice(SegmentId::PV1), Open;
    Order "long-accession-number" Long(loc!("OBR-2"), 17), Open;
    Order "long-step-id" Long(loc!("OBR-4.1"), 17), Open;
    Order "long-ae-title" Long(loc!("OBR-21"), 17), Open;
    Order "long-patient-id" Long(loc!("PID-3"), 65), Open;
    Order "unsupported-type" Set(loc!("MSH-9"), "SIU^S12"), Open;
    Order "unsupported-event" Set(loc!("MSH-9.2"), "O02"), Open;
    Order "unsupported-version" Set(loc!("MSH-12"), "3.0"), Open;
    Order "unsupported-processing-id" Set(loc!("MSH-11"), "X"), Open;
    Order "missing-control-id" Set(loc!("MSH-10"), ""), Open;
    Order "unknown-character-set" Set(loc!("MSH-18"), "KLINGON"), Open;
    Order "delimiters-alike" Delimiters("|^~^&"), Open;
    Order "delimiters-too-few" Delimiters("|^"), Open;
    Report "report-without-accession-number" Set(loc!("OBR-2"), ""), Fixed("Missing OBR-2");
    Report "report-without-patient-id" Set(loc!("PID-3"), ""), Fixed("Missing PID-3");
    Report "report-without-text" Set(loc!("OBX-5"), ""), Fixed("Missing OBX-5");
    Report "report-without-date" Set(loc!("OBX-14"), ""), Fixed("Missing OBX-14");
    Report "report-without-obx" Without(SegmentId::OBX), Fixed("Missing OBX-5 OBX-14");
    Report "two-obx" With("OBX|2|TX|||Second.||||||F|||20260105"), Open;
    Report "unsupported-report-format" Set(loc!("OBX-2"), "ED"), Open;
    Report "report-with-two-obr" Twice(SegmentId::OBR), Open;
    Report "unsupported-report-event" Set(loc!("MSH-9.2"), "R03"), Open;
    Report "long-accession-number-in-report" Long(loc!("OBR-2"), 17), Open;
    PatientUpdate "update-without-patient-id" Set(loc!("PID-3"), ""), Fixed("Missing PID-3");
    PatientUpdate "update-without-name" Set(loc!("PID-5"), ""), Fixed("Missing PID-5");
    PatientUpdate "update-without-pid" Without(SegmentId::PID), Fixed("Missing PID-3 PID-5");
    PatientUpdate "update-with-two-pid" Twice(SegmentId::PID), Open;
    PatientUpdate "unsupported-update-event" Set(loc!("MSH-9.2"), "A01"), Open;
    PatientMerge "merge-without-old-id" Set(loc!("MRG-1"), ""), Fixed("Missing MRG-1");
    PatientMerge "merge-without-new-id" Set(loc!("PID-3"), ""), Fixed("Missing PID-3");
    PatientMerge "merge-without-mrg" Without(SegmentId::MRG), Fixed("Missing MRG-1");
    PatientMerge "merge-into-itself" SamePatient, Open;
    PatientMerge "merge-of-two" Twice(SegmentId::MRG), Open;
    PatientMerge "unsupported-merge-event" Set(loc!("MSH-9.2"), "A18"), Open;
}

/// The names of all rules that a message of this type can break, in the order in which they are
/// broken.
pub(super) fn rules(kind: Kind) -> impl Iterator<Item = &'static str> {
    let of_kind = VIOLATIONS
        .iter()
        .filter(move |violation| violation.kind == kind);
    of_kind.map(|violation| violation.rule)
}

/// The message with a rule broken that its type can break.
pub(super) fn broken(kind: Kind, message: &[u8], rule: &str) -> Option<Vec<u8>> {
    let mut violations = VIOLATIONS.iter();
    let found = violations.find(|violation| violation.kind == kind && violation.rule == rule)?;
    Some(found.breaks(message))
}

impl Violation {
    /// The message with this rule broken.
    fn breaks(&self, message: &[u8]) -> Vec<u8> {
        let message = Surgery::on(message);
        let message = match &self.how {
            Set(location, value) => message.set(*location, value),
            Long(location, length) => message.set(*location, &"X".repeat(*length)),
            Without(id) => message.without(*id),
            Twice(id) => message.twice(*id),
            With(segment) => message.with(&[segment]),
            Bare => [
                SegmentId::PV1,
                SegmentId::ORC,
                SegmentId::OBR,
                SegmentId::PID,
                SegmentId::ZDS,
            ]
            .into_iter()
            .fold(message, Surgery::without)
            .with(&["PID|1", "PV1|1|O", "ORC|NW", "OBR|1"]),
            SamePatient => {
                let id = message.raw(loc!("PID-3"));
                message.set(loc!("MRG-1"), &id)
            }
            Delimiters(characters) => message.with_delimiters(characters),
        };
        message.done()
    }
}

/// Breaks the `turn`-th rule that a message of this type can break, from the first again after
/// the last one. The message has to be one that would be accepted and that refers to nothing.
pub(super) fn break_rule(generated: &mut Generated, turn: usize) {
    let of_kind = || {
        VIOLATIONS
            .iter()
            .filter(|violation| violation.kind == generated.kind)
    };
    let Some(violation) = of_kind().nth(turn % of_kind().count().max(1)) else {
        return;
    };
    generated.bytes = violation.breaks(&generated.bytes);
    if violation.rule == "missing-control-id" {
        generated.control_id.clear();
    }
    generated.expected = Expected {
        rule: violation.rule,
        code: AckCode::ApplicationReject,
        text: match (&violation.text, &generated.accession_number) {
            (Fixed(text), _) => Some(Cow::Borrowed(*text)),
            (NoOrder, Some(accession_number)) => {
                Some(format!("No order has accession number {accession_number}.").into())
            }
            (Open | NoOrder, _) => None,
        },
    };
}
