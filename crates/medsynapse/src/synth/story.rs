//! [`Story`]: which message comes next.

use super::clock::Moment;
use super::generated::{Counts, Generated, Kind};
use super::order::{Order, State};
use super::patient::Patient;
use super::people::Sex;
use super::procedures::{PROCEDURES, Procedure, Who};
use super::scribe::Subject;
use super::{Conformance, Scenario, Synth, edge_cases, violations};

/// The messages of a story; made by [`Synth::story`].
#[derive(Debug)]
pub struct Story<'s> {
    synth: &'s mut Synth,
    left: Counts,
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

    fn of_workflow(&mut self, kind: Kind) -> Generated {
        let orders_left = self.left.of(Kind::Order) > 0;
        let ledger = &self.synth.ledger;
        match kind {
            Kind::Order => self.order_message(),
            Kind::Report => self.report_message(),
            // Nobody is known yet: an order comes first.
            Kind::PatientUpdate | Kind::PatientMerge if orders_left && ledger.orders() == 0 => {
                self.order_message()
            }
            Kind::PatientUpdate => self.patient_update(),
            Kind::PatientMerge => self.patient_merge(),
            Kind::Acknowledgement => self.acknowledgement(),
        }
    }

    fn order_message(&mut self) -> Generated {
        self.make_room();
        let reports_wait = self.left.of(Kind::Report) > 0 && !self.synth.ledger.has_reported();
        let synth = &mut *self.synth;
        let now = synth.now;
        if let Some(order) = synth.ledger.next_completion() {
            let last_orders = reports_wait
                && self.left.of(Kind::Order) <= 3
                && synth.ledger.next_report().is_none();
            let due = order.ready <= now && synth.dice.chance(85);
            if due || last_orders || synth.ledger.is_full() {
                return self.complete(&order);
            }
            match synth.dice.below(100) {
                0..14 => {
                    if let Some(order) = synth.ledger.any_scheduled(&mut synth.dice) {
                        return self.update(order);
                    }
                }
                14..19 if synth.ledger.orders() > 2 => {
                    if let Some(order) = synth.ledger.any_scheduled(&mut synth.dice) {
                        return self.cancel(&order);
                    }
                }
                _ => {}
            }
        }
        self.new_order()
    }

    /// Lets an order go unreported where no more are kept.
    fn make_room(&mut self) {
        let ledger = &mut self.synth.ledger;
        if ledger.is_full()
            && let Some(order) = ledger.next_report()
        {
            ledger.remove_order(order.serial);
        }
    }

    fn new_order(&mut self) -> Generated {
        let key = self.who_comes();
        let synth = &mut *self.synth;
        let Some(patient) = synth.ledger.patient(key).copied() else {
            return self.stranger_order();
        };
        let procedure = procedure_for(&patient, synth);
        let order = synth.order(key, procedure);
        let mut patient = patient;
        if order.inpatient && patient.admission.is_none() {
            patient.admission = Some(synth.admission());
            if let Some(known) = synth.ledger.patient_mut(key) {
                known.admission = patient.admission;
            }
        }
        synth.ledger.insert_order(order);
        self.tell_order("NW", &order, &patient, "Order registered.")
    }

    /// An order of somebody new who is kept.
    fn stranger_order(&mut self) -> Generated {
        let synth = &mut *self.synth;
        let (key, patient, procedure) = synth.newcomer();
        synth.ledger.insert_patient(key, patient);
        let order = synth.order(key, procedure);
        synth.ledger.insert_order(order);
        self.tell_order("NW", &order, &patient, "Order registered.")
    }

    /// Somebody who is known, or somebody who is registered a second time; else nobody.
    fn who_comes(&mut self) -> u64 {
        const NOBODY: u64 = 0;
        let synth = &mut *self.synth;
        let roll = synth.dice.below(100);
        if roll >= 22 {
            return NOBODY;
        }
        let Some(order) = synth.ledger.any_order(&mut synth.dice) else {
            return NOBODY;
        };
        if roll >= 6 {
            return order.patient;
        }
        let Some(&patient) = synth.ledger.patient(order.patient) else {
            return NOBODY;
        };
        let key = synth.patient_number();
        synth
            .ledger
            .insert_patient(key, patient.registered_again(key));
        synth.ledger.same_person(key, order.patient);
        key
    }

    fn update(&mut self, mut order: Order) -> Generated {
        let synth = &mut *self.synth;
        order.change(synth.now, &mut synth.dice);
        synth.ledger.update_order(order);
        let again = synth.options.strict || synth.dice.chance(55);
        let control = if again { "NW" } else { "XO" };
        self.tell_known(control, &order, "Order updated.")
    }

    fn cancel(&mut self, order: &Order) -> Generated {
        let generated = self.tell_known("CA", order, "Order cancelled.");
        self.synth.ledger.remove_order(order.serial);
        generated
    }

    fn complete(&mut self, order: &Order) -> Generated {
        let synth = &mut *self.synth;
        synth.now = synth.now.max(order.ready);
        let generated = self.tell_known("CM", order, "Order completed.");
        let synth = &mut *self.synth;
        let ready = order.report_from(synth.now, &mut synth.dice);
        synth.ledger.complete(order.serial, ready);
        if self.left.of(Kind::Report) == 0 && synth.ledger.orders() > 8 {
            synth.ledger.remove_order(order.serial);
        }
        generated
    }

    fn report_message(&mut self) -> Generated {
        let orders_left = self.left.of(Kind::Order);
        let many_reports = self.left.of(Kind::Report) >= orders_left / 2;
        let synth = &mut *self.synth;
        let now = synth.now;
        let waiting = synth.ledger.next_report();
        if let Some(order) = waiting.filter(|order| order.ready <= now || orders_left == 0) {
            return self.first_report(&order);
        }
        if orders_left > 0 {
            if many_reports && let Some(generated) = self.addendum() {
                return generated;
            }
            return self.order_message();
        }
        // The last orders are reported before anybody says that they are complete.
        if let Some(order) = synth.ledger.next_completion() {
            return self.first_report(&order);
        }
        match self.addendum() {
            Some(generated) => generated,
            None => self.report_alone(),
        }
    }

    fn first_report(&mut self, order: &Order) -> Generated {
        let synth = &mut *self.synth;
        synth.now = synth.now.max(order.ready);
        let Some(patient) = synth.ledger.patient(order.patient).copied() else {
            return self.report_alone();
        };
        if order.state == State::Scheduled {
            synth.ledger.complete(order.serial, synth.now);
        }
        synth.ledger.report(order.serial);
        self.tell_report(order, &patient, 0, "Report registered.")
    }

    fn addendum(&mut self) -> Option<Generated> {
        let synth = &mut *self.synth;
        let (order, addenda) = synth.ledger.addendum(&mut synth.dice)?;
        let patient = synth.ledger.patient(order.patient).copied()?;
        Some(self.tell_report(&order, &patient, addenda, "Report updated."))
    }

    fn patient_update(&mut self) -> Generated {
        let synth = &mut *self.synth;
        let known = synth
            .ledger
            .any_order(&mut synth.dice)
            .map(|order| order.patient);
        let mut patient = match known.and_then(|key| synth.ledger.patient(key)) {
            Some(patient) => *patient,
            None => synth.newcomer().1,
        };
        match synth.dice.below(10) {
            0..6 => patient.name = patient.name.changed(patient.sex, &mut synth.dice),
            6..9 => patient.admission = Some(synth.admission()),
            // A sex that is not known yet is known at the next visit.
            _ if patient.sex == Sex::Unknown => patient.sex = Sex::Female,
            _ => patient.name = patient.name.changed(patient.sex, &mut synth.dice),
        }
        if let Some(stored) = known.and_then(|key| synth.ledger.patient_mut(key)) {
            *stored = patient;
        }
        self.tell(Subject::Update { patient: &patient })
    }

    fn patient_merge(&mut self) -> Generated {
        let synth = &mut *self.synth;
        if let Some((duplicate, original)) = synth.ledger.take_same_person()
            && let (Some(&gone), Some(&stays)) = (
                synth.ledger.patient(duplicate),
                synth.ledger.patient(original),
            )
        {
            synth.ledger.merge(duplicate, original);
            return self.tell(Subject::Merge {
                from: gone.id,
                into: &stays,
            });
        }
        let known = synth
            .ledger
            .any_order(&mut synth.dice)
            .map(|order| order.patient);
        let mut patient = match known.and_then(|key| synth.ledger.patient(key)) {
            Some(patient) => *patient,
            None => synth.newcomer().1,
        };
        let from = patient.id;
        patient.id = synth.patient_number();
        if let Some(stored) = known.and_then(|key| synth.ledger.patient_mut(key)) {
            *stored = patient;
        }
        self.tell(Subject::Merge {
            from,
            into: &patient,
        })
    }

    fn acknowledgement(&mut self) -> Generated {
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
    fn report_alone(&mut self) -> Generated {
        let synth = &mut *self.synth;
        let (key, patient, procedure) = synth.newcomer();
        let order = synth.order(key, procedure);
        self.tell_report(&order, &patient, 0, "Report registered.")
    }

    fn tell_known(
        &mut self,
        control: &'static str,
        order: &Order,
        text: &'static str,
    ) -> Generated {
        match self.synth.ledger.patient(order.patient).copied() {
            Some(patient) => self.tell_order(control, order, &patient, text),
            None => self.stranger_order(),
        }
    }

    fn tell_order(
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

    fn tell_report(
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

    fn tell(&mut self, subject: Subject<'_>) -> Generated {
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

    /// Somebody who comes for the first time, and what for.
    fn newcomer(&mut self) -> (u64, Patient, &'static Procedure) {
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

    fn order(&mut self, patient: u64, procedure: &'static Procedure) -> Order {
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

    fn patient_number(&mut self) -> u64 {
        self.next_patient += 1;
        self.next_patient - 1
    }

    fn admission(&mut self) -> u64 {
        self.next_admission += 1;
        self.next_admission - 1
    }
}

/// A procedure for somebody who is known.
fn procedure_for(patient: &Patient, synth: &mut Synth) -> &'static Procedure {
    let now: Moment = synth.now;
    let age = patient.age(now);
    synth.dice.pick_weighted(PROCEDURES, |procedure| {
        let fits = procedure.who.admits(patient.sex)
            && (procedure.ages.0..=procedure.ages.1).contains(&age);
        if fits { procedure.weight } else { 0 }
    })
}
