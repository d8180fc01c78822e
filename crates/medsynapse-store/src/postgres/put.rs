//! [`Put`]: what a batch writes, all of it by one statement.

use super::sql::{
    ACTIONS, CANCELLED, CHANGES, CLOSE, DELIVERIES, MESSAGES, OUTBOX_COLUMNS, PATIENTS, PROCEDURES,
    REPORTS, insert, newest, order_columns, shift,
};

/// Rows of one sort. All of one statement see what was there before it, and no two of them write
/// the same row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Put {
    Messages,
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
}

/// All of them, in the order of their bits.
const PUTS: [Put; 14] = [
    Put::Messages,
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
];

impl Put {
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The statement, and how many parameters it has.
    fn text(self) -> (String, usize) {
        match self {
            Self::Messages => (insert("messages", &MESSAGES, ""), MESSAGES.len()),
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
                let (text, width) = upsert("orders", &columns, "accession_number", "updated_by");
                // New ones are numbered in the order in which they come.
                let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
                let all = names.join(", ");
                let numbered = names.iter().map(|name| match *name {
                    "id" => "coalesce(id, nextval('orders_ids'))",
                    name => name,
                });
                let numbered = numbered.collect::<Vec<_>>().join(", ");
                let select = format!("SELECT {numbered} FROM (SELECT * FROM unnest(");
                let text = text.replacen("SELECT * FROM unnest(", &select, 1).replacen(
                    " ON CONFLICT",
                    &format!(" AS o ({all})) AS o ON CONFLICT"),
                    1,
                );
                (text, width)
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
            Self::Changes => {
                // They get their numbers as they are written.
                let columns = CHANGES.get(1..).unwrap_or_default();
                (insert("changes", columns, ""), columns.len())
            }
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
        }
    }
}

fn upsert(table: &str, columns: &[(&str, &str)], key: &str, version: &str) -> (String, usize) {
    let then = newest(columns, table, key, version);
    (insert(table, columns, &then), columns.len())
}

/// The statement that writes what the bits say and then ends the turn; the last parameters are
/// those of `log_close`.
pub(super) fn text(puts: u32) -> String {
    let (mut arms, mut done, mut parameters) = (Vec::new(), Vec::new(), 0);
    for put in PUTS.into_iter().filter(|put| puts & put.bit() != 0) {
        let (text, width) = put.text();
        let (text, name) = (shift(&text, parameters), format!("put{}", put as u32));
        arms.push(format!("{name} AS ({text} RETURNING 1)"));
        done.push(format!("(SELECT count(*) FROM {name}) >= 0"));
        parameters += width;
    }
    let close = shift(CLOSE, parameters);
    if arms.is_empty() {
        return close;
    }
    // What is asked of the rows first has them written first.
    format!(
        "WITH {} {close} WHERE {}",
        arms.join(", "),
        done.join(" AND ")
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
