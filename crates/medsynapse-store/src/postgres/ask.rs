//! [`Ask`] and [`Table`]: what a batch reads.

use std::fmt::Write as _;

use super::rows::{ORDER, OUTBOX, PROCEDURE, REPORT};
use super::sql::shift;

/// Narrow rows, which are all read by one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    /// The last number of the log that was given out; who asks has the log alone.
    Entry,
    /// Of each identity the message itself, else any message under its Message Control ID.
    Known,
    /// What stays of cancelled orders.
    Cancelled,
    /// The last version of reports.
    Versions,
    /// Patients by their ids, and those of orders.
    Patients,
    /// Actions by their idempotency keys, with what they have sent.
    Actions,
}

/// All of them, in the order of their bits.
const ASKS: [Ask; 6] = [
    Ask::Entry,
    Ask::Known,
    Ask::Cancelled,
    Ask::Versions,
    Ask::Patients,
    Ask::Actions,
];

/// The columns behind the first, which says what was asked for.
const SLOTS: [&str; 11] = [
    "bigint", "bigint", "bigint", "text", "text", "text", "text", "text", "bytea", "boolean",
    "bigint[]",
];
/// Where a row has its first number, text, bytes, truth and list.
pub(super) const NUMBER: usize = 1;
pub(super) const TEXT: usize = 4;
pub(super) const BYTES: usize = 9;
pub(super) const TRUTH: usize = 10;
pub(super) const LIST: usize = 11;

impl Ask {
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }

    pub(super) fn from_bit(number: i32) -> Option<Self> {
        ASKS.get(usize::try_from(number).ok()?).copied()
    }

    /// How many parameters it has.
    const fn parameters(self) -> usize {
        match self {
            Self::Entry => 0,
            Self::Known => 4,
            Self::Patients => 2,
            Self::Cancelled | Self::Versions | Self::Actions => 1,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Entry => self.arm(
                &[(NUMBER, "last_value - CASE WHEN is_called THEN 0 ELSE 1 END")],
                "log_entries",
            ),
            Self::Known => self.arm(
                &[
                    (NUMBER, "k.n"),
                    (NUMBER + 1, "m.id"),
                    (TEXT, "m.ack_code"),
                    (TEXT + 1, "m.ack_text"),
                    (TRUTH, "m.same"),
                ],
                "unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) \
                 WITH ORDINALITY AS k (control_id, application, facility, digest, n) \
                 CROSS JOIN LATERAL ((SELECT id, ack_code, ack_text, TRUE AS same FROM messages \
                 WHERE control_id = k.control_id AND sending_application = k.application \
                 AND sending_facility = k.facility AND digest = k.digest \
                 AND control_id <> '' AND direction = 'in' LIMIT 1) \
                 UNION ALL (SELECT id, ack_code, ack_text, FALSE FROM messages \
                 WHERE control_id = k.control_id AND sending_application = k.application \
                 AND sending_facility = k.facility \
                 AND control_id <> '' AND direction = 'in' LIMIT 1) LIMIT 1) m",
            ),
            Self::Cancelled => self.arm(
                &[(TEXT, "accession_number"), (TEXT + 1, "study_instance_uid")],
                "cancelled_orders WHERE accession_number = ANY ($1::text[])",
            ),
            Self::Versions => self.arm(
                &[(NUMBER, "max(version)"), (TEXT, "accession_number")],
                "reports WHERE accession_number = ANY ($1::text[]) GROUP BY accession_number",
            ),
            Self::Patients => self.arm(
                &[
                    (TEXT, "patient_id"),
                    (TEXT + 1, "name"),
                    (TEXT + 2, "sex"),
                    (TEXT + 3, "birth_date"),
                    (TEXT + 4, "merged_into"),
                ],
                "patients WHERE patient_id = ANY (ARRAY (SELECT unnest($1::text[]) UNION ALL \
                 SELECT o.patient_id FROM orders o WHERE o.accession_number = ANY ($2::text[])))",
            ),
            Self::Actions => self.arm(
                &[
                    (NUMBER, "id"),
                    (TEXT, "idempotency_key"),
                    (TEXT + 1, "outcome"),
                    (BYTES, "digest"),
                    (
                        LIST,
                        "ARRAY (SELECT message_id FROM outbox o WHERE o.caused_by = a.id \
                         ORDER BY message_id)",
                    ),
                ],
                "actions a WHERE idempotency_key = ANY ($1::text[])",
            ),
        }
    }

    fn arm(self, values: &[(usize, &str)], from: &str) -> String {
        let mut sql = format!("SELECT {}", self as u32);
        for (index, kind) in SLOTS.iter().enumerate() {
            let value = values.iter().find(|(slot, _)| *slot == index + NUMBER);
            // Writing to a String cannot fail.
            let _ = write!(
                sql,
                ", {}::{kind}",
                value.map_or("NULL", |(_, value)| value)
            );
        }
        let _ = write!(sql, " FROM {from}");
        sql
    }
}

/// The statement that reads what the bits say.
pub(super) fn text(asks: u32) -> String {
    let (mut arms, mut parameters) = (Vec::new(), 0);
    for ask in ASKS.into_iter().filter(|ask| asks & ask.bit() != 0) {
        arms.push(format!("({})", shift(&ask.text(), parameters)));
        parameters += ask.parameters();
    }
    arms.join(" UNION ALL ")
}

/// Rows that are read by a statement of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Orders,
    OrdersOf,
    Reports,
    Outbox,
    Procedures,
    /// The fences of the lanes of messages. Shared with others who settle; who wants to take the
    /// lane waits for the commit, and then sees what was settled.
    Lanes,
}

impl Table {
    pub(super) fn text(self) -> String {
        match self {
            Self::Orders => {
                format!(
                    "SELECT {} FROM orders WHERE accession_number = ANY ($1)",
                    *ORDER
                )
            }
            Self::OrdersOf => format!("SELECT {} FROM orders WHERE patient_id = ANY ($1)", *ORDER),
            Self::Reports => format!(
                "SELECT DISTINCT ON (accession_number) {REPORT} FROM reports \
                 WHERE accession_number = ANY ($1) ORDER BY accession_number, version DESC"
            ),
            Self::Outbox => format!("SELECT {OUTBOX} FROM outbox WHERE message_id = ANY ($1)"),
            Self::Procedures => {
                format!("SELECT {PROCEDURE} FROM procedure_steps WHERE sop_instance_uid = ANY ($1)")
            }
            Self::Lanes => "SELECT destination, fence FROM lanes WHERE destination IN \
                (SELECT destination FROM outbox WHERE message_id = ANY ($1)) \
                ORDER BY destination FOR SHARE"
                .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ask_has_its_bit_and_its_parameters() {
        for (index, ask) in ASKS.into_iter().enumerate() {
            assert_eq!(ask as usize, index, "{ask:?}");
            assert_eq!(Ask::from_bit(index.try_into().unwrap()), Some(ask));
            let text = ask.text();
            assert!(
                !text.contains(&format!("${}", ask.parameters() + 1)),
                "{ask:?}"
            );
            let last = format!("${}", ask.parameters());
            assert!(ask.parameters() == 0 || text.contains(&last), "{ask:?}");
        }
    }

    #[test]
    fn parameters_of_several_follow_each_other() {
        let sql = text(Ask::Known.bit() | Ask::Cancelled.bit() | Ask::Patients.bit());
        assert!(sql.contains("accession_number = ANY ($5::text[])"), "{sql}");
        assert!(sql.contains("unnest($6::text[])"), "{sql}");
        assert!(
            sql.contains("o.accession_number = ANY ($7::text[])"),
            "{sql}"
        );
    }
}
