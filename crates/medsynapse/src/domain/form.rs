//! [`Form`]: the five kinds of domain JSON and the members of each.

use hl7_message::Message;

use crate::map::{Attribute as A, Detail as D, Member};

/// The kinds of domain JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// `{"order": {…}}`, ORM^O01
    Order,
    /// `{"report": {…}}`, ORU^R01
    Report,
    /// `{"patient": {…}}`, ADT^A08
    Patient,
    /// `{"merge": {…}}`, ADT^A40
    Merge,
    /// `{"acknowledgement": {…}}`, ACK
    Acknowledgement,
}

const fn a(attribute: A) -> Member {
    Member::Attribute(attribute)
}

const fn d(detail: D) -> Member {
    Member::Detail(detail)
}

/// The members in the order in which they are shown.
const ORDER: &[Member] = &[
    a(A::AccessionNumber),
    d(D::OrderControl),
    a(A::PatientId),
    a(A::PatientName),
    a(A::PatientSex),
    a(A::PatientBirthDate),
    a(A::AdmissionId),
    a(A::PatientWeight),
    d(D::PatientClass),
    a(A::ReferringPhysician),
    a(A::Modality),
    a(A::ScheduledProcedureStepDescription),
    a(A::Priority),
    a(A::ScheduledProcedureStepId),
    a(A::RequestedProcedureId),
    a(A::RequestedProcedureDescription),
    a(A::Reason),
    a(A::StudyInstanceUid),
    a(A::ScheduledStationAeTitle),
    a(A::ScheduledStationName),
    a(A::Location),
    a(A::ScheduledStart),
    a(A::PerformingPhysician),
    a(A::RequestingPhysician),
    a(A::InstitutionName),
];

const REPORT: &[Member] = &[
    a(A::AccessionNumber),
    d(D::OrderControl),
    a(A::PatientId),
    a(A::PatientName),
    a(A::PatientBirthDate),
    a(A::PatientSex),
    a(A::AdmissionId),
    a(A::PatientWeight),
    d(D::PatientClass),
    a(A::ReferringPhysician),
    a(A::ScheduledProcedureStepId),
    a(A::ScheduledProcedureStepDescription),
    a(A::Modality),
    a(A::Priority),
    a(A::RequestedProcedureId),
    a(A::RequestedProcedureDescription),
    a(A::Reason),
    a(A::StudyInstanceUid),
    a(A::ScheduledStationAeTitle),
    a(A::ScheduledStationName),
    a(A::Location),
    a(A::ScheduledStart),
    a(A::PerformingPhysician),
    a(A::RequestingPhysician),
    a(A::InstitutionName),
    d(D::ResultStatus),
    d(D::ResultContent),
    d(D::ResultFormat),
    d(D::ResultDate),
    d(D::RadiologistId),
    d(D::RadiologistName),
];

const PATIENT: &[Member] = &[
    a(A::PatientId),
    a(A::PatientName),
    a(A::PatientSex),
    a(A::PatientBirthDate),
    a(A::AdmissionId),
];

const MERGE: &[Member] = &[d(D::FromPatientId), d(D::IntoPatientId)];

const ACKNOWLEDGEMENT: &[Member] = &[d(D::AckCode), d(D::AckControlId), d(D::AckText)];

impl Form {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Order,
        Self::Report,
        Self::Patient,
        Self::Merge,
        Self::Acknowledgement,
    ];

    /// The member of the document that holds it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Report => "report",
            Self::Patient => "patient",
            Self::Merge => "merge",
            Self::Acknowledgement => "acknowledgement",
        }
    }

    /// The form that a message has, if it has one.
    pub fn of(message: &Message<'_>) -> Option<Self> {
        let header = message.header();
        match (header.message_code(), header.trigger_event()) {
            (b"ORM", b"O01") => Some(Self::Order),
            (b"ORU", b"R01") => Some(Self::Report),
            (b"ADT", b"A08") => Some(Self::Patient),
            (b"ADT", b"A40") => Some(Self::Merge),
            (b"ACK", _) => Some(Self::Acknowledgement),
            _ => None,
        }
    }

    /// Its members, in the order in which they are shown.
    pub const fn members(self) -> &'static [Member] {
        match self {
            Self::Order => ORDER,
            Self::Report => REPORT,
            Self::Patient => PATIENT,
            Self::Merge => MERGE,
            Self::Acknowledgement => ACKNOWLEDGEMENT,
        }
    }

    /// The name of a member below the one that holds the form, objects apart by a full stop.
    pub fn name_of(self, member: Member) -> &'static str {
        match (self, member) {
            (Self::Report, Member::Attribute(attribute)) => attribute.row().report_json,
            (Self::Patient, Member::Attribute(attribute)) => {
                let name = attribute.row().json;
                name.strip_prefix("patient.").unwrap_or(name)
            }
            (_, Member::Attribute(attribute)) => attribute.row().json,
            (_, Member::Detail(detail)) => detail.json(),
        }
    }

    /// The member of that name.
    pub(super) fn member(self, name: &str) -> Option<Member> {
        let members = self.members().iter().copied();
        members
            .into_iter()
            .find(|&member| self.name_of(member) == name)
    }

    /// Whether that name holds members.
    pub(super) fn is_object(self, name: &str) -> bool {
        self.members().iter().any(|&member| {
            self.name_of(member)
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// What has to be said in every request of this form; orders have more rules.
    pub(super) const fn required(self) -> &'static [Member] {
        match self {
            Self::Order => const { &[a(A::AccessionNumber)] },
            Self::Report => const { &[a(A::AccessionNumber), a(A::PatientId)] },
            Self::Patient => const { &[a(A::PatientId), a(A::PatientName)] },
            Self::Merge => MERGE,
            Self::Acknowledgement => const { &[d(D::AckCode), d(D::AckControlId)] },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_and_every_detail_is_a_member() {
        for attribute in A::ALL {
            assert!(ORDER.contains(&a(attribute)) && REPORT.contains(&a(attribute)));
        }
        for &detail in D::ALL {
            let forms = Form::ALL.into_iter();
            assert!(
                forms
                    .into_iter()
                    .any(|form| form.members().contains(&d(detail))),
                "{detail:?}"
            );
        }
        assert_eq!(ORDER.len(), A::COUNT + 2);
    }

    #[test]
    fn names_are_unique() {
        for form in Form::ALL {
            for &member in form.members() {
                let name = form.name_of(member);
                assert_eq!(form.member(name), Some(member));
                assert!(!form.is_object(name), "{name}");
            }
        }
    }
}
