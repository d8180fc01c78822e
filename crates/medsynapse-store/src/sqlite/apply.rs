//! The writer: a batch of work, one transaction.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::tombstones::Tombstones;
use super::{act, message, settle};
use crate::error::StoreError;
use crate::work::{Done, Work};

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    next_id: i64,
    tombstones: Tombstones,
    /// Why nothing more is written.
    broken: Option<String>,
}

/// The numbers of the log, and what else the writer knows without asking.
#[derive(Debug)]
pub(super) struct Ids<'w> {
    next: i64,
    pub(super) tombstones: &'w mut Tombstones,
}

impl Ids<'_> {
    /// The next one.
    pub(super) const fn take(&mut self) -> i64 {
        let id = self.next;
        self.next += 1;
        id
    }
}

/// The entry of the log that does something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) at: DateTime<Utc>,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Result<Self, StoreError> {
        let last: Option<i64> = connection.query_row(
            "SELECT max(id) FROM (SELECT max(id) AS id FROM messages \
             UNION ALL SELECT max(id) FROM actions UNION ALL SELECT max(id) FROM deliveries)",
            [],
            |row| row.get(0),
        )?;
        Ok(Self {
            tombstones: Tombstones::load(&connection)?,
            connection,
            next_id: last.unwrap_or(0).saturating_add(1),
            broken: None,
        })
    }

    pub(super) fn apply(&mut self, batch: &[Work]) -> Vec<Result<Done, StoreError>> {
        match self.commit(batch) {
            Ok(done) => done.into_iter().map(Ok).collect(),
            // One piece of work must not take the others down: each gets a transaction of its
            // own.
            Err(StoreError::Database(_) | StoreError::Corrupt { .. }) if batch.len() > 1 => {
                batch.iter().map(|work| self.apply_alone(work)).collect()
            }
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn apply_alone(&mut self, work: &Work) -> Result<Done, StoreError> {
        let mut done = self.commit(std::slice::from_ref(work))?;
        done.pop()
            .ok_or_else(|| StoreError::Database("nothing was applied".into()))
    }

    /// Applies all of them and commits, or none.
    ///
    /// After a failed write or fsync nobody knows what is on disk: it is never tried again.
    /// A full disk is different: SQLite has rolled back, and room makes it work again.
    fn commit(&mut self, batch: &[Work]) -> Result<Vec<Done>, StoreError> {
        if let Some(reason) = &self.broken {
            return Err(StoreError::Broken(reason.clone()));
        }
        let result = self.try_commit(batch);
        if let Err(StoreError::Broken(reason)) = &result {
            tracing::error!(%reason, "the database can no longer be written");
            self.broken = Some(reason.clone());
        }
        result
    }

    /// Applies entries of a log under the numbers that they have there.
    pub(super) fn rebuild(&mut self, entries: &[(i64, Work)]) -> Result<(), StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        for (id, work) in entries {
            let mut ids = Ids {
                next: *id,
                tombstones: &mut self.tombstones,
            };
            apply_one(&transaction, work, &mut ids)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Lets retention write between two commits.
    pub(super) fn between(
        &mut self,
        write: impl FnOnce(&mut Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(reason) = &self.broken {
            return Err(StoreError::Broken(reason.clone()));
        }
        write(&mut self.connection)
    }

    fn try_commit(&mut self, batch: &[Work]) -> Result<Vec<Done>, StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let mut ids = Ids {
            next: self.next_id,
            tombstones: &mut self.tombstones,
        };
        let done = batch
            .iter()
            .map(|work| apply_one(&transaction, work, &mut ids))
            .collect::<Result<_, _>>()?;
        transaction.commit()?;
        self.next_id = ids.next;
        Ok(done)
    }
}

fn apply_one(
    transaction: &Transaction<'_>,
    work: &Work,
    ids: &mut Ids<'_>,
) -> Result<Done, StoreError> {
    match work {
        Work::Message(received) => message::receive(transaction, received, ids).map(Done::Message),
        Work::Action(action) => act::act(transaction, action, ids).map(Done::Action),
        Work::Delivery(delivery) => settle::settle(transaction, delivery, ids).map(Done::Delivery),
    }
}
