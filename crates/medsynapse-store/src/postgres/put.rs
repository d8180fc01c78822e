//! [`Put`]: what a batch writes, all of it by one statement.

use super::sql::{
    ACTIONS, CANCELLED, CHANGES, COUNTS, DELIVERIES, MESSAGES, OUTBOX_COLUMNS, PATIENTS,
    PROCEDURES, REPORTS, insert, newest, order_columns, shift,
};

/// Rows of one sort. All of one statement see what was there before it, and no two of them write
/// the same row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Put {
    Messages,
    Counts,
    Resent,
    Answers,
    Orders,
    DroppedOrders,
    Cancelled,
    MovedReports,
    Reports,
    Patients,
    Changes,
    Actions,
    Outbox,
    Deliveries,
    Procedures,
    Head,
}

/// All of them, in the order of their bits.
const PUTS: [Put; 16] = [
    Put::Messages,
    Put::Counts,
    Put::Resent,
    Put::Answers,
    Put::Orders,
    Put::DroppedOrders,
    Put::Cancelled,
    Put::MovedReports,
    Put::Reports,
    Put::Patients,
    Put::Changes,
    Put::Actions,
    Put::Outbox,
    Put::Deliveries,
    Put::Procedures,
    Put::Head,
];

impl Put {
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The statement, and how many parameters it has.
    fn text(self) -> (String, usize) {
        match self {
            Self::Messages => (insert("messages", &MESSAGES, ""), MESSAGES.len()),
            Self::Counts => {
                let then = " ON CONFLICT (direction, message_code) \
                    DO UPDATE SET messages = message_counts.messages + excluded.messages";
                (insert("message_counts", &COUNTS, then), COUNTS.len())
            }
            Self::Resent => (
                "UPDATE messages m SET retransmissions = retransmissions + r.times \
                 FROM unnest($1::bigint[], $2::integer[]) AS r (id, times) WHERE m.id = r.id"
                    .into(),
                2,
            ),
            Self::Answers => (
                "UPDATE messages m SET ack_code = r.code, ack_text = r.text, \
                 ack = r.ack FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) \
                 AS r (id, code, text, ack) WHERE m.id = r.id"
                    .into(),
                4,
            ),
            Self::Orders => {
                let columns = order_columns();
                upsert("orders", &columns, "accession_number", "updated_by")
            }
            Self::DroppedOrders => (
                "DELETE FROM orders WHERE accession_number = ANY ($1::text[])".into(),
                1,
            ),
            Self::Cancelled => upsert(
                "cancelled_orders",
                &CANCELLED,
                "accession_number",
                "cancelled_by",
            ),
            Self::MovedReports => (
                "UPDATE reports r SET patient_id = m.into_id \
                 FROM unnest($1::text[], $2::text[]) AS m (from_id, into_id) \
                 WHERE r.patient_id = m.from_id"
                    .into(),
                2,
            ),
            Self::Reports => (insert("reports", &REPORTS, ""), REPORTS.len()),
            Self::Patients => upsert("patients", &PATIENTS, "patient_id", "updated_by"),
            Self::Changes => (insert("changes", &CHANGES, ""), CHANGES.len()),
            Self::Actions => (insert("actions", &ACTIONS, ""), ACTIONS.len()),
            Self::Outbox => {
                let then = " ON CONFLICT (message_id) DO UPDATE SET state = excluded.state, \
                    settled_at = excluded.settled_at, tries = excluded.tries, \
                    last_try_at = excluded.last_try_at, last_reason = excluded.last_reason, \
                    position = excluded.position";
                (
                    insert("outbox", &OUTBOX_COLUMNS, then),
                    OUTBOX_COLUMNS.len(),
                )
            }
            Self::Deliveries => (insert("deliveries", &DELIVERIES, ""), DELIVERIES.len()),
            Self::Procedures => upsert(
                "procedure_steps",
                &PROCEDURES,
                "sop_instance_uid",
                "updated_by",
            ),
            Self::Head => (
                "UPDATE log_head SET last_entry = $1::bigint, last_order = $2::bigint, \
                 last_change = $3::bigint WHERE last_entry <= $1::bigint"
                    .into(),
                3,
            ),
        }
    }
}

fn upsert(table: &str, columns: &[(&str, &str)], key: &str, version: &str) -> (String, usize) {
    let then = newest(columns, table, key, version);
    (insert(table, columns, &then), columns.len())
}

/// The statement that writes what the bits say, in their order, and tells those who listen: its
/// last parameter is what they are told.
pub(super) fn text(puts: u32) -> String {
    let (mut arms, mut parameters) = (Vec::new(), 0);
    for put in PUTS.into_iter().filter(|put| puts & put.bit() != 0) {
        let (text, width) = put.text();
        arms.push(format!(
            "put{} AS ({})",
            put as u32,
            shift(&text, parameters)
        ));
        parameters += width;
    }
    format!(
        "WITH {} SELECT pg_notify('medsynapse_' || current_schema()::regnamespace::oid, ${}::text)",
        arms.join(", "),
        parameters + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_put_has_its_bit_and_its_parameters() {
        for (index, put) in PUTS.into_iter().enumerate() {
            assert_eq!(put as usize, index, "{put:?}");
            let (text, parameters) = put.text();
            assert!(text.contains(&format!("${parameters}")), "{put:?}");
            assert!(!text.contains(&format!("${}", parameters + 1)), "{put:?}");
        }
    }
}
