//! [`Broker`]: a message in, its acknowledgement out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hl7_message::{AckCode, Header, Reply};
use medsynapse::Profile;
use medsynapse_store::{
    Acted, Action, ActionKind, DefaultCharset, Delivery, Destination, Done, Event, EventKind,
    Outgoing, OutgoingSettings, Received, Settled, Store, StoreError, Transport, Work,
};
use tokio::sync::{broadcast, watch};

use crate::clock::Clock;
use crate::control_id::ControlIds;
use crate::follower::Follower;
use crate::intake::{Closed, Intake, Outcome, Queue};
use crate::outbox::Pulse;
use crate::read::read;

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
    /// Who hears of studies and reports.
    pub destinations: Vec<Destination>,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            event_backlog: 1_024,
            destinations: Vec::new(),
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

/// Why an action was not done.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker is going down.
    #[error("the broker is shutting down")]
    Closed,
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
    _follower: Option<Follower>,
    clock: Arc<dyn Clock>,
    control_ids: ControlIds,
    events: broadcast::Sender<Event>,
    outgoing: Arc<OutgoingSettings>,
    /// Counts whenever what waits for a destination may have changed.
    outbox: watch::Receiver<Pulse>,
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
        let (moved, outbox) = watch::channel(Pulse::default());
        let moved = Arc::new(moved);
        let follower = Follower::start(&store, &events, &moved)?;
        // What several servers do is told from their log, in its order.
        let sender = follower.is_none().then(|| events.clone());
        let intake = Intake::start(Arc::clone(&store), move |work, done| {
            if let Some(sender) = &sender {
                tell(sender, done);
            }
            if let Work::Action(action) = work {
                // Something may wait now, or wait no more.
                moved.send_modify(|pulse| match action.kind {
                    ActionKind::Outbox { .. } => pulse.commands = pulse.commands.wrapping_add(1),
                    _ => pulse.queued = pulse.queued.wrapping_add(1),
                });
            }
        })?;
        let responder = &config.profile.responder;
        let outgoing = OutgoingSettings {
            application: responder.application.clone(),
            facility: responder.facility.clone(),
            default_charset: DefaultCharset(config.profile.default_charset),
            destinations: config.destinations,
        };
        let control_ids = ControlIds::starting_at(clock.now());
        Ok(Arc::new(Self {
            profile: config.profile,
            store,
            intake,
            _follower: follower,
            clock,
            control_ids,
            events,
            outgoing: Arc::new(outgoing),
            outbox,
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
        match self.intake.put(received.into()).await {
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

    /// Does something to an order, a procedure step or a message of the outbox, and gives what
    /// became of it once that is on disk.
    ///
    /// `actor` is who does it: the name of a key, an AE title; no patient. The same
    /// `idempotency_key` again gives the first answer again.
    ///
    /// # Errors
    ///
    /// The store failed, or the broker is going down; nothing was done then.
    pub async fn act(
        &self,
        kind: ActionKind,
        actor: impl Into<String>,
        idempotency_key: Option<String>,
    ) -> Result<Acted, ActError> {
        let at = self.clock.now();
        let ids = 2 * self.outgoing.destinations.len() * orders_of(&kind);
        let action = Action {
            at,
            actor: actor.into(),
            idempotency_key,
            kind,
            outgoing: Outgoing {
                settings: Arc::clone(&self.outgoing),
                time: self.clock.timestamp(at),
                control_ids: (0..ids).map(|_| self.control_ids.next()).collect(),
            },
        };
        let done = self.work(action.into()).await?;
        done.action()
            .ok_or_else(|| StoreError::Database("another answer was due".into()).into())
    }

    /// Keeps what became of a try to deliver a message.
    ///
    /// # Errors
    ///
    /// As [`act`](Self::act).
    pub async fn settle(&self, delivery: Delivery) -> Result<Settled, ActError> {
        let done = self.work(delivery.into()).await?;
        done.delivery()
            .ok_or_else(|| StoreError::Database("another answer was due".into()).into())
    }

    async fn work(&self, work: Work) -> Result<Done, ActError> {
        let outcome = self
            .intake
            .put(work)
            .await
            .map_err(|Closed| ActError::Closed)?;
        // The writer thread is gone with the work in its hands.
        Ok(outcome.await.map_err(|_| ActError::Closed)??)
    }

    /// Changes whenever what waits for a destination may have changed.
    pub fn outbox_changes(&self) -> watch::Receiver<Pulse> {
        self.outbox.clone()
    }

    /// Who hears of studies and reports.
    pub fn destinations(&self) -> &[Destination] {
        &self.outgoing.destinations
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
            id: None,
            at: self.clock.now(),
            kind,
        });
    }

    /// The store, to read from.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Tells the time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
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
        let reply = |header: Option<&Header<'_>>| self.reply(header);
        read(frame, origin, self.clock.now(), &self.profile, reply)
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

fn answer(outcome: Outcome, reply: &Reply) -> Answer {
    match outcome.map(Done::message) {
        Ok(Some(applied)) => Answer {
            message_id: Some(applied.message_id),
            code: applied.code,
            text: applied.text,
            ack: applied.ack.into(),
            duplicate: applied.duplicate,
        },
        Ok(None) | Err(_) => negative(reply, NOT_STORED),
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

/// How many orders an action may tell of: a procedure step that names none is about those it
/// named before, of which 64 are enough.
fn orders_of(kind: &ActionKind) -> usize {
    match kind {
        ActionKind::Order { .. } => 1,
        ActionKind::Procedure(procedure) => procedure.accession_numbers.len().max(64),
        ActionKind::Outbox { .. } => 0,
    }
}

/// Tells whoever listens what is on disk.
fn tell(events: &broadcast::Sender<Event>, done: &Done) {
    if events.receiver_count() == 0 {
        return;
    }
    for event in done.events() {
        // The last listener may just have gone.
        let _ = events.send(event.clone());
    }
}
