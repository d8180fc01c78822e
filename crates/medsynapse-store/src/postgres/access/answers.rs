//! The first answers, known to all servers.

use std::sync::PoisonError;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;

use super::PostgresAccess;
use crate::access::{Answers, FirstAnswer, KEPT, Ticket, millis, ticket};
use crate::error::StoreError;
use crate::postgres::messages::rows;
use crate::postgres::rows::get;

const FIND: &str = "SELECT request, ticket, status, head, body FROM idempotency \
    WHERE caller = $1 AND key = $2 AND at >= $3";
/// One server comes first; the others wait for it here, and then find its row. A row that is too
/// old is as none.
const TAKE: &str = "INSERT INTO idempotency (caller, key, at, request, ticket) \
    VALUES ($1, $2, $4, $5, $6) ON CONFLICT (caller, key) DO UPDATE SET at = excluded.at, \
    request = excluded.request, ticket = excluded.ticket, status = NULL, head = NULL, \
    body = NULL WHERE idempotency.at < $3 RETURNING caller";
/// Two for every one that comes: there are never more than come in a day, and nobody waits for a
/// great clearing out.
const PURGE: &str = "DELETE FROM idempotency WHERE (caller, key) IN (SELECT caller, key \
    FROM idempotency WHERE at < $1 ORDER BY at LIMIT 2 FOR UPDATE SKIP LOCKED)";
/// Rows are given up by others between looking and taking: how often that is looked at.
const TRIES: u32 = 8;

/// Most orphans that are remembered. What is forgotten is answered as unsettled for a day.
const ORPHANS_MAX: usize = 10_000;

/// A request that was refused, as the database did not answer, and that may be down as begun all
/// the same.
pub(super) struct Orphan {
    caller: String,
    key: String,
    own: [u8; 16],
}

pub(super) fn answer(
    status: Option<i32>,
    head: Option<String>,
    body: Option<Vec<u8>>,
) -> Option<FirstAnswer> {
    Some(FirstAnswer {
        status: u16::try_from(status?).unwrap_or_default(),
        head: head.unwrap_or_default(),
        body: body.unwrap_or_default(),
    })
}

async fn begin(
    client: &impl GenericClient,
    (caller, key): (&str, &str),
    request: &[u8; 32],
    own: &[u8; 16],
    now: DateTime<Utc>,
) -> Result<Ticket, StoreError> {
    let (now, oldest) = (millis(now), millis(now - KEPT));
    for _ in 0..TRIES {
        let found = rows(client, FIND, &[&caller, &key, &oldest]).await?;
        if let Some(row) = found.first() {
            if get::<Vec<u8>>(row, 1)? == own {
                return Ok(Ticket::New);
            }
            let answer = answer(get(row, 2)?, get(row, 3)?, get(row, 4)?);
            return Ok(ticket(request, &get::<Vec<u8>>(row, 0)?, answer));
        }
        let purge = client.prepare_cached(PURGE).await?;
        client.execute(&purge, &[&oldest]).await?;
        let (request, own) = (request.as_slice(), own.as_slice());
        let taken = rows(
            client,
            TAKE,
            &[&caller, &key, &oldest, &now, &request, &own],
        )
        .await?;
        if !taken.is_empty() {
            return Ok(Ticket::New);
        }
    }
    Ok(Ticket::Unsettled)
}

impl PostgresAccess {
    /// Takes away what was begun for a request that was refused, so that it can come again.
    /// Servers call this every second.
    pub(super) fn forget_orphans(&self) -> Result<(), StoreError> {
        let orphans =
            std::mem::take(&mut *self.orphans.lock().unwrap_or_else(PoisonError::into_inner));
        if orphans.is_empty() {
            return Ok(());
        }
        // Its own row alone: another server may have begun it since.
        let sql = "DELETE FROM idempotency WHERE status IS NULL AND (caller, key, ticket) IN \
            (SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]))";
        let forgotten = self.ask(async |client| {
            let callers: Vec<&str> = orphans.iter().map(|orphan| &*orphan.caller).collect();
            let keys: Vec<&str> = orphans.iter().map(|orphan| &*orphan.key).collect();
            let owns: Vec<&[u8]> = orphans.iter().map(|orphan| &orphan.own[..]).collect();
            let statement = client.prepare_cached(sql).await?;
            client
                .execute(&statement, &[&callers, &keys, &owns])
                .await?;
            Ok(())
        });
        if forgotten.is_err() {
            let mut kept = self.orphans.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(orphans);
            kept.truncate(ORPHANS_MAX);
        }
        forgotten
    }
}

impl Answers for PostgresAccess {
    fn begin(
        &self,
        caller: &str,
        key: &str,
        request: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<Ticket, StoreError> {
        let mut own = [0; 16];
        getrandom::fill(&mut own)
            .map_err(|_| StoreError::Database("the system gives no random bytes".into()))?;
        // Where a connection broke off it is asked again, and knows its own row.
        let begun =
            self.ask(async |client| begin(&*client, (caller, key), request, &own, now).await);
        if matches!(begun, Err(StoreError::Unreachable(_))) {
            let mut orphans = self.orphans.lock().unwrap_or_else(PoisonError::into_inner);
            if orphans.len() < ORPHANS_MAX {
                orphans.push(Orphan {
                    caller: caller.into(),
                    key: key.into(),
                    own,
                });
            }
        }
        begun
    }

    fn settle(&self, caller: &str, key: &str, answer: &FirstAnswer) -> Result<(), StoreError> {
        let sql = "UPDATE idempotency SET status = $3, head = $4, body = $5 \
            WHERE caller = $1 AND key = $2";
        let status = i32::from(answer.status);
        self.ask(async |client| {
            let statement = client.prepare_cached(sql).await?;
            client
                .execute(
                    &statement,
                    &[&caller, &key, &status, &answer.head, &answer.body],
                )
                .await?;
            Ok(())
        })
    }

    fn forget(&self, caller: &str, key: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM idempotency WHERE caller = $1 AND key = $2";
        self.ask(async |client| {
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, &[&caller, &key]).await?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PostgresOptions;
    use crate::access::Keyring as _;
    use crate::testing::Cluster;

    #[test]
    fn what_was_refused_as_nobody_answered_can_come_again() {
        let Some(cluster) = Cluster::or_skip("what_was_refused_as_nobody_answered") else {
            return;
        };
        let url = cluster.fresh().unwrap();
        let store = PostgresAccess::open(&PostgresOptions::new(&url, "one")).unwrap();
        let now = DateTime::UNIX_EPOCH;
        let begin = |key| store.begin("a", key, &[1; 32], now).unwrap();
        let orphan = |key: &str| {
            // The row is there, and nobody knows.
            let rows = format!(
                "SELECT 1 FROM idempotency WHERE key = '{key}' AND ticket <> '\\x{}'",
                "07".repeat(16)
            );
            assert_eq!(cluster.run(&url, &rows).unwrap(), 1);
            store.orphans.lock().unwrap().push(Orphan {
                caller: "a".into(),
                key: key.into(),
                own: [7; 16],
            });
        };
        for key in ["own", "other"] {
            assert_eq!(begin(key), Ticket::New);
            orphan(key);
        }
        let own = format!(
            "UPDATE idempotency SET ticket = '\\x{}' WHERE key = 'own'",
            "07".repeat(16)
        );
        cluster.run(&url, &own).unwrap();
        assert_eq!(begin("own"), Ticket::Unsettled);
        store.version().unwrap();
        assert_eq!(begin("own"), Ticket::New);
        assert_eq!(begin("other"), Ticket::Unsettled, "another server is at it");
        assert!(store.orphans.lock().unwrap().is_empty());
    }
}
