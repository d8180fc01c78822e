//! [`Wanted`]: the keys of what a batch can touch, and the rows that are found under them.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use hl7_message::AckCode;
use medsynapse::Change;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::filter::without_nul;
use super::rows::{damaged, get, order, procedure, report};
use super::sql::{Sql, Statements};
use super::written::OutboxFull;
use crate::action::{ActionKind, ActionOutcome, OrderStep};
use crate::decide::{PatientRow, ProcedureRow, Sender};
use crate::error::StoreError;
use crate::outbox::OutboxState;
use crate::record::{OrderRecord, ReportRecord};
use crate::work::Work;

/// What a message is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let column =
            |part: fn(&Identity) -> &str| -> Vec<&str> { self.known.iter().map(part).collect() };
        let control_ids = column(|identity| &identity.control_id);
        let applications = column(|identity| &identity.application);
        let facilities = column(|identity| &identity.facility);
        let digests: Vec<&[u8]> = self.known.iter().map(|id| id.digest.as_slice()).collect();
        let known: [&(dyn ToSql + Sync); 4] = [&control_ids, &applications, &facilities, &digests];
        let list = |keys: &BTreeSet<String>| -> Vec<String> { keys.iter().cloned().collect() };
        let sets = [
            (Sql::Orders, list(&self.orders)),
            (Sql::OrdersOf, list(&self.orders_of)),
            (Sql::Cancelled, list(&self.cancelled)),
            (Sql::Versions, list(&self.versions)),
            (Sql::Reports, list(&self.reports)),
            (Sql::Patients, list(&self.patients)),
            (Sql::Actions, list(&self.actions)),
            (Sql::Procedures, list(&self.procedures)),
        ];
        let ids: Vec<i64> = self.outbox.iter().copied().collect();
        let mut asked = Vec::new();
        if !self.known.is_empty() {
            asked.push((Sql::Known, known.to_vec()));
        }
        for (sql, keys) in &sets {
            if !keys.is_empty() {
                asked.push((*sql, vec![keys as &(dyn ToSql + Sync)]));
            }
        }
        if !ids.is_empty() {
            asked.push((Sql::Lanes, vec![&ids as &(dyn ToSql + Sync)]));
            asked.push((Sql::Outbox, vec![&ids as &(dyn ToSql + Sync)]));
        }
        let answers = try_join_all(asked.iter().map(async |(sql, values)| {
            let rows = client.query(statements.get(*sql)?, values).await?;
            Ok::<_, StoreError>((*sql, rows))
        }))
        .await?;
        let mut found = Found {
            known: vec![None; self.known.len()],
            ..Found::default()
        };
        for (sql, rows) in answers {
            for row in &rows {
                found.take(sql, row)?;
            }
        }
        Ok(found)
    }
}

impl Found {
    fn take(&mut self, sql: Sql, row: &Row) -> Result<(), StoreError> {
        match sql {
            Sql::Known => {
                let place = usize::try_from(get::<i64>(row, 0)? - 1).unwrap_or(usize::MAX);
                let id = get(row, 1)?;
                let code: AckCode = get::<&str>(row, 2)?
                    .parse()
                    .map_err(|_| damaged("messages", id))?;
                if let Some(slot) = self.known.get_mut(place) {
                    *slot = Some((get(row, 4)?, (id, code, get(row, 3)?)));
                }
            }
            Sql::Orders | Sql::OrdersOf => self.orders.push(order(row)?),
            Sql::Cancelled => self.cancelled.push((get(row, 0)?, get(row, 1)?)),
            Sql::Versions => {
                let version = u32::try_from(get::<i32>(row, 1)?).unwrap_or(0);
                self.versions.push((get(row, 0)?, version));
            }
            Sql::Reports => self.reports.push(report(row)?),
            Sql::Patients => {
                let values = [get(row, 1)?, get(row, 2)?, get(row, 3)?, get(row, 4)?];
                self.patients.push((get(row, 0)?, values));
            }
            Sql::Actions => {
                let entry_id = get(row, 1)?;
                let odd = || damaged("actions", entry_id);
                let action = FoundAction {
                    entry_id,
                    outcome: ActionOutcome::from_kept(get(row, 2)?).ok_or_else(odd)?,
                    digest: get::<&[u8]>(row, 3)?.try_into().map_err(|_| odd())?,
                    queued: get(row, 4)?,
                };
                self.actions.push((get(row, 0)?, action));
            }
            Sql::Outbox => self.outbox.push(outbox(row)?),
            Sql::Procedures => self.procedures.push(ProcedureRow {
                record: procedure(row)?,
                created_by: get(row, 8)?,
                updated_by: get(row, 9)?,
            }),
            Sql::Lanes => self.lanes.push((get(row, 0)?, get(row, 1)?)),
            _ => {}
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
