//! [`Scribe`]: writes the messages.

use std::borrow::Cow;

use hl7_message::{AckCode, Charset, Message, Reply, Responder, WriteError};

use super::Options;
use super::clock::Moment;
use super::generated::{Expected, Generated, Kind};
use super::ids::Ids;
use super::order::{Order, READERS};
use super::patient::Patient;
use super::reports::write_report;
use super::sheet::Sheet;
use crate::map::Attribute;
use crate::profile::Profile;
use crate::render::{self, Given, Header, Known, Observation, OrderDetails};

/// Writes messages with texts that are used again, so that little is allocated for each.
#[derive(Debug)]
pub(super) struct Scribe {
    ids: Ids,
    offset: Option<i16>,
    sheet: Sheet,
    report: String,
    time: String,
    next_message: u64,
    /// What the next acknowledgement answers: MSH-9.2, MSH-10 and MSA-3.
    last: Option<(&'static str, String, Cow<'static, str>)>,
}

/// What a message is written from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'s> {
    Order {
        control: &'static str,
        order: &'s Order,
        patient: &'s Patient,
        text: &'static str,
    },
    Report {
        order: &'s Order,
        patient: &'s Patient,
        addenda: u32,
        text: &'static str,
    },
    Update {
        patient: &'s Patient,
    },
    Merge {
        from: u64,
        into: &'s Patient,
    },
}

impl Scribe {
    pub(super) fn new(ids: Ids, offset: Option<i16>) -> Self {
        Self {
            ids,
            offset,
            sheet: Sheet::default(),
            report: String::new(),
            time: String::new(),
            next_message: 1,
            last: None,
        }
    }

    /// Writes one message of `now`.
    #[expect(
        clippy::expect_used,
        reason = "the usual delimiters carry every text, and the places are the mapping's own"
    )]
    pub(super) fn write(
        &mut self,
        subject: Subject<'_>,
        now: Moment,
        options: &Options,
    ) -> Generated {
        let control_id = self.control_id();
        self.fill(subject);
        self.time.clear();
        now.write_to(&mut self.time, self.offset);
        let header = Header {
            sending_application: &options.sending_application,
            sending_facility: &options.sending_facility,
            receiving_application: &options.receiving_application,
            receiving_facility: &options.receiving_facility,
            time: &self.time,
            control_id: &control_id,
        };
        let known = self.sheet.known();
        let (kind, text, bytes) = match subject {
            Subject::Order {
                control,
                order,
                text,
                ..
            } => {
                let details = OrderDetails {
                    control,
                    patient_class: order.patient_class(),
                };
                let bytes = render::order_of(&header, &details, &known);
                (Kind::Order, Some(text), bytes)
            }
            Subject::Report {
                order,
                addenda,
                text,
                ..
            } => {
                self.report.clear();
                write_report(&mut self.report, order, addenda);
                let bytes = self.report_message(&header, order, &known);
                (Kind::Report, Some(text), bytes)
            }
            Subject::Update { .. } => {
                let bytes = render::patient_update_of(&header, &known);
                (Kind::PatientUpdate, None, bytes)
            }
            Subject::Merge { from, .. } => {
                let from = self.ids.text('P', from);
                let bytes = render::patient_merge_of(&header, &known, &from);
                (Kind::PatientMerge, None, bytes)
            }
        };
        let own = |attribute: Attribute| {
            let value = known.get(attribute as usize).copied();
            value.and_then(Given::text).map(str::to_owned)
        };
        let (accession_number, patient_id) =
            (own(Attribute::AccessionNumber), own(Attribute::PatientId));
        let answer = text.map_or(Cow::Borrowed("Message accepted."), Cow::Borrowed);
        self.last = Some((kind.event(), control_id.clone(), answer));
        Generated {
            kind,
            control_id,
            accession_number,
            patient_id,
            expected: Expected {
                rule: "conformant",
                code: AckCode::ApplicationAccept,
                text: text.map(Cow::Borrowed),
            },
            bytes: in_charset(
                bytes.expect("text under the usual delimiters"),
                options.charset,
            ),
        }
    }

    /// The receiver's acknowledgement of the message before, or of one that nobody told of.
    pub(super) fn acknowledge(&mut self, now: Moment, options: &Options) -> Generated {
        let (event, last, text) = match self.last.take() {
            Some(last) => last,
            None => ("O01", self.control_id(), "Message accepted.".into()),
        };
        let control_id = self.control_id();
        let header = format!(
            "MSH|^~\\&|{}|{}|{}|{}|||ORM^{event}|{last}|P|2.3\r",
            options.sending_application,
            options.sending_facility,
            options.receiving_application,
            options.receiving_facility,
        );
        let responder = Responder {
            application: options.receiving_application.clone(),
            facility: options.receiving_facility.clone(),
            ..Profile::default().responder
        };
        let time = now.timestamp(self.offset);
        let reply = match Message::parse(header.as_bytes()) {
            Ok(message) => Reply::to(&message.header(), &responder, &control_id, &time),
            Err(_) => Reply::to_nobody(&responder, &control_id, &time),
        };
        Generated {
            kind: Kind::Acknowledgement,
            bytes: reply.write(AckCode::ApplicationAccept, &text, &[]),
            control_id,
            accession_number: None,
            patient_id: None,
            expected: Expected {
                rule: "conformant",
                code: AckCode::ApplicationAccept,
                text: None,
            },
        }
    }

    fn control_id(&mut self) -> String {
        let number = self.next_message;
        self.next_message += 1;
        self.ids.text('M', number)
    }

    fn fill(&mut self, subject: Subject<'_>) {
        let sheet = &mut self.sheet;
        sheet.clear();
        match subject {
            Subject::Order { order, patient, .. } | Subject::Report { order, patient, .. } => {
                patient.write_to(sheet, &self.ids);
                patient.write_birth_date_to(sheet);
                patient.write_weight_to(sheet);
                order.write_to(sheet, &self.ids, self.offset);
            }
            Subject::Update { patient } | Subject::Merge { into: patient, .. } => {
                patient.write_to(sheet, &self.ids);
                patient.write_birth_date_to(sheet);
            }
        }
    }

    fn report_message(
        &self,
        header: &Header<'_>,
        order: &Order,
        known: &Known<'_>,
    ) -> Result<Vec<u8>, WriteError> {
        let details = OrderDetails {
            control: "NW",
            patient_class: order.patient_class(),
        };
        let reader = READERS.get(order.reader).copied().unwrap_or_default();
        let observation = Observation {
            format: "TX",
            text: &self.report,
            status: "F",
            date: &self.time,
            physician_id: reader.0,
            physician_name: reader.1,
        };
        render::report_of(header, &details, known, &observation)
    }
}

/// The message in another character set than UTF-8, MSH-18 included.
fn in_charset(bytes: Vec<u8>, charset: Charset) -> Vec<u8> {
    if charset == Charset::UTF_8 || bytes.is_ascii() {
        return bytes;
    }
    let text = String::from_utf8_lossy(&bytes).replacen(Charset::UTF_8.name(), charset.name(), 1);
    match charset.encode(&text) {
        Ok(encoded) => encoded.into_owned(),
        // Names are chosen by the set; whatever else is passed in stays as it can be read.
        Err(_) => bytes,
    }
}
