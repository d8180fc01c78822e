//! [`Request`]: domain JSON that was read.

use std::collections::BTreeMap;

use hl7_message::Location;

use super::form::Form;
use crate::map::{Attribute, Member, Patch};
use crate::rejection::Warning;

/// What one document of domain JSON says, checked member by member.
///
/// Read with [`Request::from_slice`] or [`Request::from_value`], made a message by
/// [`to_message`](super::to_message). `Debug` shows which members are said, not what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(super) form: Form,
    pub(super) values: BTreeMap<Member, Patch>,
    pub(super) errors: Vec<AckError>,
    pub(super) warnings: Vec<Warning>,
    /// It came as `{"patientId": …, "study": …, "priority": …}`.
    pub(super) short: bool,
}

/// One entry of `acknowledgement.errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AckError {
    pub(super) path: Option<Location>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

static KEEP: Patch = Patch::Keep;

impl Request {
    /// Which form it is.
    pub const fn form(&self) -> Form {
        self.form
    }

    /// What it says about one member.
    pub fn get(&self, member: impl Into<Member>) -> &Patch {
        self.values.get(&member.into()).unwrap_or(&KEEP)
    }

    /// The text that it sets one member to: names as XPN, dates as HL7 writes them.
    pub fn text(&self, member: impl Into<Member>) -> Option<&str> {
        match self.get(member) {
            Patch::Set(text) => Some(text),
            Patch::Keep | Patch::Clear => None,
        }
    }

    /// Sets a member, for instance the accession number that a URL names.
    pub fn set(&mut self, member: impl Into<Member>, text: &str) {
        self.values.insert(member.into(), Patch::Set(text.into()));
    }

    /// The patient that it names: what is known of that one goes into
    /// [`Context::patient`](super::Context::patient).
    pub fn patient_id(&self) -> Option<&str> {
        self.text(Attribute::PatientId)
    }

    /// The order that it names: what is known of that one goes into
    /// [`Context::order`](super::Context::order). An order without needs
    /// [`Context::new_accession_number`](super::Context::new_accession_number).
    pub fn accession_number(&self) -> Option<&str> {
        self.text(Attribute::AccessionNumber)
    }

    /// What is odd about it.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The place of a member as a JSON pointer.
    pub(super) fn pointer(&self, member: Member) -> String {
        let name = match member {
            Member::Attribute(Attribute::PatientId) if self.short => return "/patientId".into(),
            Member::Attribute(
                Attribute::Modality | Attribute::ScheduledProcedureStepDescription,
            ) if self.short => return "/study".into(),
            Member::Attribute(Attribute::Priority) if self.short => return "/priority".into(),
            member => self.form.name_of(member),
        };
        format!("/{}/{}", self.form.name(), name.replace('.', "/"))
    }
}
