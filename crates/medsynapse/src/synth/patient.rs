//! [`Patient`]: a person of the story, under the id that holds at this moment.

use super::clock::Moment;
use super::dice::Dice;
use super::ids::Ids;
use super::people::{PersonName, Sex};
use super::sheet::Sheet;
use crate::map::Attribute;

#[derive(Debug, Clone, Copy)]
pub(super) struct Patient {
    /// The number in the patient id.
    pub(super) id: u64,
    pub(super) name: PersonName,
    pub(super) sex: Sex,
    /// The year of birth, and the date as it is written.
    born: (i64, [u8; 8]),
    /// Hundreds of grams.
    weight: u32,
    pub(super) admission: Option<u64>,
    /// How many orders of the story are theirs.
    pub(super) orders: u32,
}

impl Patient {
    pub(super) fn new(
        id: u64,
        name: PersonName,
        sex: Sex,
        age: u32,
        now: Moment,
        dice: &mut Dice,
    ) -> Self {
        Self {
            id,
            name,
            sex,
            born: now
                .days_before(age * 365 + age / 4 + dice.below(365))
                .date(),
            weight: weight(age, sex, dice),
            admission: None,
            orders: 0,
        }
    }

    /// The same person under another id, of whom nothing else is known yet.
    pub(super) const fn registered_again(mut self, id: u64) -> Self {
        self.id = id;
        self.orders = 0;
        self.admission = None;
        self
    }

    /// Whole years.
    pub(super) fn age(&self, now: Moment) -> u32 {
        u32::try_from(now.year() - self.born.0)
            .unwrap_or(0)
            .saturating_sub(1)
    }

    /// What PID says; the birth date is told apart, for not every system sends it.
    pub(super) fn write_to(&self, sheet: &mut Sheet, ids: &Ids) {
        sheet.write(Attribute::PatientId, |out| ids.write(out, 'P', self.id));
        sheet.write(Attribute::PatientName, |out| self.name.write_to(out));
        sheet.set(Attribute::PatientSex, self.sex.code());
        if let Some(admission) = self.admission {
            sheet.write(Attribute::AdmissionId, |out| ids.write(out, 'V', admission));
        }
    }

    pub(super) fn write_birth_date_to(&self, sheet: &mut Sheet) {
        let date = core::str::from_utf8(&self.born.1).unwrap_or_default();
        sheet.set(Attribute::PatientBirthDate, date);
    }

    /// Kilograms with one digit behind the point.
    pub(super) fn write_weight_to(&self, sheet: &mut Sheet) {
        sheet.write(Attribute::PatientWeight, |out| {
            super::ids::write_number(out, u64::from(self.weight / 10), 1);
            if !self.weight.is_multiple_of(10) {
                out.push('.');
                super::ids::write_number(out, u64::from(self.weight % 10), 1);
            }
        });
    }
}

/// A weight for the age, in hundreds of grams.
fn weight(age: u32, sex: Sex, dice: &mut Dice) -> u32 {
    match age {
        0 => dice.between(32, 100),
        1..=12 => 95 + age * dice.between(20, 32),
        13..=17 => dice.between(420, 780),
        _ if sex == Sex::Female => dice.between(480, 950),
        _ => dice.between(580, 1150),
    }
}
