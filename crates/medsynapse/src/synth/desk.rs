//! The registration desk: who comes, and what for.

use super::Synth;
use super::order::Order;
use super::patient::Patient;
use super::people::Sex;
use super::procedures::{PROCEDURES, Procedure, Who};

impl Synth {
    /// Somebody who comes for the first time, and what for.
    pub(super) fn newcomer(&mut self) -> (u64, Patient, &'static Procedure) {
        let procedure = self
            .dice
            .pick_weighted(PROCEDURES, |procedure| procedure.weight);
        let sex = match procedure.who {
            Who::Women => Sex::Female,
            Who::Men => Sex::Male,
            Who::Anyone => match self.dice.below(100) {
                0..49 => Sex::Female,
                49..98 => Sex::Male,
                98 => Sex::Other,
                _ => Sex::Unknown,
            },
        };
        let name = self.dice.pick(&self.cultures).person(sex, &mut self.dice);
        let age = self.dice.between(procedure.ages.0, procedure.ages.1);
        let key = self.patient_number();
        let mut patient = Patient::new(key, name, sex, age, self.now, &mut self.dice);
        if self.dice.chance(40) {
            patient.admission = Some(self.admission());
        }
        (key, patient, procedure)
    }

    pub(super) fn order(&mut self, patient: u64, procedure: &'static Procedure) -> Order {
        let serial = self.next_order;
        self.next_order += 1;
        Order::new(
            serial,
            patient,
            procedure,
            self.now,
            &self.cultures,
            &mut self.dice,
        )
    }

    pub(super) fn patient_number(&mut self) -> u64 {
        self.next_patient += 1;
        self.next_patient - 1
    }

    pub(super) fn admission(&mut self) -> u64 {
        self.next_admission += 1;
        self.next_admission - 1
    }

    /// A procedure for somebody who is known.
    pub(super) fn procedure_for(&mut self, patient: &Patient) -> &'static Procedure {
        let age = patient.age(self.now);
        self.dice.pick_weighted(PROCEDURES, |procedure| {
            let fits = procedure.who.admits(patient.sex)
                && (procedure.ages.0..=procedure.ages.1).contains(&age);
            if fits { procedure.weight } else { 0 }
        })
    }
}
