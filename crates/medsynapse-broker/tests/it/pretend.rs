//! A pretend RIS with every fault, and a queue that a lane reads without threads: on tokio's
//! paused clock a day takes no time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use hl7_mllp::client::Dial;
use hl7_mllp::correlate::{Correlate, Hl7};
use hl7_mllp::{ClientConfig, ExchangeError, MllpCodec};
use medsynapse::{AccessionNumber, StudyStatus};
use medsynapse_broker::{ActError, Clock, LaneSource, Pulse};
use medsynapse_store::{
    Action, ActionKind, Delivery, Destination, Done, Next, OrderStep, Outgoing, OutgoingSettings,
    Store, StoreError, Work,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio_util::codec::Encoder as _;

/// What the RIS does with a message, or with a connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Behaviour {
    Accept,
    /// AE or AR.
    Answer(&'static str),
    /// The port is closed.
    Away,
    /// Takes the message and never answers.
    Silent,
    /// Answers for another message.
    Foreign,
    /// Answers after this time.
    Late(Duration),
    /// Half an answer, and closes.
    Half,
    /// Half an answer, and nothing more.
    HalfSilent,
    /// Takes the message and closes.
    Close,
    /// Answers without framing.
    Unframed,
    /// An answer without MSA.
    NoMsa,
}

/// The other side: what it did, and what it is going to do.
#[derive(Debug, Default)]
pub(crate) struct Ris {
    /// What it does next; empty is to accept.
    script: Mutex<VecDeque<Behaviour>>,
    /// What came, by control id and bytes.
    pub(crate) came: Mutex<Vec<(String, Vec<u8>)>>,
    /// What it took with AA, by control id.
    pub(crate) took: Mutex<Vec<String>>,
    pub(crate) connections: Mutex<u32>,
    /// Closed until this moment of tokio's clock.
    away_until: Mutex<Option<tokio::time::Instant>>,
}

impl Ris {
    pub(crate) fn new(script: impl IntoIterator<Item = Behaviour>) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            ..Self::default()
        })
    }

    pub(crate) fn away_for(&self, time: Duration) {
        *self.away_until.lock().unwrap() = Some(tokio::time::Instant::now() + time);
    }

    fn next(&self) -> Behaviour {
        let next = self.script.lock().unwrap().pop_front();
        next.unwrap_or(Behaviour::Accept)
    }

    async fn serve(self: Arc<Self>, mut stream: DuplexStream) {
        let mut codec = MllpCodec::new();
        let mut unread = BytesMut::new();
        loop {
            while let Some(frame) = codec.decode(&mut unread).unwrap() {
                let id = Hl7.control_id(&frame).unwrap();
                let id = String::from_utf8(id.to_vec()).unwrap();
                self.came.lock().unwrap().push((id.clone(), frame.to_vec()));
                let answer = |code: &str, id: &str| {
                    let text = format!(
                        "MSH|^~\\&|RIS|H|||20230614||ACK|X|P|2.3\rMSA|{code}|{id}|Said so\r"
                    );
                    let mut out = BytesMut::new();
                    MllpCodec::new()
                        .encode(bytes::Bytes::from(text), &mut out)
                        .unwrap();
                    out
                };
                match self.next() {
                    Behaviour::Accept => {
                        self.took.lock().unwrap().push(id.clone());
                        let _ = stream.write_all(&answer("AA", &id)).await;
                    }
                    Behaviour::Answer(code) => {
                        let _ = stream.write_all(&answer(code, &id)).await;
                    }
                    Behaviour::Away | Behaviour::Silent => {}
                    Behaviour::Foreign => {
                        let _ = stream.write_all(&answer("AA", "OTHER")).await;
                    }
                    Behaviour::Late(time) => {
                        tokio::time::sleep(time).await;
                        self.took.lock().unwrap().push(id.clone());
                        if stream.write_all(&answer("AA", &id)).await.is_err() {
                            return;
                        }
                    }
                    Behaviour::Half => {
                        let whole = answer("AA", &id);
                        let _ = stream.write_all(&whole[..whole.len() / 2]).await;
                        return;
                    }
                    Behaviour::HalfSilent => {
                        let whole = answer("AA", &id);
                        let _ = stream.write_all(&whole[..whole.len() - 2]).await;
                    }
                    Behaviour::Close => return,
                    Behaviour::Unframed => {
                        let _ = stream.write_all(&vec![b'x'; 100_000]).await;
                        return;
                    }
                    Behaviour::NoMsa => {
                        let mut out = BytesMut::new();
                        let text = "MSH|^~\\&|RIS|H|||20230614||ACK|X|P|2.3\r";
                        codec.encode(bytes::Bytes::from(text), &mut out).unwrap();
                        let _ = stream.write_all(&out).await;
                    }
                }
            }
            match stream.read_buf(&mut unread).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

/// Connects to a [`Ris`].
pub(crate) struct ToRis(pub(crate) Arc<Ris>);

impl Dial for ToRis {
    type Io = DuplexStream;

    async fn dial(&self, _: &ClientConfig) -> Result<DuplexStream, ExchangeError> {
        let away = *self.0.away_until.lock().unwrap();
        if away.is_some_and(|until| tokio::time::Instant::now() < until) {
            return Err(ExchangeError::Refused);
        }
        if self.0.script.lock().unwrap().front() == Some(&Behaviour::Away) {
            self.0.script.lock().unwrap().pop_front();
            return Err(ExchangeError::Refused);
        }
        *self.0.connections.lock().unwrap() += 1;
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(Arc::clone(&self.0).serve(theirs));
        Ok(ours)
    }
}

/// A store that a lane asks without a thread between.
pub(crate) struct Direct {
    pub(crate) store: Arc<dyn Store>,
    pulse: watch::Sender<Pulse>,
}

impl Direct {
    pub(crate) fn new(store: Arc<dyn Store>) -> Arc<Self> {
        let (pulse, _) = watch::channel(Pulse::default());
        Arc::new(Self { store, pulse })
    }

    fn apply(&self, work: Work) -> Result<Done, StoreError> {
        self.store.apply(&[work]).pop().unwrap()
    }

    pub(crate) fn act(&self, kind: ActionKind, number: u64) -> medsynapse_store::Acted {
        let command = matches!(kind, ActionKind::Outbox { .. });
        let acted = self.apply(action(kind, number).into()).unwrap();
        self.pulse.send_modify(|pulse| {
            if command {
                pulse.commands += 1;
            } else {
                pulse.queued += 1;
            }
        });
        acted.action().unwrap()
    }

    /// Queues one message about an order that is there.
    pub(crate) fn tell(&self, accession_number: &str, number: u64) -> i64 {
        let kind = ActionKind::Order {
            accession_number: AccessionNumber::try_from(accession_number).unwrap(),
            step: OrderStep::Read,
        };
        self.act(kind, number).queued[0]
    }
}

/// An action with control ids made of a number.
pub(crate) fn action(kind: ActionKind, number: u64) -> Action {
    let settings = OutgoingSettings {
        application: "PACS_APP".into(),
        facility: "PACS_FACILITY".into(),
        destinations: vec![Destination {
            statuses: StudyStatus::ALL.to_vec(),
            ..Destination::new("ris")
        }],
        ..OutgoingSettings::default()
    };
    Action {
        at: crate::bed::start_of_time(),
        actor: "test".into(),
        idempotency_key: None,
        kind,
        outgoing: Outgoing {
            settings: Arc::new(settings),
            time: "20230614131416".parse().unwrap(),
            control_ids: vec![format!("M{number}"), format!("N{number}")],
        },
    }
}

impl LaneSource for Direct {
    async fn next(&self, destination: &str) -> Result<Option<Next>, StoreError> {
        self.store.next_outgoing(destination)
    }

    async fn settle(&self, delivery: Delivery) -> Result<(), ActError> {
        self.apply(delivery.into()).map(drop).map_err(Into::into)
    }

    fn pulse(&self) -> watch::Receiver<Pulse> {
        self.pulse.subscribe()
    }
}

/// A clock of the wall that somebody sets to and fro: each look shows another year.
#[derive(Default)]
pub(crate) struct JumpingClock(std::sync::atomic::AtomicI64);

impl Clock for JumpingClock {
    fn now(&self) -> DateTime<Utc> {
        let looks = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let years = if looks % 2 == 0 { looks } else { -looks };
        crate::bed::start_of_time() + chrono::TimeDelta::days(365 * (years % 20))
    }
}

/// The clock of the wall as tokio's paused clock moves it.
pub(crate) struct TokioClock(pub(crate) tokio::time::Instant);

impl Clock for TokioClock {
    fn now(&self) -> DateTime<Utc> {
        crate::bed::start_of_time() + self.0.elapsed()
    }
}
