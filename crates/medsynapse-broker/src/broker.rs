//! [`Broker`]: a message in, its acknowledgement out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hl7_message::{AckCode, ErrorCondition, Header, Location, Message, Reply, SegmentId};
use medsynapse::interpret::is_acknowledgement;
use medsynapse::{Effect, Facts, Profile, Rejection, interpret};
use medsynapse_store::{Applied, Received, Store, Transport};
use tokio::sync::{broadcast, watch};

use crate::clock::Clock;
use crate::control_id::ControlIds;
use crate::event::{Event, EventKind};
use crate::intake::{Closed, Intake, Outcome, Queue};

/// MSA-3 when the store could not take the message.
const NOT_STORED: &str = "The broker could not store the message; send it again later.";
/// MSA-3 when the broker is going down.
const SHUTTING_DOWN: &str = "The broker is shutting down; send the message again later.";

/// How a broker is set up.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// How messages are read and answered.
    pub profile: Profile,
    /// How many events a slow listener may be behind before it loses some.
    pub event_backlog: usize,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            event_backlog: 1_024,
        }
    }
}

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// How it came.
    pub transport: Transport,
    /// From which address.
    pub peer: String,
}

/// What a sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The number of the message in the log; `None` where it could not be stored.
    pub message_id: Option<i64>,
    /// MSA-1
    pub code: AckCode,
    /// MSA-3
    pub text: String,
    /// The whole acknowledgement.
    pub ack: Bytes,
    /// Whether the message was here before and this is the first answer again.
    pub duplicate: bool,
}

/// An answer that comes when the message is on disk, or cannot be stored. `None` for bytes that
/// are themselves an acknowledgement: these are never answered.
pub type Pending = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

/// The broker: reads messages, has them stored, answers.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use medsynapse_broker::{Broker, BrokerConfig, Origin, SystemClock};
/// use medsynapse_store::{SqliteStore, Transport};
///
/// let directory = tempfile::tempdir()?;
/// let store = Arc::new(SqliteStore::open(directory.path())?);
/// let broker = Broker::start(store, BrokerConfig::default(), Arc::new(SystemClock))?;
/// let origin = Origin { transport: Transport::Mllp, peer: "127.0.0.1:50000".into() };
/// let message = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|M1|P|2.3\rORC|CA\rOBR|1|ACC1\r";
/// let answer = broker.receive(message[..].into(), origin).await.unwrap();
/// assert_eq!(answer.text, "No order has accession number ACC1.");
/// # Ok(())
/// # }
/// ```
pub struct Broker {
    profile: Profile,
    store: Arc<dyn Store>,
    intake: Intake,
    clock: Arc<dyn Clock>,
    control_ids: ControlIds,
    events: broadcast::Sender<Event>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("profile", &self.profile.preset)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// Starts a broker over a store.
    ///
    /// # Errors
    ///
    /// The system gives no thread to write with.
    pub fn start(
        store: Arc<dyn Store>,
        config: BrokerConfig,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Arc<Self>> {
        let (events, _) = broadcast::channel(config.event_backlog);
        let (sender, times) = (events.clone(), Arc::clone(&clock));
        let intake = Intake::start(Arc::clone(&store), move |_, applied| {
            publish(&sender, times.now(), applied);
        })?;
        let control_ids = ControlIds::starting_at(clock.now());
        Ok(Arc::new(Self {
            profile: config.profile,
            store,
            intake,
            clock,
            control_ids,
            events,
        }))
    }

    /// Takes a message and gives its answer, once it is on disk.
    pub async fn receive(&self, frame: Bytes, origin: Origin) -> Option<Answer> {
        self.submit(frame, origin).await.await
    }

    /// Takes a message into the queue, waiting for room, and gives its answer to wait for.
    ///
    /// Messages that are submitted one after the other are applied in that order.
    pub async fn submit(&self, frame: Bytes, origin: Origin) -> Pending {
        let Some(received) = self.read(&frame, origin) else {
            let header = Header::salvage(&frame);
            let control_id = header
                .map(|header| String::from_utf8_lossy(header.control_id().as_bytes()).into_owned());
            tracing::info!(
                ?control_id,
                "an acknowledgement came in unasked; it is not answered"
            );
            return Box::pin(std::future::ready(None));
        };
        let reply = received.reply.clone();
        match self.intake.put(received).await {
            Ok(outcome) => Box::pin(async move {
                Some(match outcome.await {
                    Ok(outcome) => answer(outcome, &reply),
                    // The writer thread is gone with the message in its hands.
                    Err(_) => negative(&reply, NOT_STORED),
                })
            }),
            Err(Closed) => Box::pin(std::future::ready(Some(negative(&reply, SHUTTING_DOWN)))),
        }
    }

    /// The answer to bytes in whose processing something broke.
    pub fn failure(&self, frame: &[u8]) -> Bytes {
        negative(&self.reply(Header::salvage(frame).as_ref()), NOT_STORED).ack
    }

    /// What happened, from now on. A listener that falls behind is told how much it lost.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells everybody who listens.
    pub fn publish(&self, kind: EventKind) {
        // Nobody listening is fine.
        let _ = self.events.send(Event {
            at: self.clock.now(),
            kind,
        });
    }

    /// The store, to read from.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// How messages are read and answered.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Why the store takes nothing more, once that has happened: the program should end then.
    pub fn store_failure(&self) -> watch::Receiver<Option<String>> {
        self.intake.failure()
    }

    /// Whether the last message that came in could be stored: false while the disk is full.
    pub fn is_storing(&self) -> bool {
        self.intake.is_storing()
    }

    /// The messages that have no answer yet.
    pub fn queue(&self) -> Queue {
        self.intake.queue()
    }

    /// Takes no more messages, and returns when those in hand are on disk. Blocks.
    pub fn close(&self) {
        self.intake.close();
    }

    /// Reads a message; `None` for an acknowledgement.
    fn read(&self, frame: &Bytes, origin: Origin) -> Option<Received> {
        let (facts, outcome, warnings, reply) = match Message::parse(frame) {
            Ok(message) if is_acknowledgement(&message) => return None,
            Ok(message) => {
                let read = interpret(&message, &self.profile);
                let facts = Facts::of(&message, &self.profile);
                (
                    facts,
                    read.outcome,
                    read.warnings,
                    self.reply(Some(&message.header())),
                )
            }
            Err(error) => {
                let header = Header::salvage(frame);
                let facts = header.as_ref().map(Facts::of_header).unwrap_or_default();
                let refusal = batch(frame).unwrap_or_else(|| error.into());
                (facts, Err(refusal), Vec::new(), self.reply(header.as_ref()))
            }
        };
        Some(Received {
            raw: frame.to_vec(),
            received_at: self.clock.now(),
            transport: origin.transport,
            peer: origin.peer,
            facts,
            outcome,
            warnings,
            reply,
            accept_reused_control_id: self.profile.accept_reused_control_id,
            send_err: self.profile.send_err,
        })
    }

    fn reply(&self, header: Option<&Header<'_>>) -> Reply {
        let control_id = self.control_ids.next();
        let now = self.clock.timestamp(self.clock.now());
        let responder = &self.profile.responder;
        match header {
            Some(header) => Reply::to(header, responder, &control_id, &now),
            None => Reply::to_nobody(responder, &control_id, &now),
        }
    }
}

/// The refusal of a frame that holds a batch.
fn batch(frame: &[u8]) -> Option<Rejection> {
    let start = frame.trim_ascii_start();
    let id = match start.get(..3)? {
        b"FHS" => SegmentId::FHS,
        b"BHS" => SegmentId::BHS,
        _ => return None,
    };
    let offset = frame.len() - start.len();
    let text = "Batches are not supported; send one message a frame.";
    let condition = ErrorCondition::UnsupportedMessageType;
    Some(Rejection::single(
        condition,
        Location::of(id),
        Some(offset),
        text,
    ))
}

fn answer(outcome: Outcome, reply: &Reply) -> Answer {
    match outcome {
        Ok(applied) => Answer {
            message_id: Some(applied.message_id),
            code: applied.code,
            text: applied.text,
            ack: applied.ack.into(),
            duplicate: applied.duplicate,
        },
        Err(_) => negative(reply, NOT_STORED),
    }
}

fn negative(reply: &Reply, text: &str) -> Answer {
    let code = AckCode::ApplicationError;
    let ack = reply.write(code, text, &[]).into();
    Answer {
        message_id: None,
        code,
        text: text.into(),
        ack,
        duplicate: false,
    }
}

fn publish(events: &broadcast::Sender<Event>, at: DateTime<Utc>, applied: &Applied) {
    let message_id = applied.message_id;
    if applied.duplicate || events.receiver_count() == 0 {
        return;
    }
    let tell = |kind| {
        // The last listener may just have gone.
        let _ = events.send(Event { at, kind });
    };
    tell(EventKind::MessageReceived { message_id });
    let accession_number = applied.accession_number.clone().unwrap_or_default();
    match &applied.effect {
        Some(Effect::OrderRegistered) => {
            tell(EventKind::OrderCreated {
                accession_number,
                message_id,
            });
        }
        Some(Effect::OrderUpdated) => {
            tell(EventKind::OrderUpdated {
                accession_number,
                message_id,
            });
        }
        Some(Effect::OrderCancelled) => {
            tell(EventKind::OrderCancelled {
                accession_number,
                message_id,
            });
        }
        Some(Effect::OrderCompleted) => {
            tell(EventKind::OrderCompleted {
                accession_number,
                message_id,
            });
        }
        Some(Effect::ReportRegistered | Effect::ReportUpdated) => {
            tell(EventKind::ReportStored {
                accession_number,
                message_id,
            });
        }
        Some(Effect::PatientUpdated { .. }) => tell(EventKind::PatientUpdated { message_id }),
        Some(Effect::PatientMerged { .. }) => tell(EventKind::PatientMerged { message_id }),
        Some(Effect::UnknownOrder(_) | Effect::ControlIdReused) | None => {}
    }
}
