//! [`SharedLog`]: the log of a database that several servers have, beside what they kept of it,
//! from one snapshot.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Row};

use super::copy::{columns_of, kind_of, value};
use super::rows::{count64, damaged, get, moment};
use super::{PostgresOptions, block, migrate, runtime};
use crate::error::StoreError;
use crate::log::{LogEntry, LoggedAction, LoggedMessage, Replayable, action_kind};
use crate::record::{Transport, digest};
use crate::sqlite::{Comparison, Rebuild};
use crate::work::{Delivery, DeliveryOutcome};

/// Rows that are fetched together.
const PAGE: usize = 500;

/// The log as it is when it is opened; servers may go on.
///
/// The snapshot keeps what is deleted meanwhile from being cleaned up: drop it soon.
pub struct SharedLog {
    runtime: Option<Runtime>,
    client: Client,
}

impl std::fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedLog").finish_non_exhaustive()
    }
}

impl SharedLog {
    /// Opens the log of a database.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or no server of this version has made it.
    pub fn open(options: &PostgresOptions) -> Result<Self, StoreError> {
        let (target, runtime) = (options.target()?, runtime()?);
        let opened = block::on(runtime.handle(), async {
            let client = target.connect_reader().await?;
            migrate::current(&client).await?;
            client
                .batch_execute(
                    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                     BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                )
                .await?;
            Ok(client)
        });
        match opened {
            Ok(client) => Ok(Self {
                runtime: Some(runtime),
                client,
            }),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    fn on<F: Future>(&self, future: F) -> Result<F::Output, StoreError> {
        let runtime = self.runtime.as_ref().ok_or(StoreError::InUse)?;
        Ok(block::on(runtime.handle(), future))
    }

    async fn entries(&self, id: i64, limit: u32) -> Result<Vec<(i64, LogEntry)>, StoreError> {
        let sql = "SELECT * FROM (\
            (SELECT id, 0 AS kind FROM messages WHERE id > $1 AND direction = 'in' \
            ORDER BY id LIMIT $2) UNION ALL \
            (SELECT id, 1 FROM actions WHERE id > $1 ORDER BY id LIMIT $2) UNION ALL \
            (SELECT id, 2 FROM deliveries WHERE id > $1 ORDER BY id LIMIT $2)) entries \
            ORDER BY id LIMIT $2";
        // One more, to know where the messages end that the last action sent.
        let rows = self
            .client
            .query(sql, &[&id, &(i64::from(limit) + 1)])
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            found.push((get::<i64>(row, 0)?, get::<i32>(row, 1)?));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let end = found.get(limit).map_or(i64::MAX, |(id, _)| *id);
        found.truncate(limit);
        let of = |kind| -> Vec<i64> {
            let some = found.iter().filter(|(_, sort)| *sort == kind);
            some.map(|(id, _)| *id).collect()
        };
        let mut entries = HashMap::new();
        self.messages(&of(0), &mut entries).await?;
        self.actions(&of(1), end, &mut entries).await?;
        self.deliveries(&of(2), &mut entries).await?;
        Ok(found
            .into_iter()
            .filter_map(|(id, _)| Some((id, entries.remove(&id)?)))
            .collect())
    }

    async fn messages(
        &self,
        ids: &[i64],
        entries: &mut HashMap<i64, LogEntry>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT id, received_at, transport, peer, ack, raw, digest FROM messages \
            WHERE id = ANY($1)";
        for row in self.client.query(sql, &[&ids]).await? {
            let id = get(&row, 0)?;
            let message = LoggedMessage {
                raw: whole(&row, id, 5)?,
                ack: get(&row, 4)?,
                received_at: moment(&row, 1)?,
                transport: match get(&row, 2)? {
                    "http" => Transport::Http,
                    _ => Transport::Mllp,
                },
                peer: get(&row, 3)?,
            };
            entries.insert(id, LogEntry::Message(message));
        }
        Ok(())
    }

    /// Actions, with what they sent: it stands right behind them.
    async fn actions(
        &self,
        ids: &[i64],
        end: i64,
        entries: &mut HashMap<i64, LogEntry>,
    ) -> Result<(), StoreError> {
        let Some(first) = ids.first() else {
            return Ok(());
        };
        let sql = "SELECT id, peer, NULL, NULL, NULL, raw, digest FROM messages \
            WHERE direction = 'out' AND id > $1 AND id < $2 ORDER BY id";
        let mut sent = HashMap::new();
        for row in self.client.query(sql, &[first, &end]).await? {
            let id: i64 = get(&row, 0)?;
            let destination: String = get(&row, 1)?;
            sent.insert(id, (destination, whole(&row, id, 5)?));
        }
        let sql = "SELECT id, at, actor, idempotency_key, kind, accession_number, detail, body \
            FROM actions WHERE id = ANY($1)";
        for row in self.client.query(sql, &[&ids]).await? {
            let id: i64 = get(&row, 0)?;
            let kind = action_kind(get(&row, 4)?, get(&row, 5)?, get(&row, 6)?, get(&row, 7)?);
            let action = LoggedAction {
                at: moment(&row, 1)?,
                actor: get(&row, 2)?,
                idempotency_key: get(&row, 3)?,
                kind: kind.ok_or(damaged("actions", id))?,
                sent: (id + 1..).map_while(|id| sent.remove(&id)).collect(),
            };
            entries.insert(id, LogEntry::Action(action));
        }
        Ok(())
    }

    async fn deliveries(
        &self,
        ids: &[i64],
        entries: &mut HashMap<i64, LogEntry>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT id, message_id, at, took, outcome, reason, answer FROM deliveries \
            WHERE id = ANY($1)";
        for row in self.client.query(sql, &[&ids]).await? {
            let id = get(&row, 0)?;
            let at: DateTime<Utc> = moment(&row, 2)?;
            let delivery = Delivery {
                message_id: get(&row, 1)?,
                at,
                took_micros: count64(&row, 3)?,
                outcome: DeliveryOutcome::from_name(get(&row, 4)?)
                    .ok_or(damaged("deliveries", id))?,
                reason: get(&row, 5)?,
                answer: get(&row, 6)?,
                fence: None,
            };
            entries.insert(id, LogEntry::Delivery(delivery));
        }
        Ok(())
    }
}

/// The bytes of a message, held to the digest that stands behind them.
fn whole(row: &Row, id: i64, place: usize) -> Result<Vec<u8>, StoreError> {
    let raw: Vec<u8> = get(row, place)?;
    if digest(&raw) != *get::<&[u8]>(row, place + 1)? {
        return Err(damaged("messages", id));
    }
    Ok(raw)
}

/// A table that is being read.
struct Reading {
    columns: Vec<(&'static str, &'static str)>,
    read: VecDeque<Vec<Value>>,
    ended: bool,
}

impl Replayable for SharedLog {
    fn after(&self, id: i64, limit: u32) -> Result<Vec<(i64, LogEntry)>, StoreError> {
        self.on(self.entries(id, limit))?
    }

    fn rebuild(&self, into: &Path) -> Result<Rebuild, StoreError> {
        Rebuild::create(into, None)
    }

    fn compare(&self, rebuild: &Rebuild) -> Result<Comparison, StoreError> {
        rebuild.compare_with(
            columns_of,
            |table, sql, columns| {
                let begin = format!("CLOSE ALL; DECLARE kept NO SCROLL CURSOR FOR {sql}");
                self.on(self.client.batch_execute(&begin))??;
                let typed = columns
                    .iter()
                    .map(|column| (*column, kind_of(table, column)));
                Ok(Reading {
                    columns: typed.collect(),
                    read: VecDeque::new(),
                    ended: false,
                })
            },
            |reading| {
                if reading.read.is_empty() && !reading.ended {
                    let fetch = format!("FETCH {PAGE} FROM kept");
                    let rows = self.on(self.client.query(&fetch, &[]))??;
                    reading.ended = rows.len() < PAGE;
                    for row in &rows {
                        reading.read.push_back(values(&reading.columns, row)?);
                    }
                }
                Ok(reading.read.pop_front())
            },
        )
    }
}

/// A row as the embedded store has it.
fn values(columns: &[(&str, &str)], row: &Row) -> Result<Vec<Value>, StoreError> {
    let places = columns.iter().enumerate();
    places
        .map(|(place, (column, kind))| {
            let value = value(row, place, kind)?;
            // A copy of an older database does not know it.
            let unknown = *column == "effect" && value == Value::Text(String::new());
            Ok(if unknown { Value::Null } else { value })
        })
        .collect()
}

impl Drop for SharedLog {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
