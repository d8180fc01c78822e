//! A message that came in, and the rows of the message log.

use std::sync::LazyLock;

use hl7_message::AckCode;
use medsynapse::Effect;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::apply::{Entry, Ids};
use super::events;
use super::plan::{Plan, plan};
use super::rows::micros;
use super::seal::{COUNTS, MESSAGES};
use super::tombstones::Tombstones;
use crate::error::StoreError;
use crate::event::Event;
use crate::query::Direction;
use crate::record::{Applied, Note, Received};

static RESENT: LazyLock<String> =
    LazyLock::new(|| MESSAGES.update(&[("retransmissions", "retransmissions + 1")], "id = ?1"));

pub(super) fn receive(
    transaction: &Transaction<'_>,
    received: &Received,
    ids: &mut Ids<'_>,
) -> Result<Applied, StoreError> {
    let digest = received.digest();
    let mut reused = false;
    if !received.facts.control_id.is_empty() {
        if let Some(first) = find_first(transaction, received, &digest)? {
            return Ok(first);
        }
        reused = control_id_known(transaction, received)?;
    }
    let entry = Entry {
        id: ids.take(),
        at: received.received_at,
    };
    let mut decided = decide(transaction, received, entry, reused, ids.tombstones)?;
    if reused && received.accept_reused_control_id {
        let text = "MSH-10 was used before with other content";
        decided.warnings.push(Note::warning(
            "control-id-reused",
            Some(hl7_message::loc!("MSH-10")),
            text,
        ));
    }
    let errors = if received.send_err {
        decided.errors.as_slice()
    } else {
        &[]
    };
    let ack = received.reply.write(decided.code, &decided.text, errors);
    let facts = &received.facts;
    let effect = decided.effect.filter(|effect| effect.code().is_accept());
    let row = MessageRow {
        id: entry.id,
        direction: Direction::In,
        received_at: micros(entry.at),
        transport: received.transport.as_str(),
        peer: &received.peer,
        sending_application: &facts.sending_application,
        sending_facility: &facts.sending_facility,
        sent_at: &facts.sent_at,
        message_code: &facts.message_code,
        trigger_event: &facts.trigger_event,
        control_id: &facts.control_id,
        version: &facts.version,
        accession_number: facts.accession_number.as_deref(),
        patient_id: facts.patient_id.as_deref(),
        patient_name: facts.patient_name.as_deref(),
        ack_code: decided.code.as_str(),
        ack_text: &decided.text,
        effect: effect.as_ref().map_or("", Effect::as_str),
        digest,
        findings: &decided.findings,
        warnings: &decided.warnings,
        ack: &ack,
        raw: &received.raw,
    };
    // The message first: what it changes refers to it.
    row.insert(transaction)?;
    for write in &decided.writes {
        write.run(transaction, entry)?;
    }
    let kinds = events::of_message(
        entry.id,
        effect.as_ref().map_or("", Effect::as_str),
        facts.accession_number.as_deref(),
    );
    Ok(Applied {
        accession_number: facts.accession_number.clone(),
        message_id: entry.id,
        code: decided.code,
        text: decided.text,
        ack,
        duplicate: false,
        effect,
        events: Event::numbered(entry.id, entry.at, kinds),
    })
}

/// What is answered to a message, and what it does.
struct Decided {
    code: AckCode,
    text: String,
    effect: Option<Effect>,
    findings: Vec<Note>,
    warnings: Vec<Note>,
    errors: Vec<(hl7_message::Location, hl7_message::ErrorCondition)>,
    writes: Vec<super::plan::Write>,
}

fn decide(
    transaction: &Transaction<'_>,
    received: &Received,
    entry: Entry,
    reused: bool,
    tombstones: &mut Tombstones,
) -> Result<Decided, StoreError> {
    let mut warnings = Note::of_warnings(&received.warnings);
    let change = match &received.outcome {
        Err(rejection) => {
            let errors = rejection.findings.iter();
            return Ok(Decided {
                code: AckCode::ApplicationReject,
                text: rejection.text.clone(),
                effect: None,
                findings: Note::of_rejection(rejection),
                warnings,
                errors: errors.map(|f| (f.location, f.condition)).collect(),
                writes: Vec::new(),
            });
        }
        Ok(change) => change,
    };
    let plan = if reused && !received.accept_reused_control_id {
        Plan::nothing(Effect::ControlIdReused)
    } else {
        plan(transaction, change, received, entry, tombstones)?
    };
    warnings.extend(plan.warnings);
    let effect = plan.effect;
    let errors: Vec<_> = effect.condition().into_iter().collect();
    let finding =
        |(location, condition): &(hl7_message::Location, hl7_message::ErrorCondition)| Note {
            code: condition.code().to_string(),
            path: location.to_string(),
            offset: None,
            message: effect.text(),
        };
    Ok(Decided {
        code: effect.code(),
        text: effect.text(),
        findings: errors.iter().map(finding).collect(),
        effect: Some(effect),
        warnings,
        errors,
        writes: plan.writes,
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
    let code: AckCode = code.parse().map_err(|_| MESSAGES.damaged(message_id))?;
    // A first one that is damaged is not answered from.
    let intact = transaction.prepare_cached(&RESENT)?.execute([message_id])?;
    MESSAGES.unless(intact == 1, message_id)?;
    let ack = received.reply.write(code, &text, &[]);
    Ok(Some(Applied {
        accession_number: facts.accession_number.clone(),
        message_id,
        code,
        text,
        ack,
        duplicate: true,
        effect: None,
        events: Vec::new(),
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

static INSERT: LazyLock<String> = LazyLock::new(|| MESSAGES.insert(&["raw"]));

/// A count that is damaged stays damaged.
static COUNT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO message_counts (message_code, messages, direction, checksum) \
         VALUES (?1, 1, ?2, {}) ON CONFLICT (direction, message_code) \
         DO UPDATE SET messages = messages + 1, checksum = {} WHERE {}",
        "row_checksum('message_counts', ?1, 1, ?2)",
        COUNTS.expression("", &[("messages", "messages + 1")]),
        COUNTS.intact("message_counts."),
    )
});

/// A row of the message log.
pub(super) struct MessageRow<'a> {
    pub(super) id: i64,
    pub(super) direction: Direction,
    pub(super) received_at: i64,
    pub(super) transport: &'a str,
    pub(super) peer: &'a str,
    pub(super) sending_application: &'a str,
    pub(super) sending_facility: &'a str,
    pub(super) sent_at: &'a str,
    pub(super) message_code: &'a str,
    pub(super) trigger_event: &'a str,
    pub(super) control_id: &'a str,
    pub(super) version: &'a str,
    pub(super) accession_number: Option<&'a str>,
    pub(super) patient_id: Option<&'a str>,
    pub(super) patient_name: Option<&'a str>,
    pub(super) ack_code: &'a str,
    pub(super) ack_text: &'a str,
    pub(super) effect: &'a str,
    pub(super) digest: [u8; 32],
    pub(super) findings: &'a [Note],
    pub(super) warnings: &'a [Note],
    pub(super) ack: &'a [u8],
    pub(super) raw: &'a [u8],
}

impl MessageRow<'_> {
    pub(super) fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        let json = |notes: &[Note]| {
            if notes.is_empty() {
                return Ok(None);
            }
            serde_json::to_string(notes)
                .map(Some)
                .map_err(|error| StoreError::Database(error.to_string()))
        };
        let warnings = i64::try_from(self.warnings.len()).unwrap_or(i64::MAX);
        let size = i64::try_from(self.raw.len()).unwrap_or(i64::MAX);
        let direction = self.direction.as_str();
        let (finding_notes, warning_notes) = (json(self.findings)?, json(self.warnings)?);
        let values: [&dyn ToSql; 25] = [
            &self.id,
            &self.received_at,
            &self.transport,
            &self.peer,
            &self.sending_application,
            &self.sending_facility,
            &self.sent_at,
            &self.message_code,
            &self.trigger_event,
            &self.control_id,
            &self.accession_number,
            &self.patient_id,
            &self.patient_name,
            &self.ack_code,
            &self.ack_text,
            &warnings,
            &0_i64,
            &size,
            &direction,
            &self.version,
            &self.effect,
            &self.digest,
            &finding_notes,
            &warning_notes,
            &self.ack,
        ];
        MESSAGES.put(connection, &INSERT, &values, &[&self.raw])?;
        connection
            .prepare_cached(&COUNT)?
            .execute([self.message_code, direction])?;
        Ok(())
    }
}
