//! What decisions read from a [`Desk`] and write on it.

use medsynapse::{AccessionNumber, Attribute, PatientId, Report};

use super::super::filter::without_nul;
use super::super::wanted::{FoundAction, Identity};
use super::super::written::{
    ActionOut, AnswerOut, CancelledOut, ChangeOut, DeliveryOut, MessageOut, OutboxFull, ReportOut,
};
use super::{Desk, NEW_ORDER};
use crate::action::ActionOutcome;
use crate::decide::{
    ActionRow, ChangeRow, Entry, FirstAction, Known, MessageRow, Moved, OutboxRow, PatientRow,
    ProcedureRow, Rows, Sender, Waiting,
};
use crate::error::StoreError;
use crate::outbox::OutboxState;
use crate::query::Direction;
use crate::record::{Note, OrderRecord, ReportRecord};
use crate::work::{Delivery, DeliveryOutcome};

fn text(text: &str) -> String {
    without_nul(text).into_owned()
}

fn maybe(value: Option<&str>) -> Option<String> {
    value.map(text)
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Database(error.to_string()))
}

fn copy(row: &ProcedureRow) -> ProcedureRow {
    ProcedureRow {
        record: row.record.clone(),
        created_by: row.created_by,
        updated_by: row.updated_by,
    }
}

impl Rows for Desk<'_> {
    fn take_id(&mut self) -> i64 {
        self.entry += 1;
        self.entry
    }

    fn known(&mut self, sender: &Sender<'_>) -> Result<Known, StoreError> {
        let identity = Identity::of(sender);
        let key = identity.key();
        let there = self
            .sent
            .get(&key)
            .is_some_and(|sent| sent.by_digest.contains_key(&sender.digest));
        if !there {
            self.fetch(|wanted| wanted.known.push(identity))?;
        }
        let sent = self.sent.entry(key).or_default();
        Ok(match sent.by_digest.get(&sender.digest) {
            Some(Some((message_id, code, text))) => Known::Before {
                message_id: *message_id,
                code: *code,
                text: text.clone(),
            },
            _ if sent.any => Known::Reused,
            _ => Known::New,
        })
    }

    fn put_resent(&mut self, message_id: i64) -> Result<(), StoreError> {
        let here = self.written.messages.iter_mut();
        match here.into_iter().find(|row| row.id == message_id) {
            Some(row) => row.retransmissions += 1,
            None => *self.written.resent.entry(message_id).or_default() += 1,
        }
        Ok(())
    }

    fn put_message(&mut self, row: &MessageRow<'_>) -> Result<(), StoreError> {
        let notes = |notes: &[Note]| match notes {
            [] => Ok(None),
            notes => json(notes).map(Some),
        };
        if row.direction == Direction::In && !row.control_id.is_empty() {
            let code = row.ack_code.parse();
            let code = code.map_err(|_| StoreError::Database("no such acknowledgement".into()))?;
            let identity = Identity::of(&Sender {
                application: row.sending_application,
                facility: row.sending_facility,
                control_id: row.control_id,
                digest: row.digest,
            });
            let sent = self.sent.entry(identity.key()).or_default();
            sent.any = true;
            let first = (row.id, code, text(row.ack_text));
            sent.by_digest.insert(row.digest, Some(first));
        }
        let count = (row.direction.as_str(), text(row.message_code));
        *self.written.counts.entry(count).or_default() += 1;
        self.written.messages.push(MessageOut {
            id: row.id,
            direction: row.direction,
            received_at: row.received_at.timestamp_micros(),
            transport: text(row.transport),
            peer: text(row.peer),
            sending_application: text(row.sending_application),
            sending_facility: text(row.sending_facility),
            sent_at: text(row.sent_at),
            message_code: text(row.message_code),
            trigger_event: text(row.trigger_event),
            control_id: text(row.control_id),
            version: text(row.version),
            accession_number: maybe(row.accession_number),
            patient_id: maybe(row.patient_id),
            patient_name: maybe(row.patient_name),
            ack_code: text(row.ack_code),
            ack_text: text(row.ack_text),
            effect: text(row.effect),
            warning_count: i32::try_from(row.warnings.len()).unwrap_or(i32::MAX),
            retransmissions: 0,
            digest: row.digest,
            // JSON writes NUL as an escape.
            findings: notes(row.findings)?,
            warnings: notes(row.warnings)?,
            ack: row.ack.into(),
            raw: row.raw.into(),
        });
        Ok(())
    }

    fn put_answer(
        &mut self,
        message_id: i64,
        code: &str,
        said: &str,
        answer: &[u8],
    ) -> Result<(), StoreError> {
        let mut here = self.written.messages.iter_mut();
        if let Some(row) = here.find(|row| row.id == message_id) {
            (row.ack_code, row.ack_text) = (text(code), text(said));
            row.ack = answer.into();
            return Ok(());
        }
        self.written.answers.retain(|row| row.id != message_id);
        self.written.answers.push(AnswerOut {
            id: message_id,
            code: text(code),
            text: text(said),
            answer: answer.into(),
        });
        Ok(())
    }

    fn order(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<OrderRecord>, StoreError> {
        let name = accession_number.as_str();
        if !self.orders.contains_key(name) {
            self.fetch(|wanted| wanted.orders.insert(name.into()))?;
        }
        Ok(self.orders.get(name).cloned().flatten())
    }

    fn orders_of(&mut self, patient_id: &PatientId) -> Result<Vec<OrderRecord>, StoreError> {
        let id = patient_id.as_str();
        if !self.whole.contains(id) {
            self.fetch(|wanted| wanted.orders_of.insert(id.into()))?;
        }
        let orders = self.orders.values().flatten();
        let mut orders: Vec<OrderRecord> = orders
            .filter(|record| record.order.attributes.get(Attribute::PatientId) == Some(id))
            .cloned()
            .collect();
        orders.sort_by(|a, b| {
            let names = [a, b].map(|record| record.order.accession_number.as_str());
            names[0].cmp(names[1])
        });
        Ok(orders)
    }

    fn put_order(&mut self, record: &OrderRecord) -> Result<(), StoreError> {
        let mut record = record.clone();
        if record.id == 0 {
            record.id = NEW_ORDER + self.new_orders;
            self.new_orders += 1;
        }
        let name = record.order.accession_number.as_str().to_owned();
        self.written.orders.insert(name.clone());
        self.orders.insert(name, Some(record));
        Ok(())
    }

    fn cancel_order(&mut self, record: &OrderRecord, entry: Entry) -> Result<(), StoreError> {
        let of = |attribute| text(record.order.attributes.get(attribute).unwrap_or_default());
        let name = record.order.accession_number.as_str().to_owned();
        let uid = of(Attribute::StudyInstanceUid);
        self.cancelled.insert(name.clone(), Some(uid.clone()));
        self.written.cancelled.insert(
            name.clone(),
            CancelledOut {
                patient_id: of(Attribute::PatientId),
                study_instance_uid: uid,
                state: record.order.state.as_str(),
                created_at: record.created_at.timestamp_micros(),
                cancelled_at: entry.at.timestamp_micros(),
                created_by: record.created_by,
                cancelled_by: entry.id,
            },
        );
        self.written.orders.insert(name.clone());
        self.orders.insert(name, None);
        Ok(())
    }

    fn cancelled_uid(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<String>, StoreError> {
        let name = accession_number.as_str();
        if !self.cancelled.contains_key(name) {
            self.fetch(|wanted| wanted.cancelled.insert(name.into()))?;
        }
        Ok(self.cancelled.get(name).cloned().flatten())
    }

    fn next_version(&mut self, accession_number: &AccessionNumber) -> Result<u32, StoreError> {
        let name = accession_number.as_str();
        if !self.versions.contains_key(name) {
            self.fetch(|wanted| wanted.versions.insert(name.into()))?;
        }
        Ok(self.versions.get(name).copied().unwrap_or(0) + 1)
    }

    fn report(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<ReportRecord>, StoreError> {
        let name = accession_number.as_str();
        if !self.reports.contains_key(name) {
            self.fetch(|wanted| wanted.reports.insert(name.into()))?;
        }
        Ok(self.reports.get(name).cloned().flatten())
    }

    fn put_report(
        &mut self,
        report: &Report,
        version: u32,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let name = report.accession_number.as_str().to_owned();
        self.versions.insert(name.clone(), version);
        let record = ReportRecord {
            report: report.clone(),
            version,
            updated_at: entry.at,
            message_id: entry.id,
        };
        self.reports.insert(name, Some(record));
        self.written.reports.push(ReportOut {
            report: report.clone(),
            patient_id: report.patient_id.as_str().into(),
            version: i32::try_from(version).unwrap_or(i32::MAX),
            at: entry.at.timestamp_micros(),
            by: entry.id,
        });
        Ok(())
    }

    fn patient(&mut self, patient_id: &str) -> Result<Option<PatientRow>, StoreError> {
        if !self.patients.contains_key(patient_id) {
            self.fetch(|wanted| wanted.patients.insert(patient_id.into()))?;
        }
        Ok(self.patients.get(patient_id).cloned().flatten())
    }

    fn put_patient(
        &mut self,
        patient_id: &str,
        row: &PatientRow,
        entry: Entry,
    ) -> Result<(), StoreError> {
        self.patients.insert(patient_id.into(), Some(row.clone()));
        let when = (entry.at.timestamp_micros(), entry.id);
        self.written.patients.insert(patient_id.into(), when);
        Ok(())
    }

    fn move_reports(&mut self, from: &PatientId, into: &PatientId) -> Result<(), StoreError> {
        for record in self.reports.values_mut().flatten() {
            if record.report.patient_id == *from {
                record.report.patient_id = into.clone();
            }
        }
        for row in &mut self.written.reports {
            if row.patient_id == from.as_str() {
                row.patient_id = into.as_str().into();
            }
        }
        // What went to the one that goes now goes on with it; what was its own before and went
        // elsewhere stays there.
        for target in self.written.moved_reports.values_mut() {
            if target == from.as_str() {
                *target = into.as_str().into();
            }
        }
        let moved = &mut self.written.moved_reports;
        moved
            .entry(from.as_str().into())
            .or_insert_with(|| into.as_str().into());
        Ok(())
    }

    fn put_change(&mut self, row: &ChangeRow<'_>, entry: Entry) -> Result<(), StoreError> {
        self.written.changes.push(ChangeOut {
            entry_id: entry.id,
            at: entry.at.timestamp_micros(),
            patient_id: text(row.patient_id),
            accession_number: maybe(row.accession_number),
            merged_into: maybe(row.merged_into),
            fields: json(row.fields)?,
        });
        Ok(())
    }

    fn action_of(&mut self, idempotency_key: &str) -> Result<Option<FirstAction>, StoreError> {
        let key = text(idempotency_key);
        if !self.actions.contains_key(&key) {
            self.fetch(|wanted| wanted.actions.insert(key.clone()))?;
        }
        let Some(Some(found)) = self.actions.get(&key) else {
            return Ok(None);
        };
        let mut queued = found.queued.clone();
        // Of an action of this batch they are here.
        let here = self.outbox.values().flatten();
        let here = here.filter(|row| row.caused_by == found.entry_id);
        queued.extend(here.map(|row| row.message_id));
        queued.sort_unstable();
        queued.dedup();
        Ok(Some(FirstAction {
            entry_id: found.entry_id,
            outcome: found.outcome.clone(),
            digest: found.digest,
            queued,
        }))
    }

    fn put_action(&mut self, row: &ActionRow<'_>) -> Result<(), StoreError> {
        if let Some(key) = row.idempotency_key {
            let outcome = ActionOutcome::from_kept(row.outcome)
                .ok_or_else(|| StoreError::Database("no such outcome".into()))?;
            let found = FoundAction {
                entry_id: row.id,
                outcome,
                digest: row.digest,
                queued: Vec::new(),
            };
            self.actions.insert(text(key), Some(found));
        }
        self.written.actions.push(ActionOut {
            id: row.id,
            at: row.at.timestamp_micros(),
            actor: text(row.actor),
            kind: text(row.kind),
            accession_number: maybe(row.accession_number),
            outcome: text(row.outcome),
            idempotency_key: maybe(row.idempotency_key),
            detail: text(row.detail),
            body: row.body.map(Into::into),
            events: text(row.events),
            digest: row.digest,
        });
        Ok(())
    }

    fn outbox(&mut self, message_id: i64) -> Result<Option<Waiting>, StoreError> {
        Ok(self.outbox_row(message_id)?.map(|row| Waiting {
            state: row.state,
            tries: row.tries,
            accession_number: row.accession_number.clone(),
        }))
    }

    fn put_outbox(&mut self, row: &OutboxRow<'_>) -> Result<(), StoreError> {
        let full = OutboxFull {
            message_id: row.message_id,
            destination: text(row.destination),
            state: OutboxState::Queued,
            accession_number: text(row.accession_number),
            study_status: text(row.study_status),
            with_text: row.with_text,
            caused_by: row.caused_by.id,
            queued_at: row.caused_by.at.timestamp_micros(),
            settled_at: None,
            tries: 0,
            last_try_at: None,
            last_reason: None,
            position: row.message_id,
        };
        self.written.outbox.insert(row.message_id);
        self.outbox.insert(row.message_id, Some(full));
        Ok(())
    }

    fn move_outbox(&mut self, message_id: i64, to: &Moved) -> Result<(), StoreError> {
        if let Some(row) = self.outbox_row(message_id)? {
            row.state = to.state;
            row.position = to.position.unwrap_or(row.position);
            row.settled_at = to.settled_at.map(|at| at.timestamp_micros());
            self.written.outbox.insert(message_id);
        }
        Ok(())
    }

    fn put_delivery(
        &mut self,
        id: i64,
        delivery: &Delivery,
        state: OutboxState,
        tries: u32,
    ) -> Result<(), StoreError> {
        let at = delivery.at.timestamp_micros();
        let reason = text(&delivery.reason);
        if let Some(row) = self.outbox_row(delivery.message_id)? {
            row.state = state;
            row.tries = tries;
            row.last_try_at = Some(at);
            row.last_reason = Some(reason.clone());
            if delivery.outcome != DeliveryOutcome::Failed {
                row.settled_at = Some(at);
            }
            self.written.outbox.insert(delivery.message_id);
        }
        self.written.deliveries.push(DeliveryOut {
            id,
            message_id: delivery.message_id,
            at,
            took: i64::try_from(delivery.took_micros).unwrap_or(i64::MAX),
            outcome: delivery.outcome.as_str(),
            reason,
            answer: delivery.answer.clone(),
        });
        Ok(())
    }

    fn procedure(&mut self, sop_instance_uid: &str) -> Result<Option<ProcedureRow>, StoreError> {
        let uid = text(sop_instance_uid);
        if !self.procedures.contains_key(&uid) {
            self.fetch(|wanted| wanted.procedures.insert(uid.clone()))?;
        }
        Ok(self.procedures.get(&uid).and_then(Option::as_ref).map(copy))
    }

    fn put_procedure(&mut self, row: &ProcedureRow) -> Result<(), StoreError> {
        let uid = text(&row.record.sop_instance_uid);
        self.written.procedures.insert(uid.clone());
        self.procedures.insert(uid, Some(copy(row)));
        Ok(())
    }
}
