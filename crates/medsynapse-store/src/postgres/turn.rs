//! [`open`]: how a transaction begins, alone or beside those of other servers.
//!
//! Most messages are about one order, and a try to send one is about that: what they read and write
//! is known from what they say. Such batches lock their keys, so that two servers never work on the
//! same order, patient or message at a time, and run beside each other; each takes a turn with its
//! numbers, and commits when the turn before its own is over. Whatever can touch more than it names
//! has the log to itself.

use std::collections::{BTreeSet, HashSet};

use medsynapse::{Attribute, Change};
use tokio_postgres::Client;

use super::flush::Turn;
use super::rows::get;
use super::sql::{LOCK_ALONE, LOCK_SHARED};
use super::statements::{Shape, Statements};
use super::wanted::{Found, Wanted};
use crate::error::StoreError;
use crate::work::Work;

/// With whom a batch is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// While other servers apply theirs.
    Beside,
    /// While nobody else does.
    Alone,
}

impl Way {
    /// Begins a transaction, with the lock of the log.
    pub(super) const fn lock(self) -> &'static str {
        match self {
            Self::Beside => LOCK_SHARED,
            Self::Alone => LOCK_ALONE,
        }
    }

    pub(super) fn of(batch: &[Work]) -> Self {
        let names_all = |work: &Work| match work {
            Work::Message(received) => match &received.outcome {
                Err(_) => true,
                Ok(change) => matches!(
                    change,
                    Change::RegisterOrder(_)
                        | Change::CancelOrder(_)
                        | Change::CompleteOrder(_)
                        | Change::StoreReport(_)
                ),
            },
            Work::Delivery(_) => true,
            Work::Action(_) => false,
        };
        if batch.iter().all(names_all) {
            Self::Beside
        } else {
            Self::Alone
        }
    }
}

/// A transaction that has begun.
pub(super) struct Opened {
    pub(super) found: Found,
    /// The number of the log behind which its own begin.
    pub(super) entry: i64,
    /// The last number that it may use.
    pub(super) last: i64,
    pub(super) turn: Turn,
}

/// Begins a transaction by `lock` if it has not begun, locks keys, reads what the batch can touch.
/// Each statement sees what was committed before it began, so that what is read behind a lock is
/// all there is.
///
/// `None` where the batch must be applied alone.
pub(super) async fn open(
    client: &Client,
    statements: &Statements,
    batch: &[Work],
    wanted: &Wanted,
    way: Way,
    lock: Option<&str>,
) -> Result<Option<Opened>, StoreError> {
    if way == Way::Alone {
        let found = wanted.find_alone(client, statements, lock).await?;
        let entry = found.entry;
        let entry = entry.ok_or_else(|| StoreError::Database("the log has no numbers".into()))?;
        return Ok(Some(Opened {
            found,
            entry,
            last: i64::MAX,
            turn: Turn::Alone(entry),
        }));
    }
    let (patients, found) = wanted.find_beside(client, statements, lock).await?;
    if !all_locked(&found, wanted, &patients) {
        return Ok(None);
    }
    let entries = entries(batch, wanted, &found);
    let statement = statements.ready(client, &[Shape::Turn]).await?;
    let Some(statement) = statement.first() else {
        return Err(StoreError::Database("a statement is missing".into()));
    };
    let row = client.query_one(statement, &[&entries]).await?;
    let entry = get::<Option<i64>>(&row, 1)?.unwrap_or(0);
    Ok(Some(Opened {
        found,
        entry,
        last: entry + entries,
        turn: Turn::Taken(get(&row, 0)?),
    }))
}

/// Whether the patients of all orders are locked: an order may have gone to another one between
/// the look for its patient and its lock.
fn all_locked(found: &Found, wanted: &Wanted, locked: &BTreeSet<String>) -> bool {
    let ids = found.orders.iter();
    ids.filter_map(|record| record.order.attributes.get(Attribute::PatientId))
        .all(|id| locked.contains(id) || wanted.patients.contains(id))
}

/// How many entries of the log a batch makes: a message one, but for those that were here before; a
/// try to send one, if there is such a message.
fn entries(batch: &[Work], wanted: &Wanted, found: &Found) -> i64 {
    let before = found.known.iter().flatten().filter(|(same, _)| *same);
    let before = before.count();
    let fresh = wanted.known.iter().zip(&found.known);
    let fresh = fresh.filter(|(_, first)| !matches!(first, Some((true, _))));
    let mut seen = HashSet::new();
    let twice = fresh
        .filter(|(identity, _)| !seen.insert(*identity))
        .count();
    let of_nothing = batch.iter().filter(|work| match work {
        Work::Delivery(delivery) => {
            let mut rows = found.outbox.iter();
            !rows.any(|row| row.message_id == delivery.message_id)
        }
        Work::Message(_) | Work::Action(_) => false,
    });
    let none = before + twice + of_nothing.count();
    i64::try_from(batch.len().saturating_sub(none)).unwrap_or(i64::MAX)
}
