//! The statements of the writer, prepared once a connection.

use std::fmt::Write as _;

use futures_util::future::try_join_all;
use medsynapse::Attribute;
use tokio_postgres::{Client, Statement};

use super::rows::{ORDER, ORDER_TAIL, OUTBOX, PROCEDURE, REPORT};
use crate::error::StoreError;

/// A statement of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sql {
    Head,
    Known,
    Orders,
    OrdersOf,
    Cancelled,
    Versions,
    Reports,
    Patients,
    Actions,
    Outbox,
    Procedures,
    Lanes,
    PutMessages,
    PutResent,
    PutAnswers,
    PutCounts,
    PutOrders,
    DropOrders,
    PutCancelled,
    MoveReports,
    PutReports,
    PutPatients,
    PutChanges,
    PutActions,
    PutOutbox,
    PutDeliveries,
    PutProcedures,
    PutHead,
    Tell,
}

/// All of them, in the order of their names.
const ALL: [Sql; 29] = [
    Sql::Head,
    Sql::Known,
    Sql::Orders,
    Sql::OrdersOf,
    Sql::Cancelled,
    Sql::Versions,
    Sql::Reports,
    Sql::Patients,
    Sql::Actions,
    Sql::Outbox,
    Sql::Procedures,
    Sql::Lanes,
    Sql::PutMessages,
    Sql::PutResent,
    Sql::PutAnswers,
    Sql::PutCounts,
    Sql::PutOrders,
    Sql::DropOrders,
    Sql::PutCancelled,
    Sql::MoveReports,
    Sql::PutReports,
    Sql::PutPatients,
    Sql::PutChanges,
    Sql::PutActions,
    Sql::PutOutbox,
    Sql::PutDeliveries,
    Sql::PutProcedures,
    Sql::PutHead,
    Sql::Tell,
];

/// The key of the lock that makes one log of all servers: it is theirs who use the same tables.
pub(super) const LOCK: &str =
    "pg_advisory_xact_lock(1212953399, current_schema()::regnamespace::oid::int)";
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
fn newest(columns: &[(&str, &str)], table: &str, key: &str, version: &str) -> String {
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

/// For each key the message itself, else any message under its Message Control ID.
const KNOWN: &str = "SELECT k.n, m.id, m.ack_code, m.ack_text, m.same \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) \
    WITH ORDINALITY AS k (control_id, application, facility, digest, n) \
    CROSS JOIN LATERAL ((SELECT id, ack_code, ack_text, TRUE AS same FROM messages \
    WHERE control_id = k.control_id AND sending_application = k.application \
    AND sending_facility = k.facility AND digest = k.digest \
    AND control_id <> '' AND direction = 'in' LIMIT 1) \
    UNION ALL (SELECT id, ack_code, ack_text, FALSE FROM messages \
    WHERE control_id = k.control_id AND sending_application = k.application \
    AND sending_facility = k.facility \
    AND control_id <> '' AND direction = 'in' LIMIT 1) LIMIT 1) m";

impl Sql {
    fn text(self) -> String {
        match self {
            Self::Head => "SELECT last_entry, last_order, last_change FROM log_head".into(),
            Self::Known => KNOWN.into(),
            Self::Orders => {
                format!(
                    "SELECT {} FROM orders WHERE accession_number = ANY ($1)",
                    *ORDER
                )
            }
            Self::OrdersOf => format!("SELECT {} FROM orders WHERE patient_id = ANY ($1)", *ORDER),
            Self::Cancelled => "SELECT accession_number, study_instance_uid FROM cancelled_orders \
                WHERE accession_number = ANY ($1)"
                .into(),
            Self::Versions => "SELECT accession_number, max(version) FROM reports \
                WHERE accession_number = ANY ($1) GROUP BY accession_number"
                .into(),
            Self::Reports => format!(
                "SELECT DISTINCT ON (accession_number) {REPORT} FROM reports \
                 WHERE accession_number = ANY ($1) ORDER BY accession_number, version DESC"
            ),
            Self::Patients => "SELECT patient_id, name, sex, birth_date, merged_into \
                FROM patients WHERE patient_id = ANY ($1)"
                .into(),
            Self::Actions => "SELECT idempotency_key, id, outcome, digest, \
                ARRAY (SELECT message_id FROM outbox o WHERE o.caused_by = a.id \
                ORDER BY message_id) FROM actions a WHERE idempotency_key = ANY ($1)"
                .into(),
            Self::Outbox => format!("SELECT {OUTBOX} FROM outbox WHERE message_id = ANY ($1)"),
            Self::Procedures => {
                format!("SELECT {PROCEDURE} FROM procedure_steps WHERE sop_instance_uid = ANY ($1)")
            }
            // Shared with others who settle; who wants to take the lane waits for the commit, and
            // then sees what was settled.
            Self::Lanes => "SELECT destination, fence FROM lanes WHERE destination IN \
                (SELECT destination FROM outbox WHERE message_id = ANY ($1)) \
                ORDER BY destination FOR SHARE"
                .into(),
            Self::PutMessages => insert("messages", &MESSAGES, ""),
            Self::PutResent => "UPDATE messages m SET retransmissions = retransmissions + r.times \
                FROM unnest($1::bigint[], $2::integer[]) AS r (id, times) WHERE m.id = r.id"
                .into(),
            Self::PutAnswers => "UPDATE messages m SET ack_code = r.code, ack_text = r.text, \
                ack = r.ack FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) \
                AS r (id, code, text, ack) WHERE m.id = r.id"
                .into(),
            Self::PutCounts => insert(
                "message_counts",
                &COUNTS,
                " ON CONFLICT (direction, message_code) \
                 DO UPDATE SET messages = message_counts.messages + excluded.messages",
            ),
            Self::PutOrders => {
                let columns = order_columns();
                let then = newest(&columns, "orders", "accession_number", "updated_by");
                insert("orders", &columns, &then)
            }
            Self::DropOrders => "DELETE FROM orders WHERE accession_number = ANY ($1)".into(),
            Self::PutCancelled => {
                let then = newest(
                    &CANCELLED,
                    "cancelled_orders",
                    "accession_number",
                    "cancelled_by",
                );
                insert("cancelled_orders", &CANCELLED, &then)
            }
            Self::MoveReports => "UPDATE reports r SET patient_id = m.into_id \
                FROM unnest($1::text[], $2::text[]) AS m (from_id, into_id) \
                WHERE r.patient_id = m.from_id"
                .into(),
            Self::PutReports => insert("reports", &REPORTS, ""),
            Self::PutPatients => {
                let then = newest(&PATIENTS, "patients", "patient_id", "updated_by");
                insert("patients", &PATIENTS, &then)
            }
            Self::PutChanges => insert("changes", &CHANGES, ""),
            Self::PutActions => insert("actions", &ACTIONS, ""),
            Self::PutOutbox => insert(
                "outbox",
                &OUTBOX_COLUMNS,
                " ON CONFLICT (message_id) DO UPDATE SET state = excluded.state, \
                 settled_at = excluded.settled_at, tries = excluded.tries, \
                 last_try_at = excluded.last_try_at, last_reason = excluded.last_reason, \
                 position = excluded.position",
            ),
            Self::PutDeliveries => insert("deliveries", &DELIVERIES, ""),
            Self::PutProcedures => {
                let then = newest(
                    &PROCEDURES,
                    "procedure_steps",
                    "sop_instance_uid",
                    "updated_by",
                );
                insert("procedure_steps", &PROCEDURES, &then)
            }
            Self::PutHead => "UPDATE log_head SET last_entry = $1, last_order = $2, \
                last_change = $3 WHERE last_entry <= $1"
                .into(),
            Self::Tell => "SELECT pg_notify('medsynapse_' || \
                current_schema()::regnamespace::oid, $1)"
                .into(),
        }
    }
}

/// The statements, prepared on a connection.
pub(super) struct Statements(Vec<Statement>);

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, StoreError> {
        let texts = ALL.map(Sql::text);
        Ok(Self(
            try_join_all(texts.iter().map(|text| client.prepare(text))).await?,
        ))
    }

    pub(super) fn get(&self, sql: Sql) -> Result<&Statement, StoreError> {
        // There is one for each.
        self.0
            .get(sql as usize)
            .ok_or_else(|| StoreError::Database("a statement is missing".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_stands_in_its_place() {
        for (index, sql) in ALL.into_iter().enumerate() {
            assert_eq!(sql as usize, index, "{sql:?}");
        }
    }

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
}
