//! [`Script`]: work of every sort, by a seed.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use hl7_message::{AckCode, Charset, Message, Reply, Timestamp};
use medsynapse::{AccessionNumber, Facts, Preset, Profile, ReportFormat, interpret};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{
    Action, ActionKind, DefaultCharset, Delivery, DeliveryOutcome, Destination, Done, FinalReport,
    OrderStep, OutboxCommand, Outgoing, OutgoingSettings, Procedure, ProcedureState, Received,
    StoreError, Transport, Work,
};

/// How many names there are of each sort: few, so that they meet.
const ORDERS: u32 = 7;
const PATIENTS: u32 = 4;
const STEPS: u32 = 4;

/// Makes work, always the same for a seed.
#[derive(Clone)]
pub struct Script {
    random: ChaCha8Rng,
    now: DateTime<Utc>,
    number: u32,
    profile: Profile,
    settings: Arc<OutgoingSettings>,
    /// Messages that may come again.
    sent: Vec<Work>,
    /// The outbox, as far as answers told of it.
    queued: Vec<i64>,
    seed: u64,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script")
            .field("seed", &self.seed)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

fn accession(text: &str) -> AccessionNumber {
    AccessionNumber::try_from(text).expect("an accession number")
}

impl Script {
    /// One that begins at a moment.
    pub fn new(seed: u64, now: DateTime<Utc>) -> Self {
        let second = Destination {
            format: ReportFormat::RichText,
            modalities: vec!["CT".into()],
            ..Destination::new("second")
        };
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            now,
            number: 0,
            profile: Preset::Medsynapse.into(),
            settings: Arc::new(OutgoingSettings {
                application: "BROKER".into(),
                facility: "PACS".into(),
                default_charset: DefaultCharset(Charset::UTF_8),
                destinations: vec![Destination::new("first"), second],
            }),
            sent: Vec::new(),
            queued: Vec::new(),
            seed,
        }
    }

    /// Later from now on.
    pub fn advance(&mut self, by: TimeDelta) {
        self.now += by;
    }

    /// To whom its actions send.
    pub fn destinations(&self) -> Vec<String> {
        let names = self.settings.destinations.iter();
        names.map(|destination| destination.name.clone()).collect()
    }

    /// The accession numbers that it uses.
    pub fn orders() -> impl Iterator<Item = String> {
        (0..ORDERS).map(|n| format!("A{n}"))
    }

    /// The patient ids that it uses.
    pub fn patients() -> impl Iterator<Item = String> {
        (0..PATIENTS).map(|n| format!("P{n}"))
    }

    /// The procedure steps that it uses.
    pub fn procedures() -> impl Iterator<Item = String> {
        (0..STEPS).map(|n| format!("1.2.826.0.1.{n}"))
    }

    /// Takes in what became of a batch.
    pub fn learn(&mut self, done: &[Result<Done, StoreError>]) {
        for done in done {
            if let Ok(Done::Action(acted)) = done {
                self.queued.extend(&acted.queued);
            }
        }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.random.next_u32() % end
    }

    fn any_order(&mut self) -> String {
        format!("A{}", self.below(ORDERS))
    }

    fn any_patient(&mut self) -> String {
        format!("P{}", self.below(PATIENTS))
    }

    /// The next control id.
    fn control_id(&mut self) -> String {
        self.number += 1;
        format!("S{}-{}", self.seed, self.number)
    }

    /// A message under this control id.
    ///
    /// # Panics
    ///
    /// It is none.
    pub fn under(&self, control_id: &str, kind: &str, rest: &str) -> Work {
        let bytes = format!(
            "MSH|^~\\&|RIS|HOSPITAL|PACS|PACS|20230614131415||{kind}|{control_id}|P|2.3\r{rest}"
        );
        let message = Message::parse(bytes.as_bytes()).expect("a message");
        let read = interpret(&message, &self.profile);
        let time = Timestamp::parse(b"20230614131416").expect("a time");
        let responder = &self.profile.responder;
        let reply = Reply::to(&message.header(), responder, "R1", &time);
        Work::from(Received {
            received_at: self.now,
            transport: Transport::Mllp,
            peer: "192.0.2.1:50000".into(),
            facts: Facts::of(&message, &self.profile),
            outcome: read.outcome,
            warnings: read.warnings,
            reply,
            accept_reused_control_id: self.profile.accept_reused_control_id,
            send_err: self.profile.send_err,
            default_charset: self.profile.default_charset,
            raw: bytes.clone().into_bytes(),
        })
    }

    fn message(&mut self, kind: &str, rest: &str) -> Work {
        let control_id = self.control_id();
        let work = self.under(&control_id, kind, rest);
        self.sent.push(work.clone());
        work
    }

    /// What an order says.
    pub fn order_text(&self, control: &str, order: &str, patient: &str) -> String {
        let number = self.number;
        let (day, hour) = (1 + number % 28, number % 24);
        let modality = match number % 3 {
            0 => "CT",
            1 => "MR",
            _ => "US",
        };
        format!(
            "PID|1||{patient}||M\u{fc}ller{number}^Anna||198001{day:02}|F||||||||||ADM1\rPV1|1|O\r\
             ORC|{control}\rOBR|1|{order}||X1^CHEST|ROUTINE||||||||||CHEST {number}|||ST{modality}|\
             RP1||{modality}1|||{modality}||||||||||||202306{day:02}{hour:02}2030\r"
        )
    }

    /// An order.
    pub fn order(&mut self, control: &str, order: &str, patient: &str) -> Work {
        self.number += 1;
        let text = self.order_text(control, order, patient);
        self.message("ORM^O01", &text)
    }

    /// The end of an order.
    pub fn cancel(&mut self, order: &str) -> Work {
        self.message("ORM^O01", &format!("ORC|CA\rOBR|1|{order}\r"))
    }

    /// A report.
    pub fn report(&mut self, order: &str) -> Work {
        let text = format!(
            "PID|1||P1||SMITH^JOHN||19800101|M\rOBR|1|{order}\r\
             OBX|1|TX|X1^CHEST||normal {}||||||F|||20230614140000||7^DOE\r",
            self.number
        );
        self.message("ORU^R01", &text)
    }

    /// A patient goes to another.
    pub fn merge(&mut self, from: &str, into: &str) -> Work {
        let text = format!("EVN|A40|20230614\rPID|1||{into}\rMRG|{from}\r");
        self.message("ADT^A40", &text)
    }

    fn act(&mut self, kind: ActionKind, key: Option<String>) -> Work {
        let ids = (0..256).map(|_| self.control_id()).collect();
        Work::from(Action {
            at: self.now,
            actor: "a key".into(),
            idempotency_key: key,
            kind,
            outgoing: Outgoing {
                settings: Arc::clone(&self.settings),
                time: Timestamp::parse(b"20230614131416").expect("a time"),
                control_ids: ids,
            },
        })
    }

    /// A step in the life of an order.
    pub fn step(&mut self, order: &str, step: OrderStep) -> Work {
        let kind = ActionKind::Order {
            accession_number: accession(order),
            step,
        };
        self.act(kind, None)
    }

    /// Something done to a message of the outbox.
    pub fn command(&mut self, message_id: i64, command: OutboxCommand) -> Work {
        let kind = ActionKind::Outbox {
            message_id,
            command,
        };
        self.act(kind, None)
    }

    /// A try to deliver.
    pub fn delivery(message_id: i64, outcome: DeliveryOutcome, at: DateTime<Utc>) -> Work {
        let code = match outcome {
            DeliveryOutcome::Accepted => Some(AckCode::ApplicationAccept),
            DeliveryOutcome::Refused => Some(AckCode::ApplicationReject),
            DeliveryOutcome::Failed => None,
        };
        let answer = code.map(|code| {
            format!("MSH|^~\\&|RIS|H|B|P|20230614||ACK|Q{message_id}|P|2.3\rMSA|{code}|X|said\r")
        });
        Work::Delivery(Delivery {
            message_id,
            at,
            took_micros: 1_234,
            outcome,
            reason: code.map_or("time-out".into(), |code| format!("{code} said")),
            answer: answer.map(String::into_bytes),
            fence: None,
        })
    }

    /// Work for one commit.
    pub fn batch(&mut self) -> Vec<Work> {
        let count = 1 + self.below(24);
        (0..count).map(|_| self.any()).collect()
    }

    fn any(&mut self) -> Work {
        let (order, patient) = (self.any_order(), self.any_patient());
        match self.below(30) {
            0..=8 => self.order("NW", &order, &patient),
            9 => self.order("XO", &order, &patient),
            10 => self.cancel(&order),
            11 => self.message("ORM^O01", &format!("ORC|CM\rOBR|1|{order}\r")),
            12 | 13 => self.report(&order),
            14 => {
                let text = format!(
                    "EVN|A08|20230614\rPID|1||{patient}||NAME{}^\"\"|||M\r",
                    self.number
                );
                self.message("ADT^A08", &text)
            }
            15 => {
                let other = self.any_patient();
                self.merge(&patient, &other)
            }
            // Refused, with all that is missing.
            16 => self.message(
                "ORM^O01",
                &format!("PID|1||{patient}\rORC|NW\rOBR|1|{order}\r"),
            ),
            17 | 18 => match self.sent.len() {
                0 => self.order("NW", &order, &patient),
                count => {
                    let place = self.below(u32::try_from(count).unwrap_or(1));
                    let again = self.sent.get(usize::try_from(place).unwrap_or(0));
                    again.cloned().expect("it was sent")
                }
            },
            19 => {
                // Another content under a control id that is used over and over.
                let text = self.order_text("NW", &order, &patient);
                let text = text.replace("ROUTINE", &format!("STAT{}", self.below(3)));
                self.under("REUSED", "ORM^O01", &text)
            }
            20..=23 => self.any_step(&order),
            24 => self.any_procedure(&order),
            _ => self.any_outbox(),
        }
    }

    fn any_step(&mut self, order: &str) -> Work {
        let report = FinalReport {
            format: ReportFormat::Text,
            text: format!("seen\nand {}", self.number),
            date: String::new(),
            physician_id: Some("7".into()),
            physician_name: None,
        };
        let steps = [
            OrderStep::Arrived,
            OrderStep::Ready,
            OrderStep::Started,
            OrderStep::Completed,
            OrderStep::Discontinued,
            OrderStep::Rescheduled,
            OrderStep::StudyArriving,
            OrderStep::StudyArrived,
            OrderStep::Read,
            OrderStep::Final(Some(report)),
            OrderStep::Final(None),
            OrderStep::Printed,
        ];
        let place = self.below(12);
        let step = steps.into_iter().nth(usize::try_from(place).unwrap_or(0));
        let kind = ActionKind::Order {
            accession_number: accession(order),
            step: step.expect("one of twelve"),
        };
        let key = match self.below(6) {
            n @ 0..=2 => Some(format!("key {}", n + 3 * (self.number % 5))),
            _ => None,
        };
        self.act(kind, key)
    }

    fn any_procedure(&mut self, order: &str) -> Work {
        let create = self.below(2) == 0;
        let state = match self.below(3) {
            1 if !create => ProcedureState::Completed,
            2 if !create => ProcedureState::Discontinued,
            _ => ProcedureState::InProgress,
        };
        let uid = self.below(STEPS);
        let kind = ActionKind::Procedure(Procedure {
            sop_instance_uid: format!("1.2.826.0.1.{uid}"),
            create,
            state,
            station_ae_title: "CT1".into(),
            study_instance_uid: (self.below(2) == 0).then(|| "1.2.3".into()),
            accession_numbers: (0..self.below(3)).map(|_| accession(order)).collect(),
            dataset: vec![0, 1, 2, 255],
            reschedule_discontinued: self.below(2) == 0,
        });
        self.act(kind, None)
    }

    fn any_outbox(&mut self) -> Work {
        let count = u32::try_from(self.queued.len()).unwrap_or(0);
        let message_id = match count {
            0 => 404,
            count => {
                let place = usize::try_from(self.below(count)).unwrap_or(0);
                self.queued.get(place).copied().unwrap_or(404)
            }
        };
        let (command, outcome) = match self.below(3) {
            0 => (OutboxCommand::Retry, DeliveryOutcome::Accepted),
            1 => (OutboxCommand::Hold, DeliveryOutcome::Refused),
            _ => (OutboxCommand::Cancel, DeliveryOutcome::Failed),
        };
        if self.below(2) == 0 {
            self.command(message_id, command)
        } else {
            Self::delivery(message_id, outcome, self.now)
        }
    }
}
