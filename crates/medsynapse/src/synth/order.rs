//! [`Order`]: an examination of the story, from its order to its report.

use std::fmt::Write as _;

use super::clock::Moment;
use super::department::{self, INSTITUTIONS, PRIORITIES, ROUTINE, Station};
use super::dice::Dice;
use super::ids::Ids;
use super::people::Culture;
use super::procedures::Procedure;
use super::sheet::Sheet;
use crate::map::Attribute;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Scheduled,
    Completed,
    Reported,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// The number in the accession number.
    pub(super) serial: u64,
    /// Whose it is, by the number under which the ledger keeps the patient.
    pub(super) patient: u64,
    pub(super) procedure: &'static Procedure,
    pub(super) state: State,
    /// When the next step is due: the completion, then the report.
    pub(super) ready: Moment,
    pub(super) inpatient: bool,
    /// Which physician reads it.
    pub(super) reader: usize,
    /// Random bits that keep the choices of the order the same in all of its messages.
    pub(super) shape: u64,
    station: &'static Station,
    start: Moment,
    priority: usize,
    referring: &'static str,
    requesting: &'static str,
    institution: &'static str,
    reason: &'static str,
    uid: Option<u128>,
}

/// Radiologists: OBX-16 names them by number and family name.
pub(super) static READERS: [(&str, &str); 8] = [
    ("R1001", "KELLER"),
    ("R1002", "OKAFOR"),
    ("R1003", "PATEL"),
    ("R1004", "LINDQVIST"),
    ("R1005", "O'CONNOR"),
    ("R1006", "MORALES"),
    ("R1007", "TANAKA"),
    ("R1008", "HADDAD"),
];

/// Attributes that an order may lack, each with the percentage of orders that have it.
const OPTIONAL: [(Attribute, u64); 9] = [
    (Attribute::PatientBirthDate, 97),
    (Attribute::PatientWeight, 80),
    (Attribute::ReferringPhysician, 88),
    (Attribute::RequestingPhysician, 85),
    (Attribute::PerformingPhysician, 60),
    (Attribute::Location, 92),
    (Attribute::Reason, 94),
    (Attribute::Priority, 97),
    (Attribute::InstitutionName, 85),
];

impl Order {
    pub(super) fn new(
        serial: u64,
        patient: u64,
        procedure: &'static Procedure,
        now: Moment,
        cultures: &[&'static Culture],
        dice: &mut Dice,
    ) -> Self {
        let priority = dice.weighted(PRIORITIES.iter().map(|priority| priority.weight));
        let inpatient = dice.chance(if priority == ROUTINE { 25 } else { 55 });
        let culture = *dice.pick(cultures);
        let mut order = Self {
            serial,
            patient,
            procedure,
            state: State::Scheduled,
            ready: now,
            inpatient,
            reader: dice.below(8) as usize,
            shape: dice.bits(),
            station: dice.pick(department::stations(procedure.modality)),
            start: now,
            priority,
            referring: culture.physician(dice),
            requesting: dice.pick(cultures).physician(dice),
            institution: dice.word(&INSTITUTIONS),
            reason: dice.word(procedure.region.reasons),
            uid: None,
        };
        if dice.chance(25) {
            // Version and variant of a random UUID: DICOM PS3.5 annex B.2.
            let bits = u128::from(dice.bits()) << 64 | u128::from(dice.bits());
            order.uid = Some(bits & !(0xF << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62);
        }
        order.schedule(now, dice);
        order
    }

    /// Finds a time: soon for the urgent, in working hours for those who come from home.
    fn schedule(&mut self, now: Moment, dice: &mut Dice) {
        let (first, last) = PRIORITIES
            .get(self.priority)
            .map_or((30, 180), |p| p.minutes);
        let soon = now.plus(60 * dice.between(first, last));
        let urgent = self.priority != ROUTINE;
        let open = !soon.is_weekend() && (7..18).contains(&soon.hour());
        self.start = if urgent {
            soon
        } else if open || self.inpatient {
            soon.on_the_five()
        } else {
            now.next_working_day(5 * dice.below(108))
        };
        self.ready = self
            .start
            .plus(60 * (self.procedure.minutes + dice.below(self.procedure.minutes)))
            .plus(dice.below(60));
    }

    /// What a ward or a scheduler changes before the examination.
    pub(super) fn change(&mut self, now: Moment, dice: &mut Dice) {
        match dice.below(4) {
            0 => self.station = dice.pick(department::stations(self.procedure.modality)),
            1 => {
                self.priority = dice.below(3) as usize;
                self.schedule(now, dice);
            }
            2 => {
                self.reason = dice.word(self.procedure.region.reasons);
                self.reader = dice.below(8) as usize;
            }
            _ => self.schedule(now, dice),
        }
    }

    /// When the report can be there.
    pub(super) fn report_from(&self, now: Moment, dice: &mut Dice) -> Moment {
        let (first, last) = if self.priority == 0 {
            (4, 20)
        } else {
            (12, 110)
        };
        now.plus(60 * dice.between(first, last))
            .plus(dice.below(60))
    }

    pub(super) const fn patient_class(&self) -> &'static str {
        if self.inpatient { "I" } else { "O" }
    }

    pub(super) const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Writes everything but the patient.
    pub(super) fn write_to(&self, sheet: &mut Sheet, ids: &Ids, offset: Option<i16>) {
        use Attribute as A;
        let procedure = self.procedure;
        sheet.write(A::AccessionNumber, |out| ids.write(out, 'A', self.serial));
        sheet.set(A::Modality, procedure.modality);
        sheet.set(A::ScheduledStationAeTitle, self.station.ae_title);
        sheet.set(A::ScheduledStationName, self.station.name);
        sheet.write(A::ScheduledStart, |out| self.start.write_to(out, offset));
        sheet.set(A::ScheduledProcedureStepId, procedure.code);
        sheet.set(A::ScheduledProcedureStepDescription, procedure.step);
        sheet.write(A::RequestedProcedureId, |out| {
            ids.write(out, 'R', self.serial);
        });
        sheet.set(A::RequestedProcedureDescription, procedure.requested);
        for (at, (attribute, percent)) in OPTIONAL.into_iter().enumerate() {
            // Six bits of the order's own: the same answer in all of its messages.
            if (self.shape >> (6 * at)) % 64 * 100 >= percent * 64 {
                sheet.remove(attribute);
                continue;
            }
            match attribute {
                A::ReferringPhysician => sheet.set(attribute, self.referring),
                A::RequestingPhysician => sheet.set(attribute, self.requesting),
                A::PerformingPhysician => {
                    sheet.set(
                        attribute,
                        READERS.get(self.reader).map_or("", |reader| reader.1),
                    );
                }
                A::Location => sheet.set(attribute, self.station.room),
                A::Reason => sheet.set(attribute, self.reason),
                A::Priority => {
                    let priority = PRIORITIES.get(self.priority);
                    sheet.set(attribute, priority.map_or("", |priority| priority.code));
                }
                A::InstitutionName => sheet.set(attribute, self.institution),
                _ => {}
            }
        }
        if let Some(uid) = self.uid {
            sheet.write(A::StudyInstanceUid, |out| {
                // Writing to a String does not fail.
                let _ = write!(out, "2.25.{uid}");
            });
        }
    }
}
