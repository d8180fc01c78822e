//! Checksums of rows: what the disk gives back otherwise than it was written is not served.
//!
//! Every row ends in a checksum of the name of its table and of its columns; of a message
//! the digest stands for the bytes. It is SipHash-1-3 without a key: it finds what a disk or a
//! cable did, and not what somebody did on purpose. Rows are checked by whoever reads them;
//! changing a row keeps it as it was if it is damaged, so that damage is never sealed over.

use std::fmt::Write as _;
use std::hash::Hasher;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Null, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row};
use siphasher::sip::SipHasher13;

use super::hidden::{Keep, WHOLE, seal_body, value_of};
use super::tables::TABLES;
use crate::vault::Vault;

/// The columns of a table that its checksum covers, in this order.
pub(super) struct Sealed {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    /// The column that a damaged row is called by: the number of an entry of the log, never
    /// anything of a patient.
    pub(super) called: usize,
    /// What names a row as long as it is there.
    pub(super) row: &'static [usize],
    /// The columns that an encrypted database hides, in the order of the columns.
    pub(super) hidden: &'static [(&'static str, Keep)],
}

pub(super) const fn sealed(
    name: &'static str,
    called: usize,
    columns: &'static [&'static str],
) -> Sealed {
    Sealed {
        name,
        columns,
        called,
        row: &[],
        hidden: &[],
    }
}

/// A row that is not what was written, on its way through an error of the database.
#[derive(Debug, thiserror::Error)]
#[error("row {row} of {table} does not match its checksum")]
pub(crate) struct Damaged {
    pub(crate) table: &'static str,
    pub(crate) row: i64,
}

impl Sealed {
    /// With columns that an encrypted database hides.
    pub(super) const fn hiding(
        mut self,
        row: &'static [usize],
        hidden: &'static [(&'static str, Keep)],
    ) -> Self {
        self.row = row;
        self.hidden = hidden;
        self
    }

    /// For each column, whether it is hidden: its place among those that are, and what stands for
    /// it.
    pub(super) fn keeps(&self) -> impl Iterator<Item = Option<(usize, Keep)>> {
        let mut hidden = self.hidden.iter().enumerate().peekable();
        self.columns.iter().map(move |column| {
            hidden
                .next_if(|(_, (name, _))| name == column)
                .map(|(place, (_, keep))| (place, *keep))
        })
    }

    /// Its number in calls of SQL functions.
    fn number(&self) -> usize {
        let same = |table: &&Self| table.name == self.name;
        TABLES.iter().position(same).unwrap_or(TABLES.len())
    }

    /// The columns that name a row, with a comma before each.
    fn row_names(&self, of: &str) -> String {
        self.row
            .iter()
            .filter_map(|index| self.columns.get(*index))
            .fold(String::new(), |mut sql, column| {
                let _ = write!(sql, ", {of}{column}");
                sql
            })
    }

    /// What a column says, opened if it is hidden.
    pub(super) fn column(&self, of: &str, column: &str) -> String {
        let place = self.hidden.iter().position(|(name, _)| *name == column);
        match place {
            None => format!("{of}{column}"),
            Some(place) => format!(
                "iif(plain(), {of}{column}, opened({}, {place}, {of}sealed{}))",
                self.number(),
                self.row_names(of)
            ),
        }
    }

    /// How many columns [`select`](Self::select) names; what a query asks for besides stands
    /// behind them.
    pub(super) const fn width(&self) -> usize {
        self.columns.len() + 1
    }

    /// The columns and the checksum, for [`check`](Self::check). `of` is empty, or the alias
    /// of the table with a dot.
    pub(super) fn select(&self, of: &str) -> String {
        if self.hidden.is_empty() {
            return self.stored(of);
        }
        let mut sql = String::with_capacity(2_048);
        for column in self.columns {
            // Writing to a String cannot fail.
            let _ = write!(sql, "{}, ", self.column(of, column));
        }
        let number = self.number();
        let _ = write!(
            sql,
            "iif(plain(), {of}checksum, whole({number}, {of}checksum, {of}sealed"
        );
        for column in self.columns {
            let _ = write!(sql, ", {of}{column}");
        }
        sql.push_str("))");
        sql
    }

    /// The columns as they are stored, and the checksum; for [`check`](Self::check) too.
    pub(super) fn stored(&self, of: &str) -> String {
        let mut sql = String::with_capacity(512);
        for column in self.columns {
            let _ = write!(sql, "{of}{column}, ");
        }
        let _ = write!(sql, "{of}checksum");
        sql
    }

    /// Whether the columns from `first` on are what was written.
    pub(super) fn check(&self, row: &Row<'_>, first: usize) -> rusqlite::Result<()> {
        let kept = row.get_ref(first + self.columns.len())?;
        let right = match kept {
            ValueRef::Integer(kept) => {
                let mut sum = Sum::of(self.name);
                for index in first..first + self.columns.len() {
                    sum.add(row.get_ref(index)?);
                }
                kept == sum.finish()
            }
            // Its checksum is of what is stored, and was looked at when the row was opened.
            kept => kept == ValueRef::Text(WHOLE.as_bytes()),
        };
        if right {
            return Ok(());
        }
        Err(self.damaged(row.get(first + self.called).unwrap_or_default()))
    }

    /// The error for a row that is not what was written.
    pub(super) fn damaged(&self, row: i64) -> rusqlite::Error {
        let table = self.name;
        let kind = rusqlite::types::Type::Integer;
        rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(Damaged { table, row }))
    }

    /// The error for a row that an index gave out for another one.
    pub(super) fn unless(&self, right: bool, row: i64) -> rusqlite::Result<()> {
        if right {
            Ok(())
        } else {
            Err(self.damaged(row))
        }
    }

    /// The error for a list in which an index gave out a row twice, or out of its order.
    pub(super) fn in_order<T, K: Ord>(
        &self,
        items: &[T],
        key: impl Fn(&T) -> K,
        number: impl Fn(&T) -> i64,
    ) -> rusqlite::Result<()> {
        use std::cmp::Ordering::Equal;
        let mut way = None;
        for (one, two) in items.iter().zip(items.iter().skip(1)) {
            let order = key(one).cmp(&key(two));
            let right = order != Equal && *way.get_or_insert(order) == order;
            self.unless(right, number(two))?;
        }
        Ok(())
    }

    /// `INSERT INTO …` for [`put`](Self::put); `body` is a column that the checksum does not
    /// cover.
    pub(super) fn insert(&self, body: Option<&str>) -> String {
        let mut names = self.columns.join(", ");
        names.push_str(", checksum");
        let sealed = (!self.hidden.is_empty()).then_some("sealed");
        let mut count = self.width();
        for name in sealed.into_iter().chain(body) {
            let _ = write!(names, ", {name}");
            count += 1;
        }
        let places: Vec<String> = (1..=count).map(|n| format!("?{n}")).collect();
        format!(
            "INSERT INTO {} ({names}) VALUES ({})",
            self.name,
            places.join(", ")
        )
    }

    /// The checksum of the values of the columns.
    pub(super) fn sum(&self, values: &[&dyn ToSql]) -> rusqlite::Result<i64> {
        debug_assert_eq!(values.len(), self.columns.len(), "{}", self.name);
        let mut sum = Sum::of(self.name);
        for value in values {
            sum.add(value_of(&value.to_sql()?)?);
        }
        Ok(sum.finish())
    }

    /// Runs [`insert`](Self::insert), or what stands for it, with the values of the columns and
    /// their checksum; in an encrypted database with what stands for them.
    pub(super) fn put(
        &self,
        connection: &Connection,
        vault: Option<&Vault>,
        insert: &str,
        values: &[&dyn ToSql],
        body: Option<&[u8]>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(insert)?;
        let (Some(vault), false) = (vault, self.hidden.is_empty()) else {
            let sum = self.sum(values)?;
            let sum: &dyn ToSql = &sum;
            let none: Option<&dyn ToSql> = (!self.hidden.is_empty()).then_some(&Null);
            let body = body.as_ref().map(|body| body as &dyn ToSql);
            let all = values.iter().copied().chain([sum]).chain(none).chain(body);
            statement.execute(rusqlite::params_from_iter(all))?;
            return Ok(());
        };
        let hidden = self.hide(vault, values)?;
        let mut sum = Sum::of(self.name);
        for value in &hidden.stored {
            sum.add(value_of(value)?);
        }
        let body = match (body, values.first()) {
            (Some(body), Some(id)) => {
                let id = value_of(&id.to_sql()?)?.as_i64()?;
                Some(ToSqlOutput::from(seal_body(vault, id, body)?))
            }
            _ => None,
        };
        let all = hidden
            .stored
            .into_iter()
            .chain([
                ToSqlOutput::from(sum.finish()),
                ToSqlOutput::from(hidden.sealed),
            ])
            .chain(body);
        statement.execute(rusqlite::params_from_iter(all))?;
        Ok(())
    }

    /// `INSERT … ON CONFLICT (key) DO UPDATE` of every other column but `id`.
    pub(super) fn upsert(&self, key: &str) -> String {
        let mut sql = self.insert(None);
        let _ = write!(sql, " ON CONFLICT ({key}) DO UPDATE SET ");
        for column in self.columns {
            // To write the number of a row, even the same, is to move the row.
            if *column == key || *column == "id" {
                continue;
            }
            let _ = write!(sql, "{column} = excluded.{column}, ");
        }
        if !self.hidden.is_empty() {
            sql.push_str("sealed = excluded.sealed, ");
        }
        sql.push_str("checksum = excluded.checksum");
        sql
    }

    /// The checksum in SQL, with other expressions in the place of some columns.
    pub(super) fn expression(&self, of: &str, instead: &[(&str, &str)]) -> String {
        let mut sql = format!("row_checksum('{}'", self.name);
        for column in self.columns {
            let other = instead.iter().find(|(name, _)| name == column);
            let _ = match other {
                Some((_, other)) => write!(sql, ", {other}"),
                None => write!(sql, ", {of}{column}"),
            };
        }
        sql.push(')');
        sql
    }

    /// In SQL, whether a row is what was written.
    pub(super) fn intact(&self, of: &str) -> String {
        format!("{of}checksum = {}", self.expression(of, &[]))
    }

    /// `UPDATE …` of the rows that are what was written; the others stay as they are.
    pub(super) fn update(&self, sets: &[(&str, &str)], condition: &str) -> String {
        let number = self.number();
        let row = self.row_names("");
        let mut places = String::new();
        let stored: Vec<(&str, String)> = sets
            .iter()
            .map(|&(column, value)| {
                let place = self.hidden.iter().position(|(name, _)| *name == column);
                let keep = place.and_then(|place| self.hidden.get(place));
                let Some((place, (_, keep))) = place.zip(keep) else {
                    return (column, value.into());
                };
                let _ = write!(places, ", {place}, {value}");
                let value = match keep {
                    Keep::Null => format!("iif(plain(), {value}, NULL)"),
                    Keep::Text => format!("iif(plain(), {value}, '')"),
                    Keep::Blob => format!("iif(plain(), {value}, x'')"),
                    Keep::Json => format!("iif(plain() OR {value} = 'null', {value}, '')"),
                    Keep::Token => format!("patient_token({value})"),
                    Keep::Digest => format!("digest_token({value})"),
                };
                (column, value)
            })
            .collect();
        let mut sql = format!("UPDATE {} SET ", self.name);
        for (column, value) in &stored {
            let _ = write!(sql, "{column} = {value}, ");
        }
        if !places.is_empty() {
            let _ = write!(
                sql,
                "sealed = iif(plain(), NULL, resealed({number}, sealed{row}{places})), "
            );
        }
        let stored: Vec<(&str, &str)> = stored
            .iter()
            .map(|(column, value)| (*column, value.as_str()))
            .collect();
        let _ = write!(
            sql,
            "checksum = {} WHERE ({condition}) AND {}",
            self.expression("", &stored),
            self.intact("")
        );
        if !places.is_empty() {
            let _ = write!(sql, " AND (plain() OR opens({number}, sealed{row}))");
        }
        sql
    }
}

/// A checksum on its way.
pub(super) struct Sum(SipHasher13);

impl Sum {
    pub(super) fn of(table: &str) -> Self {
        let mut sum = Self(SipHasher13::new());
        sum.add(ValueRef::Text(table.as_bytes()));
        sum
    }

    /// Type, length, value: no two rows are alike in what is added.
    pub(super) fn add(&mut self, value: ValueRef<'_>) {
        let mut bytes = |kind: u64, bytes: &[u8]| {
            // As bytes: the same on every machine.
            let head = (bytes.len() as u64) << 3 | kind;
            self.0.write(&head.to_le_bytes());
            self.0.write(bytes);
        };
        match value {
            ValueRef::Null => bytes(0, &[]),
            ValueRef::Integer(number) => bytes(1, &number.to_le_bytes()),
            ValueRef::Real(number) => bytes(2, &number.to_bits().to_le_bytes()),
            ValueRef::Text(text) => bytes(3, text),
            ValueRef::Blob(blob) => bytes(4, blob),
        }
    }

    pub(super) fn finish(self) -> i64 {
        self.0.finish().cast_signed()
    }
}

/// Makes `row_checksum(table, …)` known to a connection.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_checksum", -1, flags, |context| {
        let mut sum = Sum(SipHasher13::new());
        for index in 0..context.len() {
            sum.add(context.get_raw(index));
        }
        Ok(sum.finish())
    })
}

/// Makes every checksum anew from what the rows say now.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn reseal(connection: &Connection) -> rusqlite::Result<()> {
    register(connection)?;
    for table in TABLES {
        let sum = table.expression("", &[]);
        connection.execute(&format!("UPDATE {} SET checksum = {sum}", table.name), [])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tables::COUNTS;
    use super::*;

    #[test]
    fn values_do_not_run_into_each_other() {
        let sum = |values: &[ValueRef<'_>]| {
            let mut sum = Sum::of("t");
            for value in values {
                sum.add(*value);
            }
            sum.finish()
        };
        let all = [
            sum(&[ValueRef::Text(b"ab"), ValueRef::Text(b"c")]),
            sum(&[ValueRef::Text(b"a"), ValueRef::Text(b"bc")]),
            sum(&[ValueRef::Blob(b"ab"), ValueRef::Text(b"c")]),
            sum(&[ValueRef::Null, ValueRef::Text(b"")]),
            sum(&[ValueRef::Text(b""), ValueRef::Null]),
            sum(&[ValueRef::Integer(0), ValueRef::Null]),
            sum(&[ValueRef::Real(0.0), ValueRef::Null]),
        ];
        let distinct: std::collections::HashSet<i64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    /// What is on disk must be readable by every later version.
    #[test]
    fn the_checksum_is_this_one_for_ever() {
        let count: [&dyn ToSql; 3] = [&"ORM", &7_i64, &"in"];
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        let in_sql: i64 = connection
            .query_row(
                "SELECT row_checksum('message_counts', 'ORM', 7, 'in')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(COUNTS.sum(&count).unwrap(), in_sql);
        assert_eq!(in_sql, 4_678_153_845_492_144_409);
    }

    #[test]
    fn every_column_of_every_table_is_covered() {
        let directory = tempfile::tempdir().unwrap();
        drop(crate::SqliteStore::open(directory.path()).unwrap());
        let connection = Connection::open(directory.path().join("medsynapse.db")).unwrap();
        for table in TABLES {
            let mut there: Vec<String> = connection
                .prepare("SELECT name FROM pragma_table_info(?1)")
                .unwrap()
                .query_map([table.name], |row| row.get(0))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            there.sort();
            let mut covered = table.columns.to_vec();
            covered.push("checksum");
            // What it says is authenticated.
            covered.extend((!table.hidden.is_empty()).then_some("sealed"));
            let hidden = table.keeps().flatten().count();
            assert_eq!(hidden, table.hidden.len(), "hidden in the order of columns");
            assert_eq!(table.row.is_empty(), table.hidden.is_empty());
            match table.name {
                // Its digest is covered.
                "messages" => covered.push("raw"),
                // The number of a row that nobody refers to.
                "changes" => covered.push("id"),
                _ => {}
            }
            covered.sort_unstable();
            assert_eq!(there, covered, "{}", table.name);
        }
    }
}
