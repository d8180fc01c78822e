//! The writer: a batch of work, one transaction.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use super::desk::{Desk, Known};
use crate::decide;
use crate::error::StoreError;
use crate::vault::Vault;
use crate::work::{Done, Work};

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    known: Known,
    vault: Option<Arc<Vault>>,
    /// Why nothing more is written.
    broken: Option<String>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        vault: Option<Arc<Vault>>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            known: Known::load(&connection)?,
            connection,
            vault,
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
        let mut desk = Desk::new(&transaction, &mut self.known, self.vault.as_deref());
        for (id, work) in entries {
            desk.go_on_from(*id);
            decide::apply(&mut desk, work)?;
        }
        let next = desk.finish()?;
        transaction.commit()?;
        self.known.go_on(next);
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
        let mut desk = Desk::new(&transaction, &mut self.known, self.vault.as_deref());
        let done = batch
            .iter()
            .map(|work| decide::apply(&mut desk, work))
            .collect::<Result<_, _>>()?;
        let next = desk.finish()?;
        transaction.commit()?;
        self.known.go_on(next);
        Ok(done)
    }
}
