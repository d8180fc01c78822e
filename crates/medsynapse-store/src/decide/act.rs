//! An action: what it does to orders, procedure steps and the outbox, in one transaction.

use medsynapse::{AccessionNumber, OrderState, Report, ReportStatus, StudyStatus};
use sha2::{Digest, Sha256};

use super::enqueue::{self, Told};
use super::plan::{Write, changed};
use super::rows::{ActionRow, Entry, Rows};
use super::{procedure, settle};
use crate::action::{
    Acted, Action, ActionKind, ActionOutcome, FinalReport, OrderStep, Procedure, ProcedureState,
};
use crate::error::StoreError;
use crate::event::{Event, EventKind, OrderChange, ReportChange};
use crate::record::OrderRecord;

/// What an action does, found out before it is written down.
pub(crate) struct Effects {
    pub(crate) outcome: ActionOutcome,
    pub(crate) events: Vec<EventKind>,
    writes: Vec<Write>,
    told: Vec<Told>,
}

impl Effects {
    pub(crate) fn only(outcome: ActionOutcome) -> Self {
        Self {
            outcome,
            events: Vec::new(),
            writes: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.events.extend(other.events);
        self.writes.extend(other.writes);
        self.told.extend(other.told);
    }
}

pub(crate) fn act(rows: &mut dyn Rows, action: &Action) -> Result<Acted, StoreError> {
    let written = Written::of(&action.kind)?;
    if let Some(key) = &action.idempotency_key
        && let Some(first) = rows.action_of(key)?
    {
        let same = first.digest == written.digest;
        return Ok(Acted {
            entry_id: first.entry_id,
            outcome: if same {
                first.outcome
            } else {
                ActionOutcome::KeyReused
            },
            duplicate: true,
            queued: if same { first.queued } else { Vec::new() },
            events: Vec::new(),
        });
    }
    let entry = Entry {
        id: rows.take_id(),
        at: action.at,
    };
    let effects = match &action.kind {
        ActionKind::Order {
            accession_number,
            step,
        } => order_step(rows, accession_number, step, entry, action)?,
        ActionKind::Procedure(procedure) => procedure::plan(rows, procedure, entry, action)?,
        ActionKind::Outbox {
            message_id,
            command,
        } => Effects::only(settle::command(rows, *message_id, *command, entry)?),
    };
    // The action first: what it changes refers to it.
    written.put(rows, action, entry, &effects)?;
    for write in &effects.writes {
        write.run(rows, entry)?;
    }
    if let (ActionKind::Procedure(procedure), true) = (&action.kind, effects.outcome.is_done()) {
        procedure::put(rows, procedure, entry)?;
    }
    let mut events = Event::numbered(entry.id, entry.at, effects.events);
    let mut queued = Vec::new();
    let mut control_ids = action.outgoing.control_ids.iter();
    for told in &effects.told {
        for message in enqueue::put(rows, told, action, entry, &mut control_ids)? {
            let kind = EventKind::Report {
                change: ReportChange::Queued,
                accession_number: told.record.order.accession_number.as_str().into(),
                entry_id: message,
            };
            events.extend(Event::numbered(message, entry.at, vec![kind]));
            queued.push(message);
        }
    }
    Ok(Acted {
        entry_id: entry.id,
        outcome: effects.outcome,
        duplicate: false,
        queued,
        events,
    })
}

/// What a step does to an order.
pub(crate) fn order_step(
    rows: &mut dyn Rows,
    accession_number: &AccessionNumber,
    step: &OrderStep,
    entry: Entry,
    action: &Action,
) -> Result<Effects, StoreError> {
    let Some(before) = rows.order(accession_number)? else {
        return Ok(Effects::only(ActionOutcome::UnknownOrder));
    };
    match step {
        OrderStep::Arrived => Ok(go(&before, OrderState::Arrived, entry)),
        OrderStep::Ready => Ok(go(&before, OrderState::Ready, entry)),
        OrderStep::Started => Ok(go(&before, OrderState::Started, entry)),
        OrderStep::Discontinued => Ok(go(&before, OrderState::Discontinued, entry)),
        OrderStep::Rescheduled => Ok(go(&before, OrderState::Scheduled, entry)),
        OrderStep::Completed => Ok(complete(&before, OrderChange::Completed, entry, action)),
        OrderStep::StudyArrived => Ok(complete(&before, OrderChange::StudyArrived, entry, action)),
        OrderStep::StudyArriving => {
            if before.study_seen_at.is_some() {
                return Ok(Effects::only(ActionOutcome::Unchanged));
            }
            let mut after = before.clone();
            after.study_seen_at = Some(entry.at);
            let mut effects = Effects::only(ActionOutcome::Done);
            let change = OrderChange::StudyArriving;
            effects.events.push(order_event(&before, change, entry));
            effects.writes.push(changed(&before, after, entry));
            Ok(effects)
        }
        OrderStep::Read => Ok(report_goes(&before, ReportStatus::Read, entry)),
        OrderStep::Printed => Ok(report_goes(&before, ReportStatus::Printed, entry)),
        OrderStep::Final(text) => finalize(rows, &before, text.as_ref(), entry, action),
    }
}

fn order_event(record: &OrderRecord, change: OrderChange, entry: Entry) -> EventKind {
    EventKind::Order {
        change,
        accession_number: record.order.accession_number.as_str().into(),
        entry_id: entry.id,
    }
}

fn report_event(record: &OrderRecord, change: ReportChange, entry: Entry) -> EventKind {
    EventKind::Report {
        change,
        accession_number: record.order.accession_number.as_str().into(),
        entry_id: entry.id,
    }
}

fn go(before: &OrderRecord, next: OrderState, entry: Entry) -> Effects {
    let state = before.order.state;
    if state == next {
        return Effects::only(ActionOutcome::Unchanged);
    }
    if !state.goes_to(next) {
        return Effects::only(ActionOutcome::NotPossible(state));
    }
    let change = match next {
        OrderState::Started => OrderChange::Started,
        OrderState::Completed => OrderChange::Completed,
        OrderState::Discontinued => OrderChange::Discontinued,
        OrderState::Scheduled | OrderState::Arrived | OrderState::Ready => OrderChange::Updated,
    };
    let mut after = before.clone();
    after.order.state = next;
    let mut effects = Effects::only(ActionOutcome::Done);
    effects.events.push(order_event(before, change, entry));
    effects.writes.push(changed(before, after, entry));
    effects
}

/// Completed, by whatever says so: the RIS is told once.
fn complete(before: &OrderRecord, change: OrderChange, entry: Entry, action: &Action) -> Effects {
    let told = Told::status(before.clone(), StudyStatus::Completed);
    let tell = !before.completion_told && enqueue::anybody_hears(&told, action);
    let goes = before.order.state != OrderState::Completed;
    if !goes && !tell {
        return Effects::only(ActionOutcome::Unchanged);
    }
    let mut after = before.clone();
    after.order.state = OrderState::Completed;
    after.completion_told |= tell;
    let mut effects = Effects::only(ActionOutcome::Done);
    if change == OrderChange::StudyArrived {
        effects.events.push(order_event(before, change, entry));
    }
    if goes {
        let completed = OrderChange::Completed;
        effects.events.push(order_event(before, completed, entry));
    }
    if tell {
        effects.told.push(told);
    }
    effects.writes.push(changed(before, after, entry));
    effects
}

/// Read or printed: the RIS is told each time, the status of the report never goes back.
fn report_goes(before: &OrderRecord, status: ReportStatus, entry: Entry) -> Effects {
    let (change, tell) = match status {
        ReportStatus::Read => (ReportChange::Read, StudyStatus::Read),
        ReportStatus::Final => (ReportChange::Final, StudyStatus::Final),
        ReportStatus::Printed => (ReportChange::Printed, StudyStatus::Printed),
    };
    let mut effects = Effects::only(ActionOutcome::Done);
    effects.events.push(report_event(before, change, entry));
    effects.told.push(Told::status(before.clone(), tell));
    if before.report_status < Some(status) {
        let after = OrderRecord {
            report_status: Some(status),
            ..before.clone()
        };
        effects.writes.push(changed(before, after, entry));
    }
    effects
}

fn finalize(
    rows: &mut dyn Rows,
    before: &OrderRecord,
    text: Option<&FinalReport>,
    entry: Entry,
    action: &Action,
) -> Result<Effects, StoreError> {
    let accession_number = &before.order.accession_number;
    let mut effects = Effects::only(ActionOutcome::Done);
    let final_report = if let Some(text) = text {
        let date = if text.date.is_empty() {
            action.outgoing.time.to_string()
        } else {
            text.date.clone()
        };
        let patient_id = before
            .order
            .attributes
            .get(medsynapse::Attribute::PatientId)
            .and_then(|id| medsynapse::PatientId::try_from(id).ok())
            .ok_or_else(|| StoreError::Database("an order has no patient id".into()))?;
        let new = Report {
            accession_number: accession_number.clone(),
            patient_id,
            format: text.format,
            text: text.text.clone(),
            date,
            status: Some(StudyStatus::Final.code().into()),
            physician_id: text.physician_id.clone(),
            physician_name: text.physician_name.clone(),
            segments: before.order.segments.clone(),
        };
        let version = rows.next_version(accession_number)?;
        let stored = ReportChange::Stored;
        effects.events.push(report_event(before, stored, entry));
        let write = Write::Report(Box::new(new.clone()), version);
        effects.writes.push(write);
        new
    } else {
        match rows.report(accession_number)? {
            Some(record) => record.report,
            None => return Ok(Effects::only(ActionOutcome::NoReportText)),
        }
    };
    let change = ReportChange::Final;
    effects.events.push(report_event(before, change, entry));
    if before.report_status != Some(ReportStatus::Final) {
        let after = OrderRecord {
            report_status: Some(ReportStatus::Final),
            ..before.clone()
        };
        effects.writes.push(changed(before, after, entry));
    }
    effects
        .told
        .push(Told::report(before.clone(), final_report));
    Ok(effects)
}

/// An action as it is written down.
struct Written<'a> {
    kind: String,
    accession_number: Option<&'a str>,
    detail: String,
    body: Option<&'a [u8]>,
    digest: [u8; 32],
}

impl<'a> Written<'a> {
    fn of(kind: &'a ActionKind) -> Result<Self, StoreError> {
        let json = |value: Result<String, serde_json::Error>| {
            value.map_err(|error| StoreError::Database(error.to_string()))
        };
        let (kind, accession_number, detail, body) = match kind {
            ActionKind::Order {
                accession_number,
                step,
            } => {
                let detail = match step {
                    OrderStep::Final(report) => json(serde_json::to_string(report))?,
                    _ => "null".into(),
                };
                let kind = step.as_str().to_owned();
                (kind, Some(accession_number.as_str()), detail, None)
            }
            ActionKind::Procedure(procedure) => {
                let detail = procedure_detail(procedure).to_string();
                let kind = format!("procedure-{}", procedure_word(procedure.state));
                let first = procedure.accession_numbers.first();
                let first = first.map(AccessionNumber::as_str);
                (kind, first, detail, Some(procedure.dataset.as_slice()))
            }
            ActionKind::Outbox {
                message_id,
                command,
            } => {
                let kind = format!("outbox-{}", command.as_str());
                (kind, None, message_id.to_string(), None)
            }
        };
        let mut hash = Sha256::new();
        for part in [
            kind.as_bytes(),
            accession_number.unwrap_or_default().as_bytes(),
            detail.as_bytes(),
            body.unwrap_or_default(),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(Self {
            kind,
            accession_number,
            detail,
            body,
            digest: hash.finalize().into(),
        })
    }

    fn put(
        &self,
        rows: &mut dyn Rows,
        action: &Action,
        entry: Entry,
        effects: &Effects,
    ) -> Result<(), StoreError> {
        let events: Vec<(&str, Option<&str>)> = effects
            .events
            .iter()
            .map(|event| (event.name(), event.accession_number()))
            .collect();
        let events = serde_json::to_string(&events)
            .map_err(|error| StoreError::Database(error.to_string()))?;
        rows.put_action(&ActionRow {
            id: entry.id,
            at: entry.at,
            actor: &action.actor,
            kind: &self.kind,
            accession_number: self.accession_number,
            outcome: &effects.outcome.kept(),
            idempotency_key: action.idempotency_key.as_deref(),
            detail: &self.detail,
            body: self.body,
            events: &events,
            digest: self.digest,
        })
    }
}

const fn procedure_word(state: ProcedureState) -> &'static str {
    match state {
        ProcedureState::InProgress => "started",
        ProcedureState::Completed => "completed",
        ProcedureState::Discontinued => "discontinued",
    }
}

fn procedure_detail(procedure: &Procedure) -> serde_json::Value {
    serde_json::json!({
        "sop_instance_uid": procedure.sop_instance_uid,
        "create": procedure.create,
        "station_ae_title": procedure.station_ae_title,
        "study_instance_uid": procedure.study_instance_uid,
        "accession_numbers": procedure.accession_numbers.iter()
            .map(AccessionNumber::as_str).collect::<Vec<_>>(),
        "reschedule_discontinued": procedure.reschedule_discontinued,
    })
}
