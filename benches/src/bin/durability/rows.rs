//! The reference: the rows that the product writes for its messages, put into an empty database
//! by SQLite alone. No network, no reading of messages, no looking for duplicates.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medsynapse_broker::{Broker, BrokerConfig, Origin, SystemClock};
use medsynapse_store::{SqliteStore, Transport};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// A table, how a row is inserted, and its rows by message, from message 1.
struct TableRows {
    sql: String,
    rows: Vec<Vec<Vec<Value>>>,
}

/// The rows of some messages.
pub(crate) struct Rows {
    tables: Vec<TableRows>,
    messages: usize,
}

/// Columns that say which message a row belongs to, by table: the first one that is there counts.
const OWNERS: [&str; 4] = ["written_by", "updated_by", "message_id", "entry_id"];

impl Rows {
    /// Lets the product store `messages` and reads what it wrote.
    pub(crate) async fn record(directory: &Path, messages: &[Vec<u8>]) -> Result<Self> {
        let store = Arc::new(SqliteStore::open(directory)?);
        let broker = Broker::start(store, BrokerConfig::default(), Arc::new(SystemClock))?;
        let mut pending = Vec::new();
        for framed in messages {
            let message = framed.get(1..framed.len() - 2).context("a frame")?;
            let origin = Origin {
                transport: Transport::Mllp,
                peer: "127.0.0.1:50000".into(),
            };
            pending.push(broker.submit(message.to_vec().into(), origin).await);
        }
        for answer in pending {
            let answer = answer.await.context("an answer")?;
            ensure!(answer.code.is_accept(), "not accepted: {}", answer.text);
        }
        tokio::task::spawn_blocking(move || broker.close()).await?;
        let database = Connection::open(directory.join("medsynapse.db"))?;
        let mut names = database.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
             AND name NOT LIKE 'refinery_%' ORDER BY name <> 'messages', name",
        )?;
        let names: Vec<String> = names
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut tables = Vec::new();
        for name in names {
            let table = read(&database, &name, messages.len())?;
            if table.rows.iter().any(|rows| !rows.is_empty()) {
                tables.push(table);
            }
        }
        Ok(Self {
            tables,
            messages: messages.len(),
        })
    }

    /// An empty database as the product makes it, and a connection as the product's writer has.
    fn empty(directory: &Path) -> Result<Connection> {
        drop(SqliteStore::open(directory)?);
        let database = Connection::open(directory.join("medsynapse.db"))?;
        for (name, value) in [
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("cache_size", -32_768),
        ] {
            database.pragma_update(None, name, value)?;
        }
        // No checkpoint comes between: the reference is at its best.
        database.pragma_update(None, "wal_autocheckpoint", 0)?;
        database.set_prepared_statement_cache_capacity(64);
        Ok(database)
    }

    /// One transaction of so many messages, from `first` on.
    fn commit(&self, database: &Connection, first: usize, count: usize) -> Result<()> {
        let transaction = database.unchecked_transaction()?;
        for at in first..(first + count).min(self.messages) {
            for table in &self.tables {
                let mut statement = transaction.prepare_cached(&table.sql)?;
                for row in table.rows.get(at).into_iter().flatten() {
                    statement.execute(params_from_iter(row))?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Messages a second in transactions of `batch`.
    pub(crate) fn insert(&self, directory: &Path, batch: usize) -> Result<f64> {
        let database = Self::empty(directory)?;
        let start = Instant::now();
        for first in (0..self.messages).step_by(batch) {
            self.commit(&database, first, batch)?;
        }
        Ok(medsynapse_benches::count(self.messages) / start.elapsed().as_secs_f64())
    }

    /// How long each of the first commits takes that hold one message.
    pub(crate) fn commit_times(&self, directory: &Path, count: usize) -> Result<Vec<Duration>> {
        let database = Self::empty(directory)?;
        let mut times = Vec::with_capacity(count);
        for at in 0..count.min(self.messages) {
            let start = Instant::now();
            self.commit(&database, at, 1)?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    /// Fills a database with so many messages: these rows again and again under other numbers.
    pub(crate) fn fill(&self, directory: &Path, count: usize) -> Result<()> {
        let database = Self::empty(directory)?;
        for first in (0..self.messages).step_by(1_024) {
            self.commit(&database, first, 1_024)?;
        }
        // Columns that must differ get the round's number behind their value.
        let columns = |table: &str| -> Result<Vec<String>> {
            let mut statement = database.prepare("SELECT name FROM pragma_table_info(?1)")?;
            let names = statement.query_map([table], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        };
        let copy = |table: &str, messages: usize| -> Result<String> {
            let names = columns(table)?;
            let values = names.iter().map(|name| match name.as_str() {
                "id" | "created_by" | "updated_by" => format!("{name} + ?1 * {messages}"),
                "control_id" | "accession_number" | "patient_id" => {
                    format!("{name} || '-' || ?1")
                }
                other => other.to_owned(),
            });
            let values: Vec<String> = values.collect();
            let owner = if table == "messages" {
                "id"
            } else {
                "updated_by"
            };
            Ok(format!(
                "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {owner} <= {messages}",
                names.join(", "),
                values.join(", ")
            ))
        };
        for round in 1..count.div_ceil(self.messages) {
            let transaction = database.unchecked_transaction()?;
            for table in ["messages", "orders", "patients"] {
                let sql = copy(table, self.messages)?;
                transaction.prepare_cached(&sql)?.execute([round])?;
            }
            transaction
                .prepare_cached("UPDATE message_counts SET messages = messages + ?1")?
                .execute([self.messages])?;
            transaction.commit()?;
            if round % 8 == 0 {
                database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            }
        }
        drop(database);
        Ok(medsynapse_store::testing::reseal(directory)?)
    }
}

fn read(database: &Connection, table: &str, messages: usize) -> Result<TableRows> {
    let mut statement = database.prepare(&format!("SELECT * FROM {table}"))?;
    let columns: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(Into::into)
        .collect();
    let counts = table == "message_counts";
    let owner = if table == "messages" {
        columns.iter().position(|name| name == "id")
    } else {
        let of = |owner| columns.iter().position(|name| name == owner);
        OWNERS.into_iter().find_map(of)
    };
    let mut rows = vec![Vec::new(); messages];
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let values: Vec<Value> = (0..columns.len())
            .map(|index| row.get(index))
            .collect::<Result<_, _>>()?;
        if counts {
            // Counted up with every message.
            for of in &mut rows {
                of.push(values.clone());
            }
            continue;
        }
        let Some(Value::Integer(id)) = owner.and_then(|index| values.get(index)) else {
            continue;
        };
        let at = usize::try_from(*id - 1)?;
        rows.get_mut(at)
            .context("a message of its own")?
            .push(values);
    }
    let places = vec!["?"; columns.len()].join(", ");
    let upsert = if counts {
        " ON CONFLICT DO UPDATE SET messages = messages + 1"
    } else {
        ""
    };
    let sql = format!("INSERT INTO {table} VALUES ({places}){upsert}");
    Ok(TableRows { sql, rows })
}
