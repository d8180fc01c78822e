//! [`Purge`]: what is older than it has to be kept is taken out, a little at a time.
//!
//! An order goes when it is completed or discontinued, nothing about it has changed since the given
//! moment, and nothing about it waits to be sent. With it go its reports, its changes and what was
//! sent about it. A message goes when it is old and no order that is kept has its accession number;
//! a patient when no order and no report is left. What was done and by whom stays, without what
//! it said about a patient.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::SqliteStore;
use super::tables::{ACTIONS, COUNTS};
use crate::error::StoreError;

/// Rows that are looked at in one transaction: a few milliseconds, between two commits.
const BATCH: i64 = 500;

/// What was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Orders, with their reports.
    pub orders: u64,
    /// Messages, in and out.
    pub messages: u64,
    /// Patients.
    pub patients: u64,
}

/// Goes once through everything and takes out what is older than a moment.
///
/// Each step is a transaction of its own, so messages that come in do not wait; a step that did
/// not happen is done by the next purge.
#[derive(Debug)]
pub struct Purge<'s> {
    store: &'s SqliteStore,
    before: i64,
    stage: Stage,
    cursor: i64,
    patient: String,
    purged: Purged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Orders,
    Messages,
    Patients,
    Rest,
    Done,
}

impl SqliteStore {
    /// Takes out what is older than `before`; see [`Purge::step`].
    pub const fn purge(&self, before: DateTime<Utc>) -> Purge<'_> {
        Purge {
            store: self,
            before: before.timestamp_micros(),
            stage: Stage::Orders,
            cursor: 0,
            patient: String::new(),
            purged: Purged {
                orders: 0,
                messages: 0,
                patients: 0,
            },
        }
    }
}

impl Purge<'_> {
    /// Does a little, and says whether there is more to do.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn step(&mut self) -> Result<bool, StoreError> {
        let store = self.store;
        store.with_writer(|connection| self.transaction(connection))?;
        Ok(self.stage != Stage::Done)
    }

    /// Does all of it without a pause.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn run(mut self) -> Result<Purged, StoreError> {
        while self.step()? {}
        Ok(self.purged)
    }

    /// What was taken out so far.
    pub const fn purged(&self) -> Purged {
        self.purged
    }

    fn transaction(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        // What refers to what is looked after below, by indexes; SQLite would search whole tables.
        connection.pragma_update(None, "foreign_keys", "OFF")?;
        let result = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)
            .and_then(|transaction| {
                let next = match self.stage {
                    Stage::Orders => self.orders(&transaction),
                    Stage::Messages => self.messages(&transaction),
                    Stage::Patients => self.patients(&transaction),
                    Stage::Rest => self.rest(&transaction),
                    Stage::Done => Ok(Stage::Done),
                }?;
                transaction.commit()?;
                Ok(next)
            });
        connection.pragma_update(None, "foreign_keys", "ON")?;
        let next = result?;
        if next != self.stage {
            self.stage = next;
            self.cursor = 0;
        }
        Ok(())
    }

    fn orders(&mut self, transaction: &Transaction<'_>) -> Result<Stage, StoreError> {
        let looked: Vec<(i64, String, bool)> = transaction
            .prepare_cached(
                "SELECT o.id, o.accession_number, \
                 o.state IN ('COMPLETED', 'DISCONTINUED') AND o.updated_at < ?2 \
                 AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.accession_number = \
                 o.accession_number AND r.updated_at >= ?2) \
                 AND NOT EXISTS (SELECT 1 FROM outbox b WHERE b.accession_number = \
                 o.accession_number AND (b.state IN ('queued', 'held') OR b.queued_at >= ?2)) \
                 FROM orders o WHERE o.id > ?1 ORDER BY o.id LIMIT ?3",
            )?
            .query_map(params![self.cursor, self.before, BATCH], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let mut purged = 0;
        for (id, accession_number, goes) in &looked {
            self.cursor = *id;
            if !goes {
                continue;
            }
            purged += 1;
            for sql in [
                "DELETE FROM deliveries WHERE message_id IN \
                 (SELECT message_id FROM outbox WHERE accession_number = ?1)",
                "DELETE FROM outbox WHERE accession_number = ?1",
                "DELETE FROM reports WHERE accession_number = ?1",
                "DELETE FROM changes WHERE accession_number = ?1",
                "DELETE FROM orders WHERE accession_number = ?1",
            ] {
                transaction
                    .prepare_cached(sql)?
                    .execute([accession_number])?;
            }
        }
        self.purged.orders += purged;
        Ok(if looked.is_empty() {
            Stage::Messages
        } else {
            Stage::Orders
        })
    }

    fn messages(&mut self, transaction: &Transaction<'_>) -> Result<Stage, StoreError> {
        let looked: Vec<(i64, String, String, bool)> = transaction
            .prepare_cached(
                "SELECT m.id, m.direction, m.message_code, m.received_at < ?2 \
                 AND NOT EXISTS (SELECT 1 FROM orders o \
                 WHERE o.accession_number = m.accession_number) \
                 AND NOT EXISTS (SELECT 1 FROM reports r \
                 WHERE r.accession_number = m.accession_number AND r.updated_at >= ?2) \
                 AND NOT EXISTS (SELECT 1 FROM outbox b WHERE b.message_id = m.id \
                 AND (b.state IN ('queued', 'held') OR b.queued_at >= ?2)) \
                 FROM messages m WHERE m.id > ?1 ORDER BY m.id LIMIT ?3",
            )?
            .query_map(params![self.cursor, self.before, BATCH], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<Result<_, _>>()?;
        let mut purged = 0;
        for (id, direction, code, goes) in &looked {
            self.cursor = *id;
            if !goes {
                continue;
            }
            purged += 1;
            for sql in [
                "DELETE FROM deliveries WHERE message_id = ?1",
                "DELETE FROM outbox WHERE message_id = ?1",
                "DELETE FROM messages WHERE id = ?1",
            ] {
                transaction.prepare_cached(sql)?.execute([id])?;
            }
            transaction
                .prepare_cached(&COUNTS.update(
                    &[("messages", "messages - 1")],
                    "direction = ?1 AND message_code = ?2",
                ))?
                .execute([direction, code])?;
        }
        self.purged.messages += purged;
        Ok(if looked.is_empty() {
            Stage::Patients
        } else {
            Stage::Messages
        })
    }

    /// Patients of whom nothing is left, and reports that never had an order.
    fn patients(&mut self, transaction: &Transaction<'_>) -> Result<Stage, StoreError> {
        let looked: Vec<(String, bool)> = transaction
            .prepare_cached(
                "SELECT p.patient_id, p.updated_at < ?2 \
                 AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.patient_id = p.patient_id) \
                 AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.patient_id = p.patient_id \
                 AND r.updated_at >= ?2) \
                 FROM patients p WHERE p.patient_id > ?1 ORDER BY p.patient_id LIMIT ?3",
            )?
            .query_map(params![self.patient, self.before, BATCH], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        let mut purged = 0;
        for (patient_id, goes) in &looked {
            self.patient.clone_from(patient_id);
            if *goes {
                purged += 1;
                for sql in [
                    "DELETE FROM reports WHERE patient_id = ?1",
                    "DELETE FROM changes WHERE patient_id = ?1 AND accession_number IS NULL",
                    "DELETE FROM patients WHERE patient_id = ?1",
                ] {
                    transaction.prepare_cached(sql)?.execute([patient_id])?;
                }
            }
        }
        self.purged.patients += purged;
        Ok(if looked.is_empty() {
            Stage::Rest
        } else {
            Stage::Patients
        })
    }

    /// What is small, or only has to say less.
    fn rest(&self, transaction: &Transaction<'_>) -> Result<Stage, StoreError> {
        for sql in [
            "DELETE FROM reports WHERE updated_at < ?1 AND NOT EXISTS \
             (SELECT 1 FROM orders o WHERE o.accession_number = reports.accession_number)",
            "DELETE FROM changes WHERE accession_number IN (SELECT accession_number \
             FROM cancelled_orders WHERE cancelled_at < ?1) AND NOT EXISTS \
             (SELECT 1 FROM orders o WHERE o.accession_number = changes.accession_number)",
            "DELETE FROM cancelled_orders WHERE cancelled_at < ?1",
            "DELETE FROM procedure_steps WHERE updated_at < ?1 AND state <> 'IN PROGRESS'",
        ] {
            transaction.prepare_cached(sql)?.execute([self.before])?;
        }
        let less = ACTIONS.update(
            &[("detail", "'null'"), ("body", "NULL")],
            "at < ?1 AND (detail <> 'null' OR body IS NOT NULL) AND kind NOT LIKE 'outbox-%' \
             AND NOT EXISTS (SELECT 1 FROM orders o \
             WHERE o.accession_number = actions.accession_number)",
        );
        transaction.prepare_cached(&less)?.execute([self.before])?;
        Ok(Stage::Done)
    }
}
