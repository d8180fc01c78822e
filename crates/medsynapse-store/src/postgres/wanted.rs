//! [`Wanted`]: the keys of what a batch can touch, and the rows that are found under them.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use hl7_message::AckCode;
use medsynapse::Change;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::ask::{Ask, BYTES, LIST, NUMBER, TEXT, TRUTH, Table};
use super::filter::without_nul;
use super::rows::{damaged, get, order, procedure, report};
use super::statements::{Shape, Statements};
use super::written::OutboxFull;
use crate::action::{ActionKind, ActionOutcome, OrderStep};
use crate::decide::{PatientRow, ProcedureRow, Sender};
use crate::error::StoreError;
use crate::outbox::OutboxState;
use crate::record::{OrderRecord, ReportRecord};
use crate::work::Work;

/// What a message is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    control_id: String,
    application: String,
    facility: String,
    pub(super) digest: [u8; 32],
}

impl Identity {
    pub(super) fn of(sender: &Sender<'_>) -> Self {
        Self {
            control_id: without_nul(sender.control_id).into_owned(),
            application: without_nul(sender.application).into_owned(),
            facility: without_nul(sender.facility).into_owned(),
            digest: sender.digest,
        }
    }

    /// What it is known by, whatever it says.
    pub(super) fn key(&self) -> [String; 3] {
        [
            self.control_id.clone(),
            self.application.clone(),
            self.facility.clone(),
        ]
    }
}

/// The action that used a key first.
#[derive(Debug, Clone)]
pub(super) struct FoundAction {
    pub(super) entry_id: i64,
    pub(super) outcome: ActionOutcome,
    pub(super) digest: [u8; 32],
    pub(super) queued: Vec<i64>,
}

/// Keys, in order.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) known: Vec<Identity>,
    pub(super) orders: BTreeSet<String>,
    pub(super) orders_of: BTreeSet<String>,
    pub(super) cancelled: BTreeSet<String>,
    pub(super) versions: BTreeSet<String>,
    pub(super) reports: BTreeSet<String>,
    pub(super) patients: BTreeSet<String>,
    pub(super) actions: BTreeSet<String>,
    pub(super) outbox: BTreeSet<i64>,
    pub(super) procedures: BTreeSet<String>,
}

/// A message that was here before: its number, and what it was answered with.
pub(super) type First = (i64, AckCode, String);

/// Rows.
#[derive(Default)]
pub(super) struct Found {
    /// The last number of the log, where it was asked for.
    pub(super) entry: Option<i64>,
    /// For each identity whether it is the same message, and the first one.
    pub(super) known: Vec<Option<(bool, First)>>,
    pub(super) orders: Vec<OrderRecord>,
    pub(super) cancelled: Vec<(String, String)>,
    pub(super) versions: Vec<(String, u32)>,
    pub(super) reports: Vec<ReportRecord>,
    pub(super) patients: Vec<(String, PatientRow)>,
    pub(super) actions: Vec<(String, FoundAction)>,
    pub(super) outbox: Vec<OutboxFull>,
    pub(super) procedures: Vec<ProcedureRow>,
    pub(super) lanes: Vec<(String, i64)>,
}

impl Wanted {
    /// What a batch can touch, as far as its keys say.
    pub(super) fn by(batch: &[Work]) -> Self {
        let mut wanted = Self::default();
        for work in batch {
            match work {
                Work::Message(received) => {
                    let facts = &received.facts;
                    if !facts.control_id.is_empty() {
                        wanted.known.push(Identity::of(&Sender {
                            application: &facts.sending_application,
                            facility: &facts.sending_facility,
                            control_id: &facts.control_id,
                            digest: received.digest(),
                        }));
                    }
                    if let Ok(change) = &received.outcome {
                        wanted.change(change);
                    }
                }
                Work::Action(action) => {
                    let key = action.idempotency_key.as_deref();
                    wanted
                        .actions
                        .extend(key.map(|key| without_nul(key).into_owned()));
                    wanted.action(&action.kind);
                }
                Work::Delivery(delivery) => {
                    wanted.outbox.insert(delivery.message_id);
                }
            }
        }
        wanted
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::RegisterOrder(register) => {
                let name = register.accession_number.as_str();
                self.orders.insert(name.into());
                self.cancelled.insert(name.into());
                self.patients.insert(register.patient_id.as_str().into());
            }
            Change::CancelOrder(name) | Change::CompleteOrder(name) => {
                self.orders.insert(name.as_str().into());
            }
            Change::StoreReport(report) => {
                let name = report.accession_number.as_str();
                self.orders.insert(name.into());
                self.versions.insert(name.into());
            }
            Change::UpdatePatient(update) => {
                self.orders_of.insert(update.patient_id.as_str().into());
                self.patients.insert(update.patient_id.as_str().into());
            }
            Change::MergePatient(merge) => {
                for id in [&merge.from, &merge.into] {
                    self.orders_of.insert(id.as_str().into());
                    self.patients.insert(id.as_str().into());
                }
            }
        }
    }

    fn action(&mut self, kind: &ActionKind) {
        match kind {
            ActionKind::Order {
                accession_number,
                step,
            } => {
                let name = accession_number.as_str();
                self.orders.insert(name.into());
                match step {
                    OrderStep::Final(Some(_)) => self.versions.insert(name.into()),
                    OrderStep::Final(None) => self.reports.insert(name.into()),
                    _ => false,
                };
            }
            ActionKind::Procedure(procedure) => {
                let uid = without_nul(&procedure.sop_instance_uid);
                self.procedures.insert(uid.into_owned());
                let names = procedure.accession_numbers.iter();
                self.orders.extend(names.map(|name| name.as_str().into()));
            }
            ActionKind::Outbox { message_id, .. } => {
                self.outbox.insert(*message_id);
            }
        }
    }

    /// Asks for all of it at once: the questions go out together, so it takes one round trip.
    pub(super) async fn find(
        &self,
        client: &Client,
        statements: &Statements,
    ) -> Result<Found, StoreError> {
        let values = self.values();
        let asked = values.asked(self, false);
        let shapes: Vec<Shape> = asked.iter().map(|(shape, _)| *shape).collect();
        let ready = statements.ready(client, &shapes).await?;
        self.found(client, &asked, &ready).await
    }

    /// Takes the lock of the log, if it has not been taken, and asks behind it, in the same round
    /// trip; with the last number of the log.
    pub(super) async fn find_alone(
        &self,
        client: &Client,
        statements: &Statements,
        lock: Option<&str>,
    ) -> Result<Found, StoreError> {
        let values = self.values();
        let asked = values.asked(self, true);
        let shapes: Vec<Shape> = asked.iter().map(|(shape, _)| *shape).collect();
        let ready = statements.ready(client, &shapes).await?;
        let (opened, found) =
            futures_util::join!(begin(client, lock), self.found(client, &asked, &ready));
        // The first error is the cause of the others.
        opened?;
        found
    }

    /// Takes the lock of the log beside others, if it has not been taken, and those of all keys,
    /// and asks behind them, in the same round trip. Gives the patients of orders whose keys were
    /// locked besides.
    pub(super) async fn find_beside(
        &self,
        client: &Client,
        statements: &Statements,
        lock: Option<&str>,
    ) -> Result<(BTreeSet<String>, Found), StoreError> {
        let values = self.values();
        let asked = values.asked(self, false);
        let mut shapes: Vec<Shape> = asked.iter().map(|(shape, _)| *shape).collect();
        shapes.push(Shape::Keys);
        let ready = statements.ready(client, &shapes).await?;
        let Some((lock_keys, ready)) = ready.split_last() else {
            return Err(StoreError::Database("a statement is missing".into()));
        };
        let keys = self.keys();
        let bound: [&(dyn ToSql + Sync); 2] = [&keys, &values.orders];
        let (opened, locked, found) = futures_util::join!(
            begin(client, lock),
            client.query(lock_keys, &bound),
            self.found(client, &asked, ready)
        );
        opened?;
        let mut patients = BTreeSet::new();
        for row in &locked? {
            patients.extend(get::<Option<String>>(row, 0)?);
        }
        Ok((patients, found?))
    }

    /// What nobody else may work on at the same time.
    fn keys(&self) -> Vec<String> {
        let known = self.known.iter();
        let known = known.map(|id| {
            let Identity {
                control_id,
                application,
                facility,
                ..
            } = id;
            format!("M{control_id}\r{application}\r{facility}")
        });
        let orders = self.orders.iter().map(|name| format!("O{name}"));
        let patients = self.patients.iter().map(|id| format!("P{id}"));
        let outbox = self.outbox.iter().map(|id| format!("X{id}"));
        known.chain(orders).chain(patients).chain(outbox).collect()
    }

    async fn found(
        &self,
        client: &Client,
        asked: &[Asked<'_>],
        ready: &[Statement],
    ) -> Result<Found, StoreError> {
        let questions = asked.iter().zip(ready);
        let answers = try_join_all(questions.map(async |((shape, values), statement)| {
            let rows = client.query(statement, values).await?;
            Ok::<_, StoreError>((*shape, rows))
        }))
        .await?;
        let mut found = Found {
            known: vec![None; self.known.len()],
            ..Found::default()
        };
        for (shape, rows) in answers {
            for row in &rows {
                match shape {
                    Shape::Asks(_) => found.take(row)?,
                    Shape::Table(table) => found.take_from(table, row)?,
                    Shape::Puts(_) | Shape::Keys | Shape::Turn => {}
                }
            }
        }
        Ok(found)
    }

    fn values(&self) -> Values<'_> {
        let part = |part: fn(&Identity) -> &str| self.known.iter().map(part).collect();
        let list = |keys: &BTreeSet<String>| keys.iter().cloned().collect();
        Values {
            control_ids: part(|identity| &identity.control_id),
            applications: part(|identity| &identity.application),
            facilities: part(|identity| &identity.facility),
            digests: self.known.iter().map(|id| id.digest.as_slice()).collect(),
            orders: list(&self.orders),
            orders_of: list(&self.orders_of),
            cancelled: list(&self.cancelled),
            versions: list(&self.versions),
            reports: list(&self.reports),
            patients: list(&self.patients),
            actions: list(&self.actions),
            outbox: self.outbox.iter().copied().collect(),
            procedures: list(&self.procedures),
        }
    }
}

async fn begin(client: &Client, lock: Option<&str>) -> Result<(), StoreError> {
    match lock {
        Some(lock) => Ok(client.batch_execute(lock).await?),
        None => Ok(()),
    }
}

/// A question with its values.
type Asked<'a> = (Shape, Vec<&'a (dyn ToSql + Sync)>);

/// Keys as they are bound.
struct Values<'a> {
    control_ids: Vec<&'a str>,
    applications: Vec<&'a str>,
    facilities: Vec<&'a str>,
    digests: Vec<&'a [u8]>,
    orders: Vec<String>,
    orders_of: Vec<String>,
    cancelled: Vec<String>,
    versions: Vec<String>,
    reports: Vec<String>,
    patients: Vec<String>,
    actions: Vec<String>,
    outbox: Vec<i64>,
    procedures: Vec<String>,
}

impl Values<'_> {
    fn asked(&self, wanted: &Wanted, entry: bool) -> Vec<Asked<'_>> {
        let (mut asks, mut bound) = (0, Vec::<&(dyn ToSql + Sync)>::new());
        if entry {
            asks |= Ask::Entry.bit();
        }
        if !wanted.known.is_empty() {
            asks |= Ask::Known.bit();
            bound.extend::<[&(dyn ToSql + Sync); 4]>([
                &self.control_ids,
                &self.applications,
                &self.facilities,
                &self.digests,
            ]);
        }
        for (ask, keys) in [
            (Ask::Cancelled, &self.cancelled),
            (Ask::Versions, &self.versions),
        ] {
            if !keys.is_empty() {
                asks |= ask.bit();
                bound.push(keys);
            }
        }
        if !(self.patients.is_empty() && self.orders.is_empty()) {
            asks |= Ask::Patients.bit();
            bound.extend::<[&(dyn ToSql + Sync); 2]>([&self.patients, &self.orders]);
        }
        if !self.actions.is_empty() {
            asks |= Ask::Actions.bit();
            bound.push(&self.actions);
        }
        let mut asked = Vec::with_capacity(4);
        if asks != 0 {
            asked.push((Shape::Asks(asks), bound));
        }
        for (table, keys) in [
            (Table::Orders, &self.orders),
            (Table::OrdersOf, &self.orders_of),
            (Table::Reports, &self.reports),
            (Table::Procedures, &self.procedures),
        ] {
            if !keys.is_empty() {
                asked.push((Shape::Table(table), vec![keys as &(dyn ToSql + Sync)]));
            }
        }
        if !self.outbox.is_empty() {
            for table in [Table::Lanes, Table::Outbox] {
                asked.push((
                    Shape::Table(table),
                    vec![&self.outbox as &(dyn ToSql + Sync)],
                ));
            }
        }
        asked
    }
}

impl Found {
    fn take(&mut self, row: &Row) -> Result<(), StoreError> {
        let text = |index: usize| get::<&str>(row, TEXT + index);
        match Ask::from_bit(get(row, 0)?) {
            Some(Ask::Entry) => self.entry = Some(get(row, NUMBER)?),
            Some(Ask::Known) => {
                let place = usize::try_from(get::<i64>(row, NUMBER)? - 1).unwrap_or(usize::MAX);
                let id = get(row, NUMBER + 1)?;
                let code: AckCode = text(0)?.parse().map_err(|_| damaged("messages", id))?;
                if let Some(slot) = self.known.get_mut(place) {
                    *slot = Some((get(row, TRUTH)?, (id, code, text(1)?.into())));
                }
            }
            Some(Ask::Cancelled) => self.cancelled.push((text(0)?.into(), text(1)?.into())),
            Some(Ask::Versions) => {
                let version = u32::try_from(get::<i64>(row, NUMBER)?).unwrap_or(0);
                self.versions.push((text(0)?.into(), version));
            }
            Some(Ask::Patients) => {
                let part = |index: usize| get(row, TEXT + index);
                let values = [part(1)?, part(2)?, part(3)?, part(4)?];
                self.patients.push((text(0)?.into(), values));
            }
            Some(Ask::Actions) => {
                let entry_id = get(row, NUMBER)?;
                let odd = || damaged("actions", entry_id);
                let action = FoundAction {
                    entry_id,
                    outcome: ActionOutcome::from_kept(text(1)?).ok_or_else(odd)?,
                    digest: get::<&[u8]>(row, BYTES)?.try_into().map_err(|_| odd())?,
                    queued: get(row, LIST)?,
                };
                self.actions.push((text(0)?.into(), action));
            }
            None => return Err(StoreError::Database("a row of nothing asked for".into())),
        }
        Ok(())
    }

    fn take_from(&mut self, table: Table, row: &Row) -> Result<(), StoreError> {
        match table {
            Table::Orders | Table::OrdersOf => self.orders.push(order(row)?),
            Table::Reports => self.reports.push(report(row)?),
            Table::Outbox => self.outbox.push(outbox(row)?),
            Table::Procedures => self.procedures.push(ProcedureRow {
                record: procedure(row)?,
                created_by: get(row, 8)?,
                updated_by: get(row, 9)?,
            }),
            Table::Lanes => self.lanes.push((get(row, 0)?, get(row, 1)?)),
        }
        Ok(())
    }
}

fn outbox(row: &Row) -> Result<OutboxFull, StoreError> {
    let message_id = get(row, 0)?;
    Ok(OutboxFull {
        message_id,
        destination: get(row, 1)?,
        state: OutboxState::from_name(get(row, 2)?).ok_or(damaged("outbox", message_id))?,
        accession_number: get(row, 3)?,
        study_status: get(row, 4)?,
        with_text: get(row, 5)?,
        caused_by: get(row, 6)?,
        queued_at: get(row, 7)?,
        settled_at: get(row, 8)?,
        tries: u32::try_from(get::<i32>(row, 9)?).unwrap_or(0),
        last_try_at: get(row, 10)?,
        last_reason: get(row, 11)?,
        position: get(row, 12)?,
    })
}
