//! A message that came in.

use hl7_message::AckCode;
use medsynapse::Effect;

use super::events;
use super::plan::{Plan, Write, plan};
use super::rows::{Entry, Known, MessageRow, Rows, Sender};
use crate::error::StoreError;
use crate::event::Event;
use crate::query::Direction;
use crate::record::{Applied, Note, Received};

pub(crate) fn receive(rows: &mut dyn Rows, received: &Received) -> Result<Applied, StoreError> {
    let digest = received.digest();
    let facts = &received.facts;
    let mut reused = false;
    if !facts.control_id.is_empty() {
        let sender = Sender {
            application: &facts.sending_application,
            facility: &facts.sending_facility,
            control_id: &facts.control_id,
            digest,
        };
        match rows.known(&sender)? {
            Known::New => {}
            Known::Reused => reused = true,
            Known::Before {
                message_id,
                code,
                text,
            } => return again(rows, received, message_id, code, text),
        }
    }
    let entry = Entry {
        id: rows.take_id(),
        at: received.received_at,
    };
    let mut decided = decide(rows, received, entry, reused)?;
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
    let effect = decided.effect.filter(|effect| effect.code().is_accept());
    let row = MessageRow {
        id: entry.id,
        direction: Direction::In,
        received_at: entry.at,
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
    rows.put_message(&row)?;
    for write in &decided.writes {
        write.run(rows, entry)?;
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
    writes: Vec<Write>,
}

fn decide(
    rows: &mut dyn Rows,
    received: &Received,
    entry: Entry,
    reused: bool,
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
        plan(rows, change, received, entry)?
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
fn again(
    rows: &mut dyn Rows,
    received: &Received,
    message_id: i64,
    code: AckCode,
    text: String,
) -> Result<Applied, StoreError> {
    rows.put_resent(message_id)?;
    let ack = received.reply.write(code, &text, &[]);
    Ok(Applied {
        accession_number: received.facts.accession_number.clone(),
        message_id,
        code,
        text,
        ack,
        duplicate: true,
        effect: None,
        events: Vec::new(),
    })
}
