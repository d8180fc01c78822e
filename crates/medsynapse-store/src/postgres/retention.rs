//! [`SharedPurge`]: what is older than it has to be kept is taken out, a little at a time, by one
//! server at a time.
//!
//! What goes and what stays is as in the embedded store. A window of rows is looked at without any
//! lock; what may go of it is looked at once more under the lock of the log, and goes in the same
//! transaction. So nothing goes that a server has just changed, and where nothing is old nobody
//! waits.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::rows::{count64, get};
use super::sql::LOCK;
use super::{PostgresStore, block};
use crate::error::StoreError;
use crate::shared::Shared as _;
use crate::sqlite::Purged;

/// Rows that are looked at together.
const WINDOW: usize = 1_000;
/// Rows that go in one transaction: the lock of the log is held for some milliseconds.
const BATCH: usize = 200;
/// The lane of whoever purges; a destination cannot be called so.
const LANE: &str = "(retention)";
/// How long the one who purges may say nothing before another takes over.
const LIFE: Duration = Duration::from_mins(1);

/// A sort of rows, which of them go, and what goes with them.
struct Sort {
    /// Its rows by a key, each once: `FROM` of a query that names the table `t`.
    table: &'static str,
    key: &'static str,
    /// What is told behind the table: a report has a row for every version.
    group: &'static str,
    /// Whether a row goes; `$2` is the moment.
    goes: &'static str,
    /// What is done with the keys `$1` of those that go.
    takes: &'static [&'static str],
    counted: Option<fn(&mut Purged) -> &mut u64>,
}

/// In this order: messages stay while their order does, patients while anything of theirs does.
const SORTS: [Sort; 7] = [
    Sort {
        table: "orders",
        key: "accession_number",
        group: "",
        goes: "t.state IN ('COMPLETED', 'DISCONTINUED') AND t.updated_at < $2 \
            AND NOT EXISTS (SELECT 1 FROM reports r \
            WHERE r.accession_number = t.accession_number AND r.updated_at >= $2) \
            AND NOT EXISTS (SELECT 1 FROM outbox b WHERE b.accession_number = t.accession_number \
            AND (b.state IN ('queued', 'held') OR b.queued_at >= $2))",
        takes: &[
            "DELETE FROM deliveries WHERE message_id IN \
             (SELECT message_id FROM outbox WHERE accession_number = ANY($1))",
            "DELETE FROM outbox WHERE accession_number = ANY($1)",
            "DELETE FROM reports WHERE accession_number = ANY($1)",
            "DELETE FROM changes WHERE accession_number = ANY($1)",
            "DELETE FROM orders WHERE accession_number = ANY($1)",
        ],
        counted: Some(|purged| &mut purged.orders),
    },
    Sort {
        table: "messages",
        key: "id",
        group: "",
        goes: "t.received_at < $2 \
            AND NOT EXISTS (SELECT 1 FROM orders o \
            WHERE o.accession_number = t.accession_number) \
            AND NOT EXISTS (SELECT 1 FROM reports r \
            WHERE r.accession_number = t.accession_number AND r.updated_at >= $2) \
            AND NOT EXISTS (SELECT 1 FROM outbox b WHERE b.message_id = t.id \
            AND (b.state IN ('queued', 'held') OR b.queued_at >= $2))",
        takes: &[
            "DELETE FROM deliveries WHERE message_id = ANY($1)",
            "DELETE FROM outbox WHERE message_id = ANY($1)",
            "WITH gone AS (DELETE FROM messages WHERE id = ANY($1) \
             RETURNING direction, message_code), \
             fewer AS (SELECT direction, message_code, count(*) AS messages FROM gone \
             GROUP BY direction, message_code) \
             UPDATE message_counts c SET messages = c.messages - fewer.messages FROM fewer \
             WHERE c.direction = fewer.direction AND c.message_code = fewer.message_code",
        ],
        counted: Some(|purged| &mut purged.messages),
    },
    Sort {
        table: "patients",
        key: "patient_id",
        group: "",
        goes: "t.updated_at < $2 \
            AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.patient_id = t.patient_id) \
            AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.patient_id = t.patient_id \
            AND r.updated_at >= $2)",
        takes: &[
            "DELETE FROM reports WHERE patient_id = ANY($1)",
            "DELETE FROM changes WHERE patient_id = ANY($1) AND accession_number IS NULL",
            "DELETE FROM patients WHERE patient_id = ANY($1)",
        ],
        counted: Some(|purged| &mut purged.patients),
    },
    // Reports that never had an order; each version has its own age.
    Sort {
        table: "reports",
        key: "accession_number",
        group: " GROUP BY t.accession_number",
        goes: "min(t.updated_at) < $2 AND NOT EXISTS (SELECT 1 FROM orders o \
            WHERE o.accession_number = t.accession_number)",
        takes: &["DELETE FROM reports WHERE accession_number = ANY($1) AND updated_at < $2"],
        counted: None,
    },
    Sort {
        table: "cancelled_orders",
        key: "accession_number",
        group: "",
        goes: "t.cancelled_at < $2",
        takes: &[
            "DELETE FROM changes WHERE accession_number = ANY($1) AND NOT EXISTS \
             (SELECT 1 FROM orders o WHERE o.accession_number = changes.accession_number)",
            "DELETE FROM cancelled_orders WHERE accession_number = ANY($1)",
        ],
        counted: None,
    },
    Sort {
        table: "procedure_steps",
        key: "sop_instance_uid",
        group: "",
        goes: "t.updated_at < $2 AND t.state <> 'IN PROGRESS'",
        takes: &["DELETE FROM procedure_steps WHERE sop_instance_uid = ANY($1)"],
        counted: None,
    },
    // What was done and by whom stays, without what it said about a patient.
    Sort {
        table: "actions",
        key: "id",
        group: "",
        goes: "t.at < $2 AND (t.detail <> 'null' OR t.body IS NOT NULL) \
            AND t.kind NOT LIKE 'outbox-%' AND NOT EXISTS (SELECT 1 FROM orders o \
            WHERE o.accession_number = t.accession_number)",
        takes: &["UPDATE actions SET detail = 'null', body = NULL WHERE id = ANY($1)"],
        counted: None,
    },
];

/// Keys of rows, in order.
enum Keys {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl Keys {
    const fn len(&self) -> usize {
        match self {
            Self::Numbers(keys) => keys.len(),
            Self::Texts(keys) => keys.len(),
        }
    }

    /// The first of them are left, and the others are given.
    fn split_off(&mut self, at: usize) -> Self {
        let at = at.min(self.len());
        match self {
            Self::Numbers(keys) => Self::Numbers(keys.split_off(at)),
            Self::Texts(keys) => Self::Texts(keys.split_off(at)),
        }
    }

    fn value(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Numbers(keys) => keys,
            Self::Texts(keys) => keys,
        }
    }
}

/// The key up to which rows were looked at.
#[derive(Clone)]
enum Cursor {
    Number(i64),
    Text(String),
}

impl Cursor {
    fn start(sort: &Sort) -> Self {
        if sort.key == "id" {
            Self::Number(0)
        } else {
            Self::Text(String::new())
        }
    }
}

/// Goes once through everything and takes out what is older than a moment, as long as no other
/// server does.
///
/// Each step is a transaction of its own, so messages that come in do not wait; a step that did
/// not happen is done by the next purge.
pub struct SharedPurge<'s> {
    store: &'s PostgresStore,
    client: Client,
    fence: i64,
    kept: Instant,
    before: i64,
    sorts: std::slice::Iter<'static, Sort>,
    sort: Option<&'static Sort>,
    cursor: Cursor,
    /// What may go, of the window that was looked at last.
    found: Keys,
    purged: Purged,
}

impl std::fmt::Debug for SharedPurge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedPurge")
            .field("at", &self.sort.map(|sort| sort.table))
            .field("purged", &self.purged)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Takes out what is older than `before`; see [`SharedPurge::step`]. `None` where another
    /// server is at it; one that died is waited for a minute.
    ///
    /// # Errors
    ///
    /// The database cannot be reached.
    pub fn purge(&self, before: DateTime<Utc>) -> Result<Option<SharedPurge<'_>>, StoreError> {
        let Some(fence) = self.take_lane(LANE, LIFE)? else {
            return Ok(None);
        };
        let client = block::on(&self.handle, self.target.connect_writer());
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                let _ = self.give_lane(LANE, fence);
                return Err(error);
            }
        };
        let mut sorts = SORTS.iter();
        let sort = sorts.next();
        Ok(Some(SharedPurge {
            store: self,
            client,
            fence,
            kept: Instant::now(),
            before: before.timestamp_micros(),
            sorts,
            sort,
            cursor: sort.map_or(Cursor::Number(0), Cursor::start),
            found: Keys::Numbers(Vec::new()),
            purged: Purged::default(),
        }))
    }
}

impl SharedPurge<'_> {
    /// Does a little, and says whether there is more to do.
    ///
    /// # Errors
    ///
    /// The database cannot be reached or written, or this server was away for so long that
    /// another one purges now ([`StoreError::LaneLost`]).
    pub fn step(&mut self) -> Result<bool, StoreError> {
        let Some(sort) = self.sort else {
            return Ok(false);
        };
        if self.kept.elapsed() > LIFE / 4 {
            if !self.store.keep_lane(LANE, self.fence, LIFE)? {
                return Err(StoreError::LaneLost);
            }
            self.kept = Instant::now();
        }
        if self.found.len() > 0 {
            let later = self.found.split_off(BATCH);
            let keys = std::mem::replace(&mut self.found, later);
            let gone = block::on(&self.store.handle, self.take(sort, &keys))?;
            if let Some(counted) = sort.counted {
                *counted(&mut self.purged) += gone;
            }
            return Ok(true);
        }
        if let Some((cursor, found)) = block::on(&self.store.handle, self.look(sort))? {
            (self.cursor, self.found) = (cursor, found);
        } else {
            self.sort = self.sorts.next();
            self.cursor = self.sort.map_or(Cursor::Number(0), Cursor::start);
        }
        Ok(self.sort.is_some())
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

    /// Looks at the next rows of a table, without a lock: how far, and what may go.
    async fn look(&self, sort: &Sort) -> Result<Option<(Cursor, Keys)>, StoreError> {
        let Sort {
            table,
            key,
            group,
            goes,
            ..
        } = sort;
        // The window stands in the text: the plan depends on it.
        let sql = format!(
            "SELECT max(key), array_agg(key ORDER BY key) FILTER (WHERE goes) FROM \
             (SELECT t.{key} AS key, {goes} AS goes FROM {table} t WHERE t.{key} > $1{group} \
             ORDER BY t.{key} LIMIT {WINDOW}) looked"
        );
        let from: &(dyn ToSql + Sync) = match &self.cursor {
            Cursor::Number(number) => number,
            Cursor::Text(text) => text,
        };
        let row = self.client.query_one(&sql, &[from, &self.before]).await?;
        Ok(match self.cursor {
            Cursor::Number(_) => {
                let found: Option<Vec<i64>> = get(&row, 1)?;
                get::<Option<i64>>(&row, 0)?.map(|last| {
                    (
                        Cursor::Number(last),
                        Keys::Numbers(found.unwrap_or_default()),
                    )
                })
            }
            Cursor::Text(_) => {
                let found: Option<Vec<String>> = get(&row, 1)?;
                get::<Option<String>>(&row, 0)?
                    .map(|last| (Cursor::Text(last), Keys::Texts(found.unwrap_or_default())))
            }
        })
    }

    /// Takes out those of the keys that still may go, in one transaction under the lock of the
    /// log; gives how many.
    async fn take(&self, sort: &Sort, keys: &Keys) -> Result<u64, StoreError> {
        let client = &self.client;
        // Prepared before the lock is held.
        let Sort {
            table,
            key,
            group,
            goes,
            takes,
            ..
        } = sort;
        let condition = if group.is_empty() {
            format!("t.{key} = ANY($1) AND {goes}")
        } else {
            format!("t.{key} = ANY($1){group} HAVING {goes}")
        };
        let again = client
            .prepare(&format!(
                "SELECT array_agg(key), count(*) FROM \
                 (SELECT t.{key} AS key FROM {table} t WHERE {condition}) going"
            ))
            .await?;
        let mut statements = Vec::new();
        for sql in *takes {
            statements.push((client.prepare(sql).await?, sql.contains("$2")));
        }
        let done = self.under_lock(keys, &again, &statements).await;
        if done.is_err() && !client.is_closed() {
            client.batch_execute("ROLLBACK").await?;
        }
        done
    }

    async fn under_lock(
        &self,
        keys: &Keys,
        again: &Statement,
        takes: &[(Statement, bool)],
    ) -> Result<u64, StoreError> {
        let client = &self.client;
        client
            .batch_execute(&format!("BEGIN; SELECT {LOCK}"))
            .await?;
        let mine = "SELECT 1 FROM lanes WHERE destination = $1 AND fence = $2 FOR SHARE";
        if client
            .query_opt(mine, &[&LANE, &self.fence])
            .await?
            .is_none()
        {
            return Err(StoreError::LaneLost);
        }
        let row = client
            .query_one(again, &[keys.value(), &self.before])
            .await?;
        let going = match keys {
            Keys::Numbers(_) => get::<Option<Vec<i64>>>(&row, 0)?.map(Keys::Numbers),
            Keys::Texts(_) => get::<Option<Vec<String>>>(&row, 0)?.map(Keys::Texts),
        };
        if let Some(going) = going {
            for (statement, aged) in takes {
                let values: &[&(dyn ToSql + Sync)] = &[going.value(), &self.before];
                let values = if *aged {
                    values
                } else {
                    values.get(..1).unwrap_or(values)
                };
                client.execute(statement, values).await?;
            }
        }
        client.batch_execute("COMMIT").await?;
        count64(&row, 1)
    }
}

impl Drop for SharedPurge<'_> {
    fn drop(&mut self) {
        // Else the next one waits for a minute.
        let _ = self.store.give_lane(LANE, self.fence);
    }
}
