//! The writer: a batch of messages, one transaction.

use medsynapse::Effect;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::plan::plan;
use super::rows::micros;
use crate::error::StoreError;
use crate::record::{Applied, Note, Received};

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    next_id: i64,
    /// Why nothing more is written.
    broken: Option<String>,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Result<Self, StoreError> {
        let last: Option<i64> =
            connection.query_row("SELECT max(id) FROM messages", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            next_id: last.unwrap_or(0) + 1,
            broken: None,
        })
    }

    pub(super) fn apply(&mut self, batch: &[Received]) -> Vec<Result<Applied, StoreError>> {
        match self.commit(batch) {
            Ok(applied) => applied.into_iter().map(Ok).collect(),
            // One message must not take the others down: each gets a transaction of its own.
            Err(StoreError::Database(_)) if batch.len() > 1 => batch
                .iter()
                .map(|received| self.apply_alone(received))
                .collect(),
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn apply_alone(&mut self, received: &Received) -> Result<Applied, StoreError> {
        let mut applied = self.commit(std::slice::from_ref(received))?;
        applied
            .pop()
            .ok_or_else(|| StoreError::Database("nothing was applied".into()))
    }

    /// Applies all of them and commits, or none.
    ///
    /// After a failed write or fsync nobody knows what is on disk: it is never tried again.
    /// A full disk is different: SQLite has rolled back, and room makes it work again.
    fn commit(&mut self, batch: &[Received]) -> Result<Vec<Applied>, StoreError> {
        if let Some(reason) = &self.broken {
            return Err(StoreError::Broken(reason.clone()));
        }
        let result = self.try_commit(batch);
        if let Err(StoreError::Broken(reason)) = &result {
            tracing::error!(%reason, "the database can no longer be written");
            self.broken = Some(reason.clone());
        }
        result
    }

    fn try_commit(&mut self, batch: &[Received]) -> Result<Vec<Applied>, StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let mut next_id = self.next_id;
        let mut applied = Vec::with_capacity(batch.len());
        for received in batch {
            applied.push(apply_one(&transaction, received, &mut next_id)?);
        }
        transaction.commit()?;
        self.next_id = next_id;
        Ok(applied)
    }
}

fn apply_one(
    transaction: &Transaction<'_>,
    received: &Received,
    next_id: &mut i64,
) -> Result<Applied, StoreError> {
    let digest = received.digest();
    let mut reused = false;
    if !received.facts.control_id.is_empty() {
        if let Some(first) = find_first(transaction, received, &digest)? {
            return Ok(first);
        }
        reused = control_id_known(transaction, received)?;
    }
    let id = *next_id;
    *next_id += 1;

    let mut warnings = Note::of_warnings(&received.warnings);
    let mut findings = Vec::new();
    let mut writes = Vec::new();
    let (code, text, effect, errors) = match &received.outcome {
        Err(rejection) => {
            findings = Note::of_rejection(rejection);
            let errors = rejection
                .findings
                .iter()
                .map(|f| (f.location, f.condition))
                .collect::<Vec<_>>();
            let code = hl7_message::AckCode::ApplicationReject;
            (code, rejection.text.clone(), None, errors)
        }
        Ok(change) => {
            let effect = if reused && !received.accept_reused_control_id {
                Effect::ControlIdReused
            } else {
                {
                    let plan = plan(transaction, change, received, id)?;
                    writes = plan.writes;
                    warnings.extend(plan.warnings);
                    plan.effect
                }
            };
            let errors: Vec<_> = effect.condition().into_iter().collect();
            findings.extend(errors.iter().map(|(location, condition)| Note {
                code: condition.code().to_string(),
                path: location.to_string(),
                offset: None,
                message: effect.text(),
            }));
            (effect.code(), effect.text(), Some(effect), errors)
        }
    };
    if reused && received.accept_reused_control_id {
        let text = "MSH-10 was used before with other content";
        warnings.push(Note::warning(
            "control-id-reused",
            Some(hl7_message::loc!("MSH-10")),
            text,
        ));
    }
    let errors = if received.send_err {
        errors.as_slice()
    } else {
        &[]
    };
    let ack = received.reply.write(code, &text, errors);
    let row = MessageRow {
        received,
        id,
        digest,
        code,
        text: &text,
        ack: &ack,
    };
    // The message first: what it changes refers to it.
    row.insert(transaction, &findings, &warnings)?;
    for write in &writes {
        write.run(transaction, received, id)?;
    }
    let effect = effect.filter(|effect| effect.code().is_accept());
    Ok(Applied {
        accession_number: received.facts.accession_number.clone(),
        message_id: id,
        code,
        text,
        ack,
        duplicate: false,
        effect,
    })
}

/// The same message from before, answered again as then under a new control id.
fn find_first(
    transaction: &Transaction<'_>,
    received: &Received,
    digest: &[u8; 32],
) -> Result<Option<Applied>, StoreError> {
    let facts = &received.facts;
    let first: Option<(i64, String, String)> = transaction
        .prepare_cached(
            "SELECT id, ack_code, ack_text FROM messages WHERE control_id = ?1 \
             AND sending_application = ?2 AND sending_facility = ?3 AND digest = ?4 \
             AND control_id <> '' AND direction = 'in'",
        )?
        .query_row(
            params![
                facts.control_id,
                facts.sending_application,
                facts.sending_facility,
                digest
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((message_id, code, text)) = first else {
        return Ok(None);
    };
    let code: hl7_message::AckCode = code
        .parse()
        .map_err(|_| StoreError::Corrupt { id: message_id })?;
    transaction
        .prepare_cached("UPDATE messages SET retransmissions = retransmissions + 1 WHERE id = ?1")?
        .execute([message_id])?;
    let ack = received.reply.write(code, &text, &[]);
    Ok(Some(Applied {
        accession_number: facts.accession_number.clone(),
        message_id,
        code,
        text,
        ack,
        duplicate: true,
        effect: None,
    }))
}

/// Whether the sender used this Message Control ID before.
fn control_id_known(
    transaction: &Transaction<'_>,
    received: &Received,
) -> Result<bool, StoreError> {
    let facts = &received.facts;
    Ok(transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE control_id = ?1 \
             AND sending_application = ?2 AND sending_facility = ?3 \
             AND control_id <> '' AND direction = 'in')",
        )?
        .query_row(
            [
                &facts.control_id,
                &facts.sending_application,
                &facts.sending_facility,
            ],
            |row| row.get(0),
        )?)
}

struct MessageRow<'a> {
    received: &'a Received,
    id: i64,
    digest: [u8; 32],
    code: hl7_message::AckCode,
    text: &'a str,
    ack: &'a [u8],
}

impl MessageRow<'_> {
    fn insert(
        &self,
        transaction: &Transaction<'_>,
        findings: &[Note],
        warnings: &[Note],
    ) -> Result<(), StoreError> {
        let json = |notes: &[Note]| {
            if notes.is_empty() {
                return Ok(None);
            }
            serde_json::to_string(notes)
                .map(Some)
                .map_err(|error| StoreError::Database(error.to_string()))
        };
        let (received, facts) = (self.received, &self.received.facts);
        transaction
            .prepare_cached(
                "INSERT INTO messages (id, direction, received_at, transport, peer, \
                 sending_application, sending_facility, sent_at, message_code, trigger_event, \
                 control_id, version, accession_number, patient_id, patient_name, ack_code, \
                 ack_text, warning_count, size, digest, findings, warnings, ack, raw) \
                 VALUES (?1, 'in', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
                 ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
            )?
            .execute(params![
                self.id,
                micros(received.received_at),
                received.transport.as_str(),
                received.peer,
                facts.sending_application,
                facts.sending_facility,
                facts.sent_at,
                facts.message_code,
                facts.trigger_event,
                facts.control_id,
                facts.version,
                facts.accession_number,
                facts.patient_id,
                facts.patient_name,
                self.code.as_str(),
                self.text,
                i64::try_from(warnings.len()).unwrap_or(i64::MAX),
                i64::try_from(received.raw.len()).unwrap_or(i64::MAX),
                self.digest,
                json(findings)?,
                json(warnings)?,
                self.ack,
                received.raw,
            ])?;
        transaction
            .prepare_cached(
                "INSERT INTO message_counts (message_code, messages) VALUES (?1, 1) \
                 ON CONFLICT (message_code) DO UPDATE SET messages = messages + 1",
            )?
            .execute([&facts.message_code])?;
        Ok(())
    }
}
