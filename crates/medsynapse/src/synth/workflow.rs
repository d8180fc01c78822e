//! The story in which every message refers to what came before it.

use super::generated::{Generated, Kind};
use super::order::{Order, State};
use super::people::Sex;
use super::scribe::Subject;
use super::story::Story;

impl Story<'_> {
    /// The next message of a story in which everything hangs together.
    pub(super) fn of_workflow(&mut self, kind: Kind) -> Generated {
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
        let procedure = synth.procedure_for(&patient);
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
}
