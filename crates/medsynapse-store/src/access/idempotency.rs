//! The first answer to a request that may come again.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{AccessStore, millis};
use crate::error::StoreError;

/// How long an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// What was answered the first time.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Header lines that belong to it, `name: value`.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for FirstAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FirstAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Whether a request may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ticket {
    /// It is new: carry it out, then settle it.
    New,
    /// It was answered.
    Answered(FirstAnswer),
    /// It is being carried out, or the server went down over it.
    Unsettled,
    /// The key came with another request before.
    OtherRequest,
}

impl AccessStore {
    /// Whether the request of `caller` with this key may be carried out; `request` is a digest of
    /// all that it asks for. A new one is on disk as unsettled when this returns.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn begin(
        &self,
        caller: &str,
        key: &str,
        request: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<Ticket, StoreError> {
        let mut connection = self.durable();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "DELETE FROM idempotency WHERE at < ?1",
            [millis(now - KEPT)],
        )?;
        let sql =
            "SELECT request, status, head, body FROM idempotency WHERE caller = ?1 AND key = ?2";
        let found = transaction
            .query_row(sql, params![caller, key], |row| {
                let known: [u8; 32] = row.get(0)?;
                let status: Option<u16> = row.get(1)?;
                Ok((known, status, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let ticket = match found {
            None => {
                transaction.execute(
                    "INSERT INTO idempotency (caller, key, at, request) VALUES (?1, ?2, ?3, ?4)",
                    params![caller, key, millis(now), request],
                )?;
                Ticket::New
            }
            Some((known, ..)) if known != *request => Ticket::OtherRequest,
            Some((_, None, ..)) => Ticket::Unsettled,
            Some((_, Some(status), head, body)) => Ticket::Answered(FirstAnswer {
                status,
                head: Option::unwrap_or_default(head),
                body: Option::unwrap_or_default(body),
            }),
        };
        transaction.commit()?;
        Ok(ticket)
    }

    /// Keeps the answer to a request that was new.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn settle(&self, caller: &str, key: &str, answer: &FirstAnswer) -> Result<(), StoreError> {
        self.durable().execute(
            "UPDATE idempotency SET status = ?3, head = ?4, body = ?5 WHERE caller = ?1 AND key = ?2",
            params![caller, key, answer.status, answer.head, answer.body],
        )?;
        Ok(())
    }

    /// Forgets a request that had no effect, so that it can come again.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn forget(&self, caller: &str, key: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM idempotency WHERE caller = ?1 AND key = ?2";
        self.durable().execute(sql, params![caller, key])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_carried_out_once_and_answered_alike_for_a_day() {
        let directory = tempfile::tempdir().unwrap();
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let (one, two) = ([1; 32], [2; 32]);
        let answer = FirstAnswer {
            status: 201,
            head: String::new(),
            body: b"{}".to_vec(),
        };
        {
            let store = AccessStore::open(directory.path()).unwrap();
            assert_eq!(store.begin("a", "k", &one, now).unwrap(), Ticket::New);
            assert_eq!(store.begin("a", "k", &one, now).unwrap(), Ticket::Unsettled);
            assert_eq!(store.begin("b", "k", &two, now).unwrap(), Ticket::New);
            store.settle("a", "k", &answer).unwrap();
        }
        let store = AccessStore::open(directory.path()).unwrap();
        let again = store
            .begin("a", "k", &one, now + TimeDelta::hours(23))
            .unwrap();
        assert_eq!(again, Ticket::Answered(answer));
        assert_eq!(
            store.begin("a", "k", &two, now).unwrap(),
            Ticket::OtherRequest
        );
        let tomorrow = now + TimeDelta::hours(25);
        assert_eq!(store.begin("a", "k", &two, tomorrow).unwrap(), Ticket::New);
        store.forget("a", "k").unwrap();
        assert_eq!(store.begin("a", "k", &one, tomorrow).unwrap(), Ticket::New);
    }
}
