//! [`Story`]: which message comes next.

use super::generated::{Counts, Generated, Kind};
use super::order::Order;
use super::patient::Patient;
use super::scribe::Subject;
use super::{Conformance, Scenario, Synth, edge_cases, violations};

/// The messages of a story; made by [`Synth::story`].
#[derive(Debug)]
pub struct Story<'s> {
    pub(super) synth: &'s mut Synth,
    pub(super) left: Counts,
    pace: u32,
}

/// Seconds in which a small run passes, and the pace of a long one.
const SMALL_RUN: u64 = 8 * 3600;
const BUSY_PACE: u32 = 45;

impl<'s> Story<'s> {
    pub(super) fn new(synth: &'s mut Synth, counts: Counts) -> Self {
        let pace = SMALL_RUN / counts.total().max(1);
        let pace = u32::try_from(pace)
            .unwrap_or(u32::MAX)
            .clamp(BUSY_PACE, 900);
        Self {
            synth,
            left: counts,
            pace,
        }
    }

    /// How many messages are still to come.
    pub fn left(&self) -> Counts {
        self.left
    }

    /// A type, more often the more of it is left.
    fn draw(&mut self) -> Option<Kind> {
        let total = self.left.total();
        if total == 0 {
            return None;
        }
        // Weights of 24 bits at most, and none of them lost.
        let shift = (64 - total.leading_zeros()).saturating_sub(24);
        let left = self.left;
        let weight = |kind: Kind| {
            let count = left.of(kind);
            u32::try_from(count >> shift)
                .unwrap_or(u32::MAX)
                .max(u32::from(count > 0))
        };
        let at = self.synth.dice.weighted(Kind::ALL.into_iter().map(weight));
        Kind::ALL.get(at).copied()
    }

    /// Time passes, slower at night.
    fn tick(&mut self) {
        let synth = &mut *self.synth;
        let quiet = !(7..19).contains(&synth.now.hour()) || synth.now.is_weekend();
        let pace = if quiet && self.pace == BUSY_PACE {
            4 * self.pace
        } else {
            self.pace
        };
        let seconds = synth.dice.between(pace / 4, pace * 7 / 4);
        synth.now = synth.now.plus(seconds);
    }

    pub(super) fn acknowledgement(&mut self) -> Generated {
        let synth = &mut *self.synth;
        synth.scribe.acknowledge(synth.now, &synth.options)
    }

    fn of_its_own(&mut self, kind: Kind) -> Generated {
        let synth = &mut *self.synth;
        let (key, mut patient, procedure) = synth.newcomer();
        match kind {
            Kind::Order => {
                let order = synth.order(key, procedure);
                self.tell_order("NW", &order, &patient, "Order registered.")
            }
            Kind::Report => self.report_alone(),
            Kind::PatientUpdate => {
                patient.name = patient.name.changed(patient.sex, &mut synth.dice);
                self.tell(Subject::Update { patient: &patient })
            }
            Kind::PatientMerge => {
                patient.id = synth.patient_number();
                self.tell(Subject::Merge {
                    from: key,
                    into: &patient,
                })
            }
            Kind::Acknowledgement => self.acknowledgement(),
        }
    }

    /// A report on an order that nobody told of.
    pub(super) fn report_alone(&mut self) -> Generated {
        let synth = &mut *self.synth;
        let (key, patient, procedure) = synth.newcomer();
        let order = synth.order(key, procedure);
        self.tell_report(&order, &patient, 0, "Report registered.")
    }

    pub(super) fn tell_order(
        &mut self,
        control: &'static str,
        order: &Order,
        patient: &Patient,
        text: &'static str,
    ) -> Generated {
        self.tell(Subject::Order {
            control,
            order,
            patient,
            text,
        })
    }

    pub(super) fn tell_report(
        &mut self,
        order: &Order,
        patient: &Patient,
        addenda: u32,
        text: &'static str,
    ) -> Generated {
        self.tell(Subject::Report {
            order,
            patient,
            addenda,
            text,
        })
    }

    pub(super) fn tell(&mut self, subject: Subject<'_>) -> Generated {
        let synth = &mut *self.synth;
        synth.scribe.write(subject, synth.now, &synth.options)
    }
}

impl Iterator for Story<'_> {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        let kind = self.draw()?;
        self.tick();
        let options = &self.synth.options;
        let alone = options.scenario == Scenario::Independent
            || options.conformance == Conformance::Violations;
        let mut generated = if alone {
            self.of_its_own(kind)
        } else {
            self.of_workflow(kind)
        };
        self.synth.twist(&mut generated);
        self.left.take(generated.kind);
        Some(generated)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left.total()).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl Synth {
    /// Makes a message as odd or as wrong as the options say.
    fn twist(&mut self, generated: &mut Generated) {
        let Some(turn) = self.turns.get_mut(generated.kind as usize) else {
            return;
        };
        match self.options.conformance {
            Conformance::Conformant => {}
            Conformance::EdgeCases => {
                edge_cases::make_odd(generated, *turn, self.options.strict);
                *turn += 1;
            }
            Conformance::Violations => {
                violations::break_rule(generated, *turn);
                *turn += 1;
            }
        }
    }
}
