//! What a request leaves out, and what then still lacks.

use std::collections::BTreeMap;

use super::context::{Context, Fill};
use super::error::{Errors, Problem};
use super::form::Form;
use super::request::Request;
use super::view;
use crate::map::{Attribute as A, Attributes, Detail as D, MODALITIES, Member, Patch, ROWS};

/// A request with what was filled in.
pub(super) struct Complete<'r> {
    pub(super) request: &'r Request,
    pub(super) values: BTreeMap<Member, Patch>,
    /// What was made up, and how.
    pub(super) made_up: BTreeMap<Member, &'static str>,
}

/// The order controls that there are.
const CONTROLS: [&str; 4] = ["NW", "XO", "CA", "CM"];

pub(super) fn complete<'r>(
    request: &'r Request,
    context: &Context<'_>,
) -> Result<Complete<'r>, Errors> {
    let mut complete = Complete {
        request,
        values: request.values.clone(),
        made_up: BTreeMap::new(),
    };
    if context.fill == Fill::Nothing {
        return Ok(complete);
    }
    match request.form {
        Form::Order => complete.order(context),
        Form::Patient => complete.patient(context.patient, &[A::PatientName]),
        Form::Report | Form::Merge | Form::Acknowledgement => {}
    }
    let problems = complete.problems();
    if problems.is_empty() {
        Ok(complete)
    } else {
        Err(Errors(problems))
    }
}

impl Complete<'_> {
    fn text(&self, member: impl Into<Member>) -> Option<&str> {
        match self.values.get(&member.into()) {
            Some(Patch::Set(text)) => Some(text),
            _ => None,
        }
    }

    /// Makes up the value of a member that says nothing.
    fn fill(&mut self, member: impl Into<Member>, text: &str, how: &'static str) {
        let member = member.into();
        let silent = matches!(self.values.get(&member), None | Some(Patch::Keep));
        if silent && !text.trim().is_empty() {
            self.values.insert(member, Patch::Set(text.into()));
            self.made_up.insert(member, how);
        }
    }

    /// As [`Complete::fill`], with the value of another member.
    fn copy(&mut self, member: A, from: A, how: &'static str) {
        if let Some(text) = self.text(from).map(str::to_owned) {
            self.fill(member, &text, how);
        }
    }

    fn order(&mut self, context: &Context<'_>) {
        self.fill(D::OrderControl, "NW", "default, a new order");
        if let Some(number) = context.new_accession_number {
            let how = "default, a number never used before";
            self.fill(A::AccessionNumber, number.as_str(), how);
        }
        if !matches!(self.text(D::OrderControl), Some("NW" | "XO")) {
            return; // CA and CM need the accession number alone.
        }
        self.known_order(context);
        let known = [A::PatientName, A::PatientSex, A::PatientBirthDate];
        self.patient(context.patient, &known);
        if let Some(code) = self
            .text(A::ScheduledProcedureStepDescription)
            .and_then(modality_of)
        {
            self.fill(A::Modality, code, "default, first word of the description");
        }
        self.station(context);
        let now = context.envelope.time.to_string();
        self.fill(A::ScheduledStart, &now, "default, now");
        let how = "default, the accession number";
        self.copy(A::ScheduledProcedureStepId, A::AccessionNumber, how);
        self.copy(A::RequestedProcedureId, A::AccessionNumber, how);
        self.copy(
            A::RequestedProcedureDescription,
            A::ScheduledProcedureStepDescription,
            "default, the description",
        );
        self.fill(A::Priority, "ROUTINE", "default, ROUTINE");
        self.fill(D::PatientClass, "O", "default, an outpatient");
    }

    /// An order that is known keeps what the request does not say.
    fn known_order(&mut self, context: &Context<'_>) {
        let Some(order) = context.order else { return };
        let how = "default, as the order is known";
        let patient = order.attributes.get(A::PatientId);
        let same_patient = self.text(A::PatientId).is_none_or(|id| Some(id) == patient);
        for (attribute, text) in order.attributes.iter() {
            let of_patient = matches!(
                attribute,
                A::PatientName | A::PatientSex | A::PatientBirthDate | A::AdmissionId
            );
            if same_patient || !(of_patient || attribute == A::PatientWeight) {
                self.fill(attribute, text, how);
            }
        }
        if let Some(class) = view::patient_class(order) {
            self.fill(D::PatientClass, &class, how);
        }
    }

    fn patient(&mut self, known: Option<&Attributes>, attributes: &[A]) {
        let Some(known) = known else { return };
        for &attribute in attributes {
            if let Some(text) = known.get(attribute) {
                self.fill(attribute, text, "default, what is known of this patient");
            }
        }
    }

    fn station(&mut self, context: &Context<'_>) {
        let modality = self.text(A::Modality).map(str::to_owned);
        let station = modality
            .as_deref()
            .and_then(|modality| context.stations?.get(modality));
        let (title, how) = match (station, &modality) {
            (Some(station), _) => (
                station.ae_title.clone(),
                "default, configured for the modality",
            ),
            (None, Some(modality)) => (format!("{modality}1"), "default, the modality and 1"),
            (None, None) => (String::new(), ""),
        };
        self.fill(A::ScheduledStationAeTitle, &title, how);
        let own = station.filter(|_| self.text(A::ScheduledStationAeTitle) == Some(&*title));
        if let Some(name) = own.and_then(|station| station.name.as_deref()) {
            self.fill(A::ScheduledStationName, name, how);
        }
        self.copy(
            A::ScheduledStationName,
            A::ScheduledStationAeTitle,
            "default, the AE title",
        );
    }

    /// What is missing or cleared though it has to be there, and what contradicts itself.
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |member: Member, code, text: &str| {
            let pointer = self.request.pointer(member);
            problems.push(Problem::of(pointer, Some(member.location()), code, text));
        };
        let control = self.text(D::OrderControl).unwrap_or_default();
        let order = self.request.form == Form::Order;
        if order && !CONTROLS.contains(&control) {
            let text = "is not supported; send NW, XO, CA or CM";
            wrong(D::OrderControl.into(), "not-in-table", text);
        }
        let whole = order && matches!(control, "NW" | "XO");
        let mandatory = ROWS.iter().filter(|row| whole && row.mandatory);
        let mandatory = mandatory.map(|row| Member::from(row.attribute));
        let required = self.request.form.required().iter().copied();
        for member in required.filter(|_| !whole).chain(mandatory) {
            match self.values.get(&member) {
                Some(Patch::Set(_)) => {}
                Some(Patch::Clear) => {
                    wrong(
                        member,
                        "not-clearable",
                        "is mandatory and cannot be cleared",
                    );
                }
                None | Some(Patch::Keep) => wrong(member, "missing", missing(member)),
            }
        }
        for (&member, patch) in &self.values {
            if let (Patch::Set(text), Some(max)) = (patch, member.characters_max())
                && text.chars().count() > max
            {
                let text = format!("is longer than {max} characters");
                wrong(member, "too-long", &text);
            }
        }
        match self.request.form {
            Form::Merge => {
                let from = self.text(D::FromPatientId);
                if from.is_some() && from == self.text(D::IntoPatientId) {
                    let text = "is the patient that stays; name another one";
                    wrong(D::FromPatientId.into(), "same-patient", text);
                }
            }
            Form::Report => {
                let said = [D::ResultContent, D::ResultStatus];
                if said.into_iter().all(|detail| self.text(detail).is_none()) {
                    let text = "is missing, and so is the status; give one of them";
                    wrong(D::ResultContent.into(), "missing", text);
                }
            }
            Form::Order | Form::Patient | Form::Acknowledgement => {}
        }
        problems
    }
}

fn missing(member: Member) -> &'static str {
    match member {
        Member::Attribute(A::Modality) => {
            "is mandatory and missing; give it, or begin the description with a modality code"
        }
        _ => "is mandatory and missing",
    }
}

/// The modality code that a description begins with.
fn modality_of(description: &str) -> Option<&'static str> {
    let word = description
        .trim_start()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .next()?;
    MODALITIES.into_iter().find(|code| *code == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_a_modality_or_it_is_not() {
        assert_eq!(modality_of("CT CHEST"), Some("CT"));
        assert_eq!(modality_of(" MR, head"), Some("MR"));
        assert_eq!(modality_of("ECG"), Some("ECG"));
        for text in ["CTA CHEST", "CHEST CT", "ct chest", ""] {
            assert_eq!(modality_of(text), None, "{text}");
        }
    }
}
