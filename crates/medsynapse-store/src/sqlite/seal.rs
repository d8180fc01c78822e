//! Checksums of rows: what the disk gives back otherwise than it was written is not served.
//!
//! Every row ends in a checksum of the name of its table and of its columns; of a message
//! the digest stands for the bytes. It is SipHash-1-3 without a key: it finds what a disk or a
//! cable did, and not what somebody did on purpose. Rows are checked by whoever reads them;
//! changing a row keeps it as it was if it is damaged, so that damage is never sealed over.

use std::fmt::Write as _;
use std::hash::Hasher;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row};
use siphasher::sip::SipHasher13;

/// The columns of a table that its checksum covers, in this order.
pub(super) struct Sealed {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    /// The column that a damaged row is called by: the number of an entry of the log, never
    /// anything of a patient.
    called: usize,
}

const fn sealed(name: &'static str, called: usize, columns: &'static [&'static str]) -> Sealed {
    Sealed {
        name,
        columns,
        called,
    }
}

pub(super) const MESSAGES: Sealed = sealed(
    "messages",
    0,
    &[
        "id",
        "received_at",
        "transport",
        "peer",
        "sending_application",
        "sending_facility",
        "sent_at",
        "message_code",
        "trigger_event",
        "control_id",
        "accession_number",
        "patient_id",
        "patient_name",
        "ack_code",
        "ack_text",
        "warning_count",
        "retransmissions",
        "size",
        "direction",
        "version",
        "effect",
        "digest",
        "findings",
        "warnings",
        "ack",
    ],
);

pub(super) const COUNTS: Sealed = sealed(
    "message_counts",
    1,
    &["message_code", "messages", "direction"],
);

pub(super) const PATIENTS: Sealed = sealed(
    "patients",
    6,
    &[
        "patient_id",
        "name",
        "sex",
        "birth_date",
        "merged_into",
        "updated_at",
        "updated_by",
    ],
);

pub(super) const ORDERS: Sealed = sealed(
    "orders",
    36,
    &[
        "accession_number",
        "patient_id",
        "patient_name",
        "patient_sex",
        "modality",
        "scheduled_station_ae_title",
        "scheduled_station_name",
        "scheduled_start",
        "scheduled_procedure_step_id",
        "scheduled_procedure_step_description",
        "requested_procedure_id",
        "requested_procedure_description",
        "admission_id",
        "patient_weight",
        "birth_date",
        "referring_physician",
        "requesting_physician",
        "performing_physician",
        "location",
        "reason",
        "priority",
        "institution_name",
        "study_instance_uid",
        "state",
        "report_status",
        "completion_told",
        "study_seen_at",
        "sending_application",
        "sending_facility",
        "segment_delimiters",
        "segment_charset",
        "segments",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
        "id",
    ],
);

pub(super) const CANCELLED: Sealed = sealed(
    "cancelled_orders",
    7,
    &[
        "accession_number",
        "patient_id",
        "study_instance_uid",
        "state",
        "created_at",
        "cancelled_at",
        "created_by",
        "cancelled_by",
    ],
);

pub(super) const REPORTS: Sealed = sealed(
    "reports",
    12,
    &[
        "version",
        "patient_id",
        "format",
        "text",
        "date",
        "status",
        "physician_id",
        "physician_name",
        "segment_delimiters",
        "segment_charset",
        "segments",
        "updated_at",
        "written_by",
        "accession_number",
    ],
);

pub(super) const CHANGES: Sealed = sealed(
    "changes",
    0,
    &[
        "entry_id",
        "at",
        "patient_id",
        "accession_number",
        "merged_into",
        "fields",
    ],
);

pub(super) const ACTIONS: Sealed = sealed(
    "actions",
    0,
    &[
        "id",
        "at",
        "actor",
        "kind",
        "accession_number",
        "outcome",
        "idempotency_key",
        "detail",
        "body",
        "events",
        "digest",
    ],
);

pub(super) const OUTBOX: Sealed = sealed(
    "outbox",
    0,
    &[
        "message_id",
        "destination",
        "state",
        "accession_number",
        "study_status",
        "with_text",
        "caused_by",
        "queued_at",
        "settled_at",
        "tries",
        "last_try_at",
        "last_reason",
        "position",
    ],
);

pub(super) const DELIVERIES: Sealed = sealed(
    "deliveries",
    0,
    &[
        "id",
        "message_id",
        "at",
        "took",
        "outcome",
        "reason",
        "answer",
    ],
);

pub(super) const PROCEDURES: Sealed = sealed(
    "procedure_steps",
    9,
    &[
        "sop_instance_uid",
        "state",
        "station_ae_title",
        "study_instance_uid",
        "accession_numbers",
        "dataset",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
    ],
);

/// All of them.
pub(super) const TABLES: [&Sealed; 11] = [
    &MESSAGES,
    &COUNTS,
    &PATIENTS,
    &ORDERS,
    &CANCELLED,
    &REPORTS,
    &CHANGES,
    &ACTIONS,
    &OUTBOX,
    &DELIVERIES,
    &PROCEDURES,
];

/// A row that is not what was written, on its way through an error of the database.
#[derive(Debug, thiserror::Error)]
#[error("row {row} of {table} does not match its checksum")]
pub(crate) struct Damaged {
    pub(crate) table: &'static str,
    pub(crate) row: i64,
}

impl Sealed {
    /// How many columns [`select`](Self::select) names; what a query asks for besides stands
    /// behind them.
    pub(super) const fn width(&self) -> usize {
        self.columns.len() + 1
    }

    /// The columns and the checksum, for [`check`](Self::check). `of` is empty, or the alias
    /// of the table with a dot.
    pub(super) fn select(&self, of: &str) -> String {
        let mut sql = String::with_capacity(512);
        for column in self.columns {
            // Writing to a String cannot fail.
            let _ = write!(sql, "{of}{column}, ");
        }
        let _ = write!(sql, "{of}checksum");
        sql
    }

    /// Whether the columns from `first` on are what was written.
    pub(super) fn check(&self, row: &Row<'_>, first: usize) -> rusqlite::Result<()> {
        let mut sum = Sum::of(self.name);
        for index in first..first + self.columns.len() {
            sum.add(row.get_ref(index)?);
        }
        let kept = row.get_ref(first + self.columns.len())?;
        if kept == ValueRef::Integer(sum.finish()) {
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

    /// `INSERT INTO …` for [`put`](Self::put); `more` are columns that the checksum does
    /// not cover.
    pub(super) fn insert(&self, more: &[&str]) -> String {
        let mut names = self.columns.join(", ");
        names.push_str(", checksum");
        for name in more {
            let _ = write!(names, ", {name}");
        }
        let count = self.width() + more.len();
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
            match value.to_sql()? {
                ToSqlOutput::Borrowed(value) => sum.add(value),
                ToSqlOutput::Owned(value) => sum.add(ValueRef::from(&value)),
                _ => return Err(rusqlite::Error::InvalidQuery),
            }
        }
        Ok(sum.finish())
    }

    /// Runs [`insert`](Self::insert), or what stands for it, with the values of the columns and
    /// their checksum.
    pub(super) fn put(
        &self,
        connection: &Connection,
        insert: &str,
        values: &[&dyn ToSql],
        more: &[&dyn ToSql],
    ) -> rusqlite::Result<()> {
        let sum = self.sum(values)?;
        let sum: &dyn ToSql = &sum;
        let all = values
            .iter()
            .copied()
            .chain([sum])
            .chain(more.iter().copied());
        connection
            .prepare_cached(insert)?
            .execute(rusqlite::params_from_iter(all))?;
        Ok(())
    }

    /// `INSERT … ON CONFLICT (key) DO UPDATE` of every other column but `id`.
    pub(super) fn upsert(&self, key: &str) -> String {
        let mut sql = self.insert(&[]);
        let _ = write!(sql, " ON CONFLICT ({key}) DO UPDATE SET ");
        for column in self.columns {
            // To write the number of a row, even the same, is to move the row.
            if *column == key || *column == "id" {
                continue;
            }
            let _ = write!(sql, "{column} = excluded.{column}, ");
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
        let mut sql = format!("UPDATE {} SET ", self.name);
        for (column, value) in sets {
            let _ = write!(sql, "{column} = {value}, ");
        }
        let _ = write!(
            sql,
            "checksum = {} WHERE ({condition}) AND {}",
            self.expression("", sets),
            self.intact("")
        );
        sql
    }
}

/// A checksum on its way.
struct Sum(SipHasher13);

impl Sum {
    fn of(table: &str) -> Self {
        let mut sum = Self(SipHasher13::new());
        sum.add(ValueRef::Text(table.as_bytes()));
        sum
    }

    /// Type, length, value: no two rows are alike in what is added.
    fn add(&mut self, value: ValueRef<'_>) {
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

    fn finish(self) -> i64 {
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
