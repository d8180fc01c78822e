//! [`Rebuild`]: a database made from a log alone, and where it differs from the one that was kept.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, Rows};

use super::apply::Writer;
use super::{connect, connect_with, hidden, make_directory, make_private, migrate, tables, unlock};
use crate::error::StoreError;
use crate::vault::Vault;
use crate::work::Work;

/// Most differences that are told one by one.
const TOLD_MAX: usize = 1_000;

/// A table, the columns that its rows are ordered and found by, how a row is called that differs,
/// and columns that the log does not decide.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
    called: &'static str,
    ignored: &'static [&'static str],
}

const fn table(
    name: &'static str,
    key: &'static [&'static str],
    called: &'static str,
    ignored: &'static [&'static str],
) -> Table {
    Table {
        name,
        key,
        called,
        ignored,
    }
}

/// Patients are called by the entry that changed them last: their ids are theirs.
const TABLES: [Table; 11] = [
    // A resent message leaves nothing but this count.
    table("messages", &["id"], "id", &["retransmissions"]),
    table("actions", &["id"], "id", &[]),
    table("deliveries", &["id"], "id", &[]),
    table(
        "message_counts",
        &["direction", "message_code"],
        "message_code",
        &[],
    ),
    table("orders", &["accession_number"], "accession_number", &["id"]),
    table(
        "cancelled_orders",
        &["accession_number"],
        "accession_number",
        &[],
    ),
    table(
        "reports",
        &["accession_number", "version"],
        "accession_number",
        &[],
    ),
    table("patients", &["patient_id"], "updated_by", &[]),
    table("changes", &["entry_id", "id"], "entry_id", &["id"]),
    table("outbox", &["message_id"], "message_id", &[]),
    table(
        "procedure_steps",
        &["sop_instance_uid"],
        "sop_instance_uid",
        &[],
    ),
];

/// Where the kept and the rebuilt database differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The log does not lead to a row that is kept.
    #[error("{table} {row}: kept, but the log does not lead to it")]
    Unexplained {
        /// In which table.
        table: &'static str,
        /// Which one.
        row: String,
    },
    /// The log leads to a row that is not kept.
    #[error("{table} {row}: the log leads to it, but it is not kept")]
    Missing {
        /// In which table.
        table: &'static str,
        /// Which one.
        row: String,
    },
    /// The log leads to another row than the one that is kept.
    #[error("{table} {row}: kept otherwise than the log leads to it: {}", columns.join(", "))]
    Other {
        /// In which table.
        table: &'static str,
        /// Which one.
        row: String,
        /// What differs of it.
        columns: Vec<String>,
    },
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many rows were compared.
    pub rows: u64,
    /// How many of them differ.
    pub different: u64,
    /// The first thousand of these.
    pub differences: Vec<Difference>,
}

impl Comparison {
    fn note(&mut self, difference: Difference) {
        self.different += 1;
        if self.differences.len() < TOLD_MAX {
            self.differences.push(difference);
        }
    }
}

/// A database that is being made from a log.
#[derive(Debug)]
pub struct Rebuild {
    writer: Writer,
    reader: Connection,
}

impl Rebuild {
    /// An empty one in `directory`, which must not hold one yet; where the log is encrypted, so is
    /// this one, under the same keys.
    pub(crate) fn create(directory: &Path, keys: Option<&Arc<Vault>>) -> Result<Self, StoreError> {
        make_directory(directory)?;
        let path = directory.join("medsynapse.db");
        if path.exists() {
            return Err(StoreError::File {
                path: path.display().to_string(),
                message: "a database is there already; name an empty directory".into(),
            });
        }
        make_private(&path)?;
        let mut connection = connect(&path, false)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        migrate(&mut connection)?;
        let vault = match keys {
            None => None,
            Some(vault) => {
                let vault = Arc::new(vault.again()?);
                unlock::adopt(&connection, &vault)?;
                hidden::register(&connection, &vault)?;
                Some(vault)
            }
        };
        // Should the power fail, the log is still there to begin anew from.
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(Self {
            reader: connect_with(&path, true, vault.as_ref())?,
            writer: Writer::new(connection, vault)?,
        })
    }

    /// Applies entries under the numbers that they have in the log.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn apply(&mut self, entries: &[(i64, Work)]) -> Result<(), StoreError> {
        self.writer.rebuild(entries)
    }

    /// Compares every row with the one that is kept in a database of the same sort.
    pub(super) fn compare(&self, kept: &Connection) -> Result<Comparison, StoreError> {
        let mut comparison = Comparison::default();
        for table in &TABLES {
            let (columns, said) = columns(table, kept)?;
            let sql = table.ordered(&said);
            let width = 1 + table.key.len() + columns.len();
            let (mut left, mut right) = (kept.prepare(&sql)?, self.reader.prepare(&sql)?);
            let (mut left, mut right) = (left.query([])?, right.query([])?);
            merge(
                table,
                &columns,
                || next(&mut left, width),
                || next(&mut right, width),
                &mut comparison,
            )?;
        }
        Ok(comparison)
    }

    /// The same with what is kept elsewhere: `columns` gives those of a table there, `open` begins
    /// to read a table by a query of ours, and `read` gives its next row. Text there has no NUL.
    #[cfg(feature = "postgres")]
    pub(crate) fn compare_with<R>(
        &self,
        columns: impl Fn(&str) -> Vec<&'static str>,
        mut open: impl FnMut(&'static str, &str, &[&'static str]) -> Result<R, StoreError>,
        mut read: impl FnMut(&mut R) -> Result<Option<Vec<Value>>, StoreError>,
    ) -> Result<Comparison, StoreError> {
        let mut comparison = Comparison::default();
        for table in &TABLES {
            let columns = columns(table.name);
            let names: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
            let sql = table.ordered(&names);
            let mut all = vec![table.called];
            all.extend(table.key);
            all.extend(&columns);
            let mut kept = open(table.name, &sql, &all)?;
            let mut rebuilt = self.reader.prepare(&sql)?;
            let mut rebuilt = rebuilt.query([])?;
            merge(
                table,
                &names,
                || read(&mut kept),
                || {
                    let mut row = next(&mut rebuilt, all.len())?;
                    for value in row.iter_mut().flatten() {
                        if let Value::Text(text) = value
                            && text.contains('\0')
                        {
                            *text = text.replace('\0', "\u{fffd}");
                        }
                    }
                    Ok(row)
                },
                &mut comparison,
            )?;
        }
        Ok(comparison)
    }
}

impl Table {
    /// All rows with these columns, behind how they are called and by what they are found.
    fn ordered(&self, columns: &[String]) -> String {
        let key = self.key.join(", ");
        format!(
            "SELECT {}, {key}, {} FROM {} ORDER BY {key}",
            self.called,
            columns.join(", "),
            self.name,
        )
    }
}

/// The columns of a table that are compared, and what is read for each.
fn columns(table: &Table, kept: &Connection) -> Result<(Vec<String>, Vec<String>), StoreError> {
    let mut columns: Vec<String> = kept
        .prepare("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table.name], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    // Follow from the others, and from those that the log does not decide.
    columns.retain(|column| column != "checksum" && column != "sealed");
    let sealed = tables::TABLES
        .into_iter()
        .find(|sealed| sealed.name == table.name);
    // What is sealed is never twice alike; what it says is, and what stands for it.
    let mut said: Vec<String> = columns
        .iter()
        .map(|column| match column.as_str() {
            "raw" => hidden::RAW.into(),
            column => column.into(),
        })
        .collect();
    for (column, _) in sealed.iter().flat_map(|sealed| sealed.hidden) {
        said.extend(sealed.map(|sealed| sealed.column("", column)));
        columns.push((*column).into());
    }
    Ok((columns, said))
}

/// A row: how it is called, by what it is found, and its columns.
type Found = Result<Option<Vec<Value>>, StoreError>;

/// Goes through the rows of both, which are in the order of their keys, and notes what differs.
fn merge(
    table: &Table,
    columns: &[String],
    mut kept: impl FnMut() -> Found,
    mut rebuilt: impl FnMut() -> Found,
    comparison: &mut Comparison,
) -> Result<(), StoreError> {
    // Rows of `changes` have no name of their own: the n-th one of an entry is the n-th one.
    let key = if table.name == "changes" {
        1..2
    } else {
        1..1 + table.key.len()
    };
    let (mut a, mut b) = (kept()?, rebuilt()?);
    loop {
        let order = match (&a, &b) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => by_key(a.get(key.clone()), b.get(key.clone())),
        };
        comparison.rows += 1;
        let name = |row: &Option<Vec<Value>>| {
            let called = row.as_ref().and_then(|row| row.first());
            called.map_or_else(String::new, shown)
        };
        match order {
            Ordering::Less => {
                comparison.note(Difference::Unexplained {
                    table: table.name,
                    row: name(&a),
                });
                a = kept()?;
            }
            Ordering::Greater => {
                comparison.note(Difference::Missing {
                    table: table.name,
                    row: name(&b),
                });
                b = rebuilt()?;
            }
            Ordering::Equal => {
                let differ = differing(table, columns, a.as_deref(), b.as_deref());
                if !differ.is_empty() {
                    comparison.note(Difference::Other {
                        table: table.name,
                        row: name(&a),
                        columns: differ,
                    });
                }
                (a, b) = (kept()?, rebuilt()?);
            }
        }
    }
}

/// The columns in which two rows differ, each once.
fn differing(
    table: &Table,
    columns: &[String],
    kept: Option<&[Value]>,
    rebuilt: Option<&[Value]>,
) -> Vec<String> {
    let (kept, rebuilt) = (kept.unwrap_or_default(), rebuilt.unwrap_or_default());
    let values = kept.iter().zip(rebuilt).skip(1 + table.key.len());
    let pairs = columns.iter().zip(values);
    let mut told = BTreeSet::new();
    pairs
        .filter(|(column, (kept, rebuilt))| {
            // Columns that came with a later version are empty in older rows.
            let unknown = **kept == Value::Null && *column == "effect";
            kept != rebuilt && !unknown && !table.ignored.contains(&column.as_str())
        })
        .map(|(column, _)| column.clone())
        .filter(|column| told.insert(column.clone()))
        .collect()
}

fn next(rows: &mut Rows<'_>, width: usize) -> Result<Option<Vec<Value>>, StoreError> {
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let values = (0..width)
        .map(|index| row.get(index))
        .collect::<Result<_, _>>()?;
    Ok(Some(values))
}

/// In the order of SQLite: keys are numbers or text.
fn by_key(a: Option<&[Value]>, b: Option<&[Value]>) -> Ordering {
    let pairs = a.into_iter().flatten().zip(b.into_iter().flatten());
    for (a, b) in pairs {
        let order = match (a, b) {
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn shown(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        // Log injection: nothing of a stranger's but letters, digits and signs.
        Value::Text(text) => text.chars().filter(|c| !c.is_control()).take(64).collect(),
        _ => String::new(),
    }
}
