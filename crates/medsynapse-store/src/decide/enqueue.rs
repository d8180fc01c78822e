//! Messages to the RIS, written in the transaction of what caused them.

use hl7_message::Timestamp;
use medsynapse::{
    Attribute, Notification, Report, ReportFormat, StudyStatus, notification, rich_text,
    text_of_rich_text,
};

use super::rows::{Entry, MessageRow, OutboxRow, Rows};
use crate::action::Action;
use crate::error::StoreError;
use crate::outgoing::{Destination, Source};
use crate::query::Direction;
use crate::record::{OrderRecord, digest};

/// What there is to tell about an order.
pub(crate) struct Told {
    pub(crate) record: OrderRecord,
    status: StudyStatus,
    report: Option<Report>,
}

impl Told {
    pub(crate) const fn status(record: OrderRecord, status: StudyStatus) -> Self {
        Self {
            record,
            status,
            report: None,
        }
    }

    /// F: without the text, and with it.
    pub(crate) const fn report(record: OrderRecord, report: Report) -> Self {
        Self {
            record,
            status: StudyStatus::Final,
            report: Some(report),
        }
    }

    fn hears(&self, destination: &Destination) -> bool {
        let modality = self.record.order.attributes.get(Attribute::Modality);
        destination.wants(
            self.status,
            &Source {
                modality: modality.unwrap_or_default(),
                sending_application: &self.record.sending_application,
                sending_facility: &self.record.sending_facility,
            },
        )
    }
}

/// Whether any destination wants to hear it.
pub(crate) fn anybody_hears(told: &Told, action: &Action) -> bool {
    let settings = &action.outgoing.settings;
    settings.destinations.iter().any(|to| told.hears(to))
}

/// Puts the messages into the outbox, a destination after the other; gives their numbers.
pub(crate) fn put<'a>(
    rows: &mut dyn Rows,
    told: &Told,
    action: &Action,
    entry: Entry,
    control_ids: &mut impl Iterator<Item = &'a String>,
) -> Result<Vec<i64>, StoreError> {
    let mut queued = Vec::new();
    for to in &action.outgoing.settings.destinations {
        if !told.hears(to) {
            continue;
        }
        let texts = [None, told.report.as_ref()];
        let wanted = if told.report.is_some() { 2 } else { 1 };
        for report in texts.into_iter().take(wanted) {
            let control_id = control_ids
                .next()
                .ok_or_else(|| StoreError::Database("too few control ids".into()))?;
            let message = Outgoing {
                told,
                to,
                action,
                control_id,
                with_text: report,
            };
            let id = rows.take_id();
            message.put(rows, id, entry)?;
            queued.push(id);
        }
    }
    Ok(queued)
}

struct Outgoing<'a> {
    told: &'a Told,
    to: &'a Destination,
    action: &'a Action,
    control_id: &'a str,
    with_text: Option<&'a Report>,
}

impl Outgoing<'_> {
    fn put(&self, rows: &mut dyn Rows, id: i64, entry: Entry) -> Result<(), StoreError> {
        let order = &self.told.record.order;
        let settings = &self.action.outgoing.settings;
        let raw = self.write()?;
        let time: Timestamp = self.action.outgoing.time;
        rows.put_message(&MessageRow {
            id,
            direction: Direction::Out,
            received_at: entry.at,
            transport: "mllp",
            peer: &self.to.name,
            sending_application: &settings.application,
            sending_facility: &settings.facility,
            sent_at: &time.to_string(),
            message_code: "ORU",
            trigger_event: "R01",
            control_id: self.control_id,
            version: "2.3",
            accession_number: Some(order.accession_number.as_str()),
            patient_id: order.attributes.get(Attribute::PatientId),
            patient_name: order.attributes.get(Attribute::PatientName),
            ack_code: "",
            ack_text: "",
            effect: "",
            digest: digest(&raw),
            findings: &[],
            warnings: &[],
            ack: &[],
            raw: &raw,
        })?;
        rows.put_outbox(&OutboxRow {
            message_id: id,
            destination: &self.to.name,
            accession_number: order.accession_number.as_str(),
            study_status: self.told.status.code(),
            with_text: self.with_text.is_some(),
            caused_by: entry,
        })
    }

    fn write(&self) -> Result<Vec<u8>, StoreError> {
        let (record, report) = (&self.told.record, self.told.report.as_ref());
        let settings = &self.action.outgoing.settings;
        let of = |attribute| record.order.attributes.get(attribute).unwrap_or_default();
        let own = |setting: &Option<String>, own: &str| setting.clone().unwrap_or(own.into());
        let text = self
            .with_text
            .map(|report| in_format(report, self.to.format));
        notification(&Notification {
            sending_application: &settings.application,
            sending_facility: &settings.facility,
            receiving_application: &own(
                &self.to.receiving_application,
                &record.sending_application,
            ),
            receiving_facility: &own(&self.to.receiving_facility, &record.sending_facility),
            time: self.action.outgoing.time,
            control_id: self.control_id,
            segments: &record.order.segments,
            default_charset: settings.default_charset.0,
            study_id: of(Attribute::ScheduledProcedureStepId),
            study_description: of(Attribute::ScheduledProcedureStepDescription),
            status: self.told.status,
            format: self.to.format,
            text: text.as_deref(),
            date: report.map_or("", |report| &report.date),
            physician_id: report.and_then(|r| r.physician_id.as_deref()).unwrap_or(""),
            physician_name: report
                .and_then(|r| r.physician_name.as_deref())
                .unwrap_or(""),
        })
        .map_err(|error| StoreError::Database(error.to_string()))
    }
}

/// The text of a report as a destination wants it.
fn in_format(report: &Report, wanted: ReportFormat) -> String {
    match (report.format, wanted) {
        (ReportFormat::Text, ReportFormat::RichText) => rich_text(&report.text),
        (ReportFormat::RichText, ReportFormat::Text) => text_of_rich_text(&report.text),
        _ => report.text.clone(),
    }
}
