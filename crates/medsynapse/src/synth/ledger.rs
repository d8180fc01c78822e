//! [`Ledger`]: what a broker that took every message so far knows, as far as the story goes on.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::clock::Moment;
use super::dice::Dice;
use super::order::{Order, State};
use super::patient::Patient;

/// Orders that are kept at most; older ones are not spoken of again.
const ORDERS_MAX: usize = 1024;
/// Reported orders that are kept for addenda.
const REPORTED_MAX: usize = 32;

/// Steps that wait for their time, soonest first.
type Agenda = BinaryHeap<Reverse<(Moment, u64)>>;

/// Patients and orders of the story. Bounded: whatever is done leaves.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    patients: BTreeMap<u64, Patient>,
    orders: BTreeMap<u64, Order>,
    to_complete: Agenda,
    to_report: Agenda,
    /// Reported orders with the number of their addenda, oldest first.
    reported: VecDeque<(u64, u32)>,
    /// Records of one person under two ids: the one that goes, and the one that stays.
    twice: VecDeque<(u64, u64)>,
}

impl Ledger {
    pub(super) fn patient(&self, key: u64) -> Option<&Patient> {
        self.patients.get(&key)
    }

    pub(super) fn patient_mut(&mut self, key: u64) -> Option<&mut Patient> {
        self.patients.get_mut(&key)
    }

    pub(super) fn insert_patient(&mut self, key: u64, patient: Patient) {
        self.patients.insert(key, patient);
    }

    /// Notes that two records are one person.
    pub(super) fn same_person(&mut self, duplicate: u64, original: u64) {
        self.twice.push_back((duplicate, original));
        if self.twice.len() > ORDERS_MAX {
            self.twice.pop_front();
        }
    }

    /// Two records of one person of which both are still spoken of.
    pub(super) fn take_same_person(&mut self) -> Option<(u64, u64)> {
        while let Some((duplicate, original)) = self.twice.pop_front() {
            if self.patients.contains_key(&duplicate) && self.patients.contains_key(&original) {
                return Some((duplicate, original));
            }
        }
        None
    }

    /// All orders of one record go to another.
    pub(super) fn merge(&mut self, from: u64, into: u64) {
        let Some(gone) = self.patients.remove(&from) else {
            return;
        };
        for order in self
            .orders
            .values_mut()
            .filter(|order| order.patient == from)
        {
            order.patient = into;
        }
        if let Some(patient) = self.patients.get_mut(&into) {
            patient.orders += gone.orders;
        }
    }

    pub(super) fn insert_order(&mut self, order: Order) {
        if let Some(patient) = self.patients.get_mut(&order.patient) {
            patient.orders += 1;
        }
        self.to_complete.push(Reverse((order.ready, order.serial)));
        self.orders.insert(order.serial, order);
    }

    /// Takes the changed order; its completion is due when it says.
    pub(super) fn update_order(&mut self, order: Order) {
        self.to_complete.push(Reverse((order.ready, order.serial)));
        self.orders.insert(order.serial, order);
    }

    /// The order is done, and its report is due at `ready`.
    pub(super) fn complete(&mut self, serial: u64, ready: Moment) {
        if let Some(order) = self.orders.get_mut(&serial) {
            order.state = State::Completed;
            order.ready = ready;
            self.to_report.push(Reverse((ready, serial)));
        }
    }

    /// The order has its report.
    pub(super) fn report(&mut self, serial: u64) {
        if let Some(order) = self.orders.get_mut(&serial) {
            order.state = State::Reported;
            self.reported.push_back((serial, 0));
        }
        if self.reported.len() > REPORTED_MAX
            && let Some((oldest, _)) = self.reported.pop_front()
        {
            self.remove_order(oldest);
        }
    }

    pub(super) fn remove_order(&mut self, serial: u64) {
        let Some(order) = self.orders.remove(&serial) else {
            return;
        };
        if let Some(patient) = self.patients.get_mut(&order.patient) {
            patient.orders -= 1;
            if patient.orders == 0 {
                self.patients.remove(&order.patient);
            }
        }
    }

    /// The order to complete next, and when; it stays until it is completed.
    pub(super) fn next_completion(&mut self) -> Option<Order> {
        next(&mut self.to_complete, &self.orders, State::Scheduled)
    }

    /// The order to report next.
    pub(super) fn next_report(&mut self) -> Option<Order> {
        next(&mut self.to_report, &self.orders, State::Completed)
    }

    /// A report that gets one more addendum, with their number.
    pub(super) fn addendum(&mut self, dice: &mut Dice) -> Option<(Order, u32)> {
        let count = u32::try_from(self.reported.len()).unwrap_or(0);
        let (serial, addenda) = self.reported.get_mut(dice.below(count) as usize)?;
        *addenda += 1;
        Some((*self.orders.get(serial)?, *addenda))
    }

    pub(super) fn has_reported(&self) -> bool {
        !self.reported.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.orders.len() >= ORDERS_MAX
    }

    pub(super) fn orders(&self) -> usize {
        self.orders.len()
    }

    /// Any order.
    pub(super) fn any_order(&self, dice: &mut Dice) -> Option<Order> {
        let (&first, &last) = (self.orders.keys().next()?, self.orders.keys().next_back()?);
        let width = u32::try_from(last - first + 1).unwrap_or(u32::MAX);
        let from = first + u64::from(dice.below(width));
        self.orders.range(from..).next().map(|(_, &order)| order)
    }

    /// Any order that is not done yet.
    pub(super) fn any_scheduled(&self, dice: &mut Dice) -> Option<Order> {
        (0..4)
            .filter_map(|_| self.any_order(dice))
            .find(|order| order.state == State::Scheduled)
    }
}

/// The first step of an agenda that is not out of date.
fn next(agenda: &mut Agenda, orders: &BTreeMap<u64, Order>, state: State) -> Option<Order> {
    while let Some(&Reverse((ready, serial))) = agenda.peek() {
        match orders.get(&serial) {
            Some(order) if order.state == state && order.ready == ready => return Some(*order),
            _ => agenda.pop(),
        };
    }
    None
}
