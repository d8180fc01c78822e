//! [`Desk`]: the rows of one transaction of SQLite, for the decisions.

use std::sync::LazyLock;

use medsynapse::{AccessionNumber, PatientId, Report};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::rows::{micros, odd};
use super::tables::{ACTIONS, CHANGES, COUNTS, DELIVERIES, MESSAGES, OUTBOX, PATIENTS, REPORTS};
use super::tombstones::Tombstones;
use super::{procedure, rows};
use crate::action::ActionOutcome;
use crate::decide::{
    self, ActionRow, ChangeRow, Entry, FirstAction, MessageRow, Moved, OutboxRow, PatientRow,
    ProcedureRow, Rows, Sender, Waiting,
};
use crate::error::StoreError;
use crate::outbox::OutboxState;
use crate::record::{Note, OrderRecord, ReportRecord};
use crate::vault::Vault;
use crate::work::{Delivery, DeliveryOutcome};

/// What the one writer knows without asking.
#[derive(Debug)]
pub(super) struct Known {
    next: Next,
    tombstones: Tombstones,
}

/// The numbers that come next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    entry: i64,
    order: i64,
}

impl Known {
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let entry = connection.query_row(
            "SELECT coalesce(max(id), 0) FROM (SELECT max(id) AS id FROM messages \
             UNION ALL SELECT max(id) FROM actions UNION ALL SELECT max(id) FROM deliveries)",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        let order = connection.query_row("SELECT coalesce(max(id), 0) FROM orders", [], |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(Self {
            next: Next {
                entry: entry.saturating_add(1),
                order: order.saturating_add(1),
            },
            tombstones: Tombstones::load(connection)?,
        })
    }

    /// What was written is there to stay.
    pub(super) const fn go_on(&mut self, next: Next) {
        self.next = next;
    }
}

/// The rows of one transaction.
pub(super) struct Desk<'t> {
    transaction: &'t Transaction<'t>,
    tombstones: &'t mut Tombstones,
    next: Next,
    vault: Option<&'t Vault>,
    /// How many messages there are more of each direction and code: counted once a commit.
    counts: Vec<(&'static str, String, i64)>,
}

impl<'t> Desk<'t> {
    pub(super) fn new(
        transaction: &'t Transaction<'t>,
        known: &'t mut Known,
        vault: Option<&'t Vault>,
    ) -> Self {
        Self {
            transaction,
            tombstones: &mut known.tombstones,
            next: known.next,
            vault,
            counts: Vec::new(),
        }
    }

    /// The next entry gets this number.
    pub(super) const fn go_on_from(&mut self, entry: i64) {
        self.next.entry = entry;
    }

    /// Writes what was put off.
    pub(super) fn finish(self) -> Result<Next, StoreError> {
        let mut statement = self.transaction.prepare_cached(&COUNT)?;
        for (direction, message_code, count) in &self.counts {
            statement.execute(params![message_code, count, direction])?;
        }
        Ok(self.next)
    }

    fn count(&mut self, direction: &'static str, message_code: &str) {
        let known = self
            .counts
            .iter_mut()
            .find(|(way, code, _)| *way == direction && code == message_code);
        match known {
            Some((.., count)) => *count += 1,
            None => self.counts.push((direction, message_code.into(), 1)),
        }
    }

    /// The same message from before.
    fn first_of(&self, sender: &Sender<'_>) -> Result<Option<decide::Known>, StoreError> {
        let first: Option<(i64, String, String)> = self
            .transaction
            .prepare_cached(&FIRST)?
            .query_row(
                params![
                    sender.control_id,
                    sender.application,
                    sender.facility,
                    sender.digest
                ],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        let Some((message_id, code, text)) = first else {
            return Ok(None);
        };
        let code = code.parse().map_err(|_| MESSAGES.damaged(message_id))?;
        Ok(Some(decide::Known::Before {
            message_id,
            code,
            text,
        }))
    }
}

static FIRST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT id, ack_code, {} FROM messages WHERE control_id = ?1 \
         AND sending_application = ?2 AND sending_facility = ?3 AND digest = digest_token(?4) \
         AND control_id <> '' AND direction = 'in'",
        MESSAGES.column("", "ack_text")
    )
});

static RESENT: LazyLock<String> =
    LazyLock::new(|| MESSAGES.update(&[("retransmissions", "retransmissions + 1")], "id = ?1"));

static INSERT_MESSAGE: LazyLock<String> = LazyLock::new(|| MESSAGES.insert(Some("raw")));

/// A count that is damaged stays damaged.
static COUNT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO message_counts (message_code, messages, direction, checksum) \
         VALUES (?1, ?2, ?3, {}) ON CONFLICT (direction, message_code) \
         DO UPDATE SET messages = messages + ?2, checksum = {} WHERE {}",
        "row_checksum('message_counts', ?1, ?2, ?3)",
        COUNTS.expression("", &[("messages", "messages + ?2")]),
        COUNTS.intact("message_counts."),
    )
});

static ANSWER: LazyLock<String> = LazyLock::new(|| {
    let sets = [("ack_code", "?2"), ("ack_text", "?3"), ("ack", "?4")];
    MESSAGES.update(&sets, "id = ?1")
});

static PATIENT: LazyLock<String> = LazyLock::new(|| {
    let columns = PATIENTS.select("");
    format!("SELECT {columns} FROM patients WHERE patient_id = patient_token(?1)")
});

static PUT_PATIENT: LazyLock<String> = LazyLock::new(|| PATIENTS.upsert("patient_id"));

static MOVE_REPORTS: LazyLock<String> =
    LazyLock::new(|| REPORTS.update(&[("patient_id", "?2")], "patient_id = patient_token(?1)"));

static INSERT_CHANGE: LazyLock<String> = LazyLock::new(|| CHANGES.insert(None));

static ACTION: LazyLock<String> = LazyLock::new(|| {
    let columns = ACTIONS.select("");
    format!("SELECT {columns} FROM actions WHERE idempotency_key = ?1")
});

static INSERT_ACTION: LazyLock<String> = LazyLock::new(|| ACTIONS.insert(None));

static WAITING: LazyLock<String> = LazyLock::new(|| {
    let columns = OUTBOX.stored("");
    format!("SELECT {columns} FROM outbox WHERE message_id = ?1")
});

static INSERT_OUTBOX: LazyLock<String> = LazyLock::new(|| OUTBOX.insert(None));

static MOVE_OUTBOX: LazyLock<String> = LazyLock::new(|| {
    let sets = [
        ("state", "?2"),
        ("position", "coalesce(?3, position)"),
        ("settled_at", "?4"),
    ];
    OUTBOX.update(&sets, "message_id = ?1")
});

static INSERT_DELIVERY: LazyLock<String> = LazyLock::new(|| DELIVERIES.insert(None));

static SETTLE: LazyLock<String> = LazyLock::new(|| {
    let sets = [
        ("state", "?2"),
        ("tries", "?3"),
        ("last_try_at", "?4"),
        ("last_reason", "?5"),
        ("settled_at", "iif(?6, ?4, settled_at)"),
    ];
    OUTBOX.update(&sets, "message_id = ?1")
});

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Database(error.to_string()))
}

impl Rows for Desk<'_> {
    fn take_id(&mut self) -> i64 {
        let id = self.next.entry;
        self.next.entry += 1;
        id
    }

    fn known(&mut self, sender: &Sender<'_>) -> Result<decide::Known, StoreError> {
        let id_is_known = self
            .transaction
            .prepare_cached(
                "SELECT 1 FROM messages WHERE control_id = ?1 AND sending_application = ?2 \
                 AND sending_facility = ?3 AND control_id <> '' AND direction = 'in'",
            )?
            .exists([sender.control_id, sender.application, sender.facility])?;
        if !id_is_known {
            return Ok(decide::Known::New);
        }
        Ok(self.first_of(sender)?.unwrap_or(decide::Known::Reused))
    }

    fn put_resent(&mut self, message_id: i64) -> Result<(), StoreError> {
        // A first one that is damaged is not answered from.
        let intact = self
            .transaction
            .prepare_cached(&RESENT)?
            .execute([message_id])?;
        Ok(MESSAGES.unless(intact == 1, message_id)?)
    }

    fn put_message(&mut self, row: &MessageRow<'_>) -> Result<(), StoreError> {
        let notes = |notes: &[Note]| match notes {
            [] => Ok(None),
            notes => json(notes).map(Some),
        };
        let warnings = i64::try_from(row.warnings.len()).unwrap_or(i64::MAX);
        let size = i64::try_from(row.raw.len()).unwrap_or(i64::MAX);
        let direction = row.direction.as_str();
        let (finding_notes, warning_notes) = (notes(row.findings)?, notes(row.warnings)?);
        let values: [&dyn ToSql; 25] = [
            &row.id,
            &micros(row.received_at),
            &row.transport,
            &row.peer,
            &row.sending_application,
            &row.sending_facility,
            &row.sent_at,
            &row.message_code,
            &row.trigger_event,
            &row.control_id,
            &row.accession_number,
            &row.patient_id,
            &row.patient_name,
            &row.ack_code,
            &row.ack_text,
            &warnings,
            &0_i64,
            &size,
            &direction,
            &row.version,
            &row.effect,
            &row.digest,
            &finding_notes,
            &warning_notes,
            &row.ack,
        ];
        MESSAGES.put(
            self.transaction,
            self.vault,
            &INSERT_MESSAGE,
            &values,
            Some(row.raw),
        )?;
        self.count(direction, row.message_code);
        Ok(())
    }

    fn put_answer(
        &mut self,
        message_id: i64,
        code: &str,
        text: &str,
        answer: &[u8],
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(&ANSWER)?
            .execute(params![message_id, code, text, answer])?;
        Ok(())
    }

    fn order(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<OrderRecord>, StoreError> {
        rows::order(self.transaction, accession_number)
    }

    fn orders_of(&mut self, patient_id: &PatientId) -> Result<Vec<OrderRecord>, StoreError> {
        rows::orders_of(self.transaction, patient_id)
    }

    fn put_order(&mut self, record: &OrderRecord) -> Result<(), StoreError> {
        let id = match record.id {
            0 => self.next.order,
            id => id,
        };
        rows::put_order(self.transaction, self.vault, record, id)?;
        self.next.order = self.next.order.max(id + 1);
        Ok(())
    }

    fn cancel_order(&mut self, record: &OrderRecord, entry: Entry) -> Result<(), StoreError> {
        let accession_number = &record.order.accession_number;
        self.tombstones.insert(accession_number.as_str());
        rows::delete_order(self.transaction, self.vault, record, entry)
    }

    fn cancelled_uid(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<String>, StoreError> {
        if !self.tombstones.may_contain(accession_number.as_str()) {
            return Ok(None);
        }
        rows::cancelled_uid(self.transaction, accession_number)
    }

    fn next_version(&mut self, accession_number: &AccessionNumber) -> Result<u32, StoreError> {
        rows::next_version(self.transaction, accession_number)
    }

    fn report(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<ReportRecord>, StoreError> {
        rows::report(self.transaction, accession_number)
    }

    fn put_report(
        &mut self,
        report: &Report,
        version: u32,
        entry: Entry,
    ) -> Result<(), StoreError> {
        rows::put_report(self.transaction, self.vault, report, version, entry)
    }

    fn patient(&mut self, patient_id: &str) -> Result<Option<PatientRow>, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(&PATIENT)?
            .query_row([patient_id], |row| {
                PATIENTS.check(row, 0)?;
                Ok([row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
            })
            .optional()?)
    }

    fn put_patient(
        &mut self,
        patient_id: &str,
        row: &PatientRow,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let [name, sex, birth_date, merged_into] = row;
        let values = params![
            patient_id,
            name,
            sex,
            birth_date,
            merged_into,
            micros(entry.at),
            entry.id,
        ];
        Ok(PATIENTS.put(self.transaction, self.vault, &PUT_PATIENT, values, None)?)
    }

    fn move_reports(&mut self, from: &PatientId, into: &PatientId) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(&MOVE_REPORTS)?
            .execute([from.as_str(), into.as_str()])?;
        Ok(())
    }

    fn put_change(&mut self, row: &ChangeRow<'_>, entry: Entry) -> Result<(), StoreError> {
        let values = params![
            entry.id,
            micros(entry.at),
            row.patient_id,
            row.accession_number,
            row.merged_into,
            json(row.fields)?,
        ];
        Ok(CHANGES.put(self.transaction, self.vault, &INSERT_CHANGE, values, None)?)
    }

    fn action_of(&mut self, idempotency_key: &str) -> Result<Option<FirstAction>, StoreError> {
        let first = self
            .transaction
            .prepare_cached(&ACTION)?
            .query_row([idempotency_key], |row| {
                ACTIONS.check(row, 0)?;
                let entry_id: i64 = row.get(0)?;
                let right = row.get_ref(6)?.as_str_or_null()? == Some(idempotency_key);
                ACTIONS.unless(right, entry_id)?;
                let outcome = ActionOutcome::from_kept(row.get_ref(5)?.as_str()?)
                    .ok_or_else(|| odd(5, "outcome"))?;
                Ok(FirstAction {
                    entry_id,
                    outcome,
                    digest: row.get(10)?,
                    queued: Vec::new(),
                })
            })
            .optional()?;
        let Some(mut first) = first else {
            return Ok(None);
        };
        first.queued = self
            .transaction
            .prepare_cached(
                "SELECT message_id FROM outbox WHERE caused_by = ?1 ORDER BY message_id",
            )?
            .query_map([first.entry_id], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(Some(first))
    }

    fn put_action(&mut self, row: &ActionRow<'_>) -> Result<(), StoreError> {
        let values = params![
            row.id,
            micros(row.at),
            row.actor,
            row.kind,
            row.accession_number,
            row.outcome,
            row.idempotency_key,
            row.detail,
            row.body,
            row.events,
            row.digest,
        ];
        Ok(ACTIONS.put(self.transaction, self.vault, &INSERT_ACTION, values, None)?)
    }

    fn outbox(&mut self, message_id: i64) -> Result<Option<Waiting>, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(&WAITING)?
            .query_row([message_id], |row| {
                OUTBOX.check(row, 0)?;
                Ok(Waiting {
                    state: OutboxState::from_name(row.get_ref(2)?.as_str()?)
                        .ok_or_else(|| odd(2, "outbox state"))?,
                    tries: row.get(9)?,
                    accession_number: row.get(3)?,
                })
            })
            .optional()?)
    }

    fn put_outbox(&mut self, row: &OutboxRow<'_>) -> Result<(), StoreError> {
        let values = params![
            row.message_id,
            row.destination,
            OutboxState::Queued.as_str(),
            row.accession_number,
            row.study_status,
            row.with_text,
            row.caused_by.id,
            micros(row.caused_by.at),
            None::<i64>,
            0,
            None::<i64>,
            None::<&str>,
            row.message_id,
        ];
        Ok(OUTBOX.put(self.transaction, self.vault, &INSERT_OUTBOX, values, None)?)
    }

    fn move_outbox(&mut self, message_id: i64, to: &Moved) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(&MOVE_OUTBOX)?
            .execute(params![
                message_id,
                to.state.as_str(),
                to.position,
                to.settled_at.map(micros)
            ])?;
        Ok(())
    }

    fn put_delivery(
        &mut self,
        id: i64,
        delivery: &Delivery,
        state: OutboxState,
        tries: u32,
    ) -> Result<(), StoreError> {
        let values = params![
            id,
            delivery.message_id,
            micros(delivery.at),
            i64::try_from(delivery.took_micros).unwrap_or(i64::MAX),
            delivery.outcome.as_str(),
            delivery.reason,
            delivery.answer,
        ];
        DELIVERIES.put(self.transaction, self.vault, &INSERT_DELIVERY, values, None)?;
        self.transaction.prepare_cached(&SETTLE)?.execute(params![
            delivery.message_id,
            state.as_str(),
            tries,
            micros(delivery.at),
            delivery.reason,
            delivery.outcome != DeliveryOutcome::Failed,
        ])?;
        Ok(())
    }

    fn procedure(&mut self, sop_instance_uid: &str) -> Result<Option<ProcedureRow>, StoreError> {
        procedure::read(self.transaction, sop_instance_uid)
    }

    fn put_procedure(&mut self, row: &ProcedureRow) -> Result<(), StoreError> {
        procedure::put(self.transaction, self.vault, row)
    }
}
