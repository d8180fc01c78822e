//! The columns of the tables, and the statements that are made of them.

use std::fmt::Write as _;

use medsynapse::Attribute;

use super::rows::ORDER_TAIL;

/// The lock of the log, taken by who must have it alone. It is theirs who use the same tables.
pub(super) const LOCK: &str =
    "pg_advisory_xact_lock(1212953399, current_schema()::regnamespace::oid::int)";
/// Begins a transaction that has the log alone.
pub(super) const LOCK_ALONE: &str = "BEGIN; \
    SELECT pg_advisory_xact_lock(1212953399, current_schema()::regnamespace::oid::int)";
/// Begins one beside others who lock the keys of what they do.
pub(super) const LOCK_SHARED: &str = "BEGIN; \
    SELECT pg_advisory_xact_lock_shared(1212953399, current_schema()::regnamespace::oid::int)";
/// Ends a transaction in which nothing is to stay, and gives back what a session may hold beyond
/// its end: the lock under which turns are given out, where `log_turn` was cut short.
pub(super) const ROLLBACK: &str = "ROLLBACK; SELECT pg_advisory_unlock_all()";
/// Locks keys, and those of the patients of orders, in one order for everybody; gives the patients.
pub(super) const LOCK_KEYS: &str = "SELECT patient, pg_advisory_xact_lock(key) FROM \
    (SELECT DISTINCT ON (key) key, patient FROM \
    (SELECT hashtextextended(k, current_schema()::regnamespace::oid::bigint) AS key, \
    NULL::text COLLATE \"C\" AS patient FROM unnest($1::text[]) AS k UNION ALL \
    SELECT hashtextextended('P' || patient_id, current_schema()::regnamespace::oid::bigint), \
    patient_id COLLATE \"C\" FROM orders WHERE accession_number = ANY ($2::text[])) AS keys \
    ORDER BY key, patient NULLS LAST) AS sorted";
/// Takes a turn; see the function in the migrations.
pub(super) const TURN: &str = "SELECT turn, last_entry FROM log_turn($1)";
/// Ends a turn.
pub(super) const CLOSE: &str = "SELECT log_close($1, $2, $3, $4, $5)";
/// The same as a lock of the session, for migrations.
pub(super) const MIGRATION_LOCK: &str = "1212953400, current_schema()::regnamespace::oid::int";

/// `INSERT` of rows whose columns come as arrays.
pub(super) fn insert(table: &str, columns: &[(&str, &str)], more: &str) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let arrays: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, (_, kind))| format!("${}::{kind}[]", index + 1))
        .collect();
    format!(
        "INSERT INTO {table} ({}) SELECT * FROM unnest({}){more}",
        names.join(", "),
        arrays.join(", ")
    )
}

/// What an upsert does with a row that is there: every column but the key is written anew, unless
/// a later entry of the log has written it.
pub(super) fn newest(columns: &[(&str, &str)], table: &str, key: &str, version: &str) -> String {
    let mut sql = format!(" ON CONFLICT ({key}) DO UPDATE SET ");
    for (name, _) in columns.iter().filter(|(name, _)| *name != key) {
        // Writing to a String cannot fail.
        let _ = write!(sql, "{name} = excluded.{name}, ");
    }
    sql.truncate(sql.len() - 2);
    let _ = write!(sql, " WHERE {table}.{version} <= excluded.{version}");
    sql
}

pub(super) const MESSAGES: [(&str, &str); 26] = [
    ("id", "bigint"),
    ("direction", "text"),
    ("received_at", "bigint"),
    ("transport", "text"),
    ("peer", "text"),
    ("sending_application", "text"),
    ("sending_facility", "text"),
    ("sent_at", "text"),
    ("message_code", "text"),
    ("trigger_event", "text"),
    ("control_id", "text"),
    ("version", "text"),
    ("accession_number", "text"),
    ("patient_id", "text"),
    ("patient_name", "text"),
    ("ack_code", "text"),
    ("ack_text", "text"),
    ("effect", "text"),
    ("warning_count", "integer"),
    ("retransmissions", "integer"),
    ("size", "bigint"),
    ("digest", "bytea"),
    ("findings", "text"),
    ("warnings", "text"),
    ("ack", "bytea"),
    ("raw", "bytea"),
];

pub(super) const COUNTS: [(&str, &str); 3] = [
    ("direction", "text"),
    ("message_code", "text"),
    ("messages", "bigint"),
];

/// The types of the columns of an order behind its attributes.
const ORDER_TYPES: [&str; 14] = [
    "text", "text", "boolean", "bigint", "text", "text", "bytea", "bytea", "bytea", "bigint",
    "bigint", "bigint", "bigint", "bigint",
];

pub(super) fn order_columns() -> Vec<(&'static str, &'static str)> {
    let attributes = Attribute::ALL.map(|attribute| (attribute.row().column, "text"));
    let tail = ORDER_TAIL.split(", ").zip(ORDER_TYPES);
    attributes.into_iter().chain(tail).collect()
}

pub(super) const CANCELLED: [(&str, &str); 8] = [
    ("accession_number", "text"),
    ("patient_id", "text"),
    ("study_instance_uid", "text"),
    ("state", "text"),
    ("created_at", "bigint"),
    ("cancelled_at", "bigint"),
    ("created_by", "bigint"),
    ("cancelled_by", "bigint"),
];

pub(super) const REPORTS: [(&str, &str); 14] = [
    ("accession_number", "text"),
    ("version", "integer"),
    ("patient_id", "text"),
    ("format", "text"),
    ("text", "text"),
    ("date", "text"),
    ("status", "text"),
    ("physician_id", "text"),
    ("physician_name", "text"),
    ("segment_delimiters", "bytea"),
    ("segment_charset", "bytea"),
    ("segments", "bytea"),
    ("updated_at", "bigint"),
    ("written_by", "bigint"),
];

pub(super) const PATIENTS: [(&str, &str); 7] = [
    ("patient_id", "text"),
    ("name", "text"),
    ("sex", "text"),
    ("birth_date", "text"),
    ("merged_into", "text"),
    ("updated_at", "bigint"),
    ("updated_by", "bigint"),
];

pub(super) const CHANGES: [(&str, &str); 7] = [
    ("id", "bigint"),
    ("entry_id", "bigint"),
    ("at", "bigint"),
    ("patient_id", "text"),
    ("accession_number", "text"),
    ("merged_into", "text"),
    ("fields", "text"),
];

pub(super) const ACTIONS: [(&str, &str); 11] = [
    ("id", "bigint"),
    ("at", "bigint"),
    ("actor", "text"),
    ("kind", "text"),
    ("accession_number", "text"),
    ("outcome", "text"),
    ("idempotency_key", "text"),
    ("detail", "text"),
    ("body", "bytea"),
    ("events", "text"),
    ("digest", "bytea"),
];

pub(super) const OUTBOX_COLUMNS: [(&str, &str); 13] = [
    ("message_id", "bigint"),
    ("destination", "text"),
    ("state", "text"),
    ("accession_number", "text"),
    ("study_status", "text"),
    ("with_text", "boolean"),
    ("caused_by", "bigint"),
    ("queued_at", "bigint"),
    ("settled_at", "bigint"),
    ("tries", "integer"),
    ("last_try_at", "bigint"),
    ("last_reason", "text"),
    ("position", "bigint"),
];

pub(super) const DELIVERIES: [(&str, &str); 7] = [
    ("id", "bigint"),
    ("message_id", "bigint"),
    ("at", "bigint"),
    ("took", "bigint"),
    ("outcome", "text"),
    ("reason", "text"),
    ("answer", "bytea"),
];

pub(super) const PROCEDURES: [(&str, &str); 10] = [
    ("sop_instance_uid", "text"),
    ("state", "text"),
    ("station_ae_title", "text"),
    ("study_instance_uid", "text"),
    ("accession_numbers", "text"),
    ("dataset", "bytea"),
    ("created_at", "bigint"),
    ("updated_at", "bigint"),
    ("created_by", "bigint"),
    ("updated_by", "bigint"),
];

/// A statement whose parameters count from `by` on.
pub(super) fn shift(sql: &str, by: usize) -> String {
    let mut parts = sql.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let number = number.parse::<usize>().map_or(0, |number| number + by);
        // Writing to a String cannot fail.
        let _ = write!(text, "${number}{rest}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::rows::{ORDER, OUTBOX, PROCEDURE, REPORT};
    use super::*;

    #[test]
    fn what_is_read_and_what_is_written_are_the_same_columns() {
        let names = |columns: &[(&str, &str)]| {
            let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            names.join(", ")
        };
        assert_eq!(names(&order_columns()), *ORDER);
        assert_eq!(names(&REPORTS), REPORT);
        assert_eq!(names(&OUTBOX_COLUMNS), OUTBOX);
        assert_eq!(names(&PROCEDURES), PROCEDURE);
    }

    #[test]
    fn parameters_are_counted_on() {
        assert_eq!(
            shift("a = $1 AND b = ANY ($12)", 3),
            "a = $4 AND b = ANY ($15)"
        );
        assert_eq!(shift("nothing", 3), "nothing");
    }
}
