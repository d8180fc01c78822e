//! The lane of a destination over a network that breaks: partitions, packets that are held, a
//! RIS and a broker that crash and come back, all from a seed, in simulated time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hl7_mllp::client::Dial;
use hl7_mllp::correlate::{Correlate, Hl7};
use hl7_mllp::{ClientConfig, ExchangeError, MllpCodec};
use medsynapse_broker::{LaneConfig, Outbox};
use medsynapse_store::{OutboxQuery, OutboxState, Paging, Store};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::Encoder as _;
use tokio_util::sync::CancellationToken;
use turmoil::net::{TcpListener, TcpStream};

use crate::pretend::{Direct, TokioClock};
use crate::simulation::{Dice, copied, template};

pub(crate) const MESSAGES: u64 = 12;
const PORT: u16 = 2575;

/// Connects over the simulated network.
pub(crate) struct OverTheNetwork;

impl Dial for OverTheNetwork {
    type Io = TcpStream;

    async fn dial(&self, config: &ClientConfig) -> Result<TcpStream, ExchangeError> {
        match tokio::time::timeout(config.connect_timeout, TcpStream::connect(("ris", PORT))).await
        {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(_)) => Err(ExchangeError::Refused),
            Err(_) => Err(ExchangeError::ConnectTimeout),
        }
    }
}

/// What the RIS has on its disk: it survives a crash.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    came: Mutex<Vec<String>>,
    took: Mutex<Vec<String>>,
    dice: Mutex<Option<ChaCha8Rng>>,
    /// Answers that were for another message.
    foreign: AtomicU64,
}

fn answer(code: &str, id: &str) -> BytesMut {
    let text = format!("MSH|^~\\&|RIS|H|||20230614||ACK|X|P|2.3\rMSA|{code}|{id}|Said so\r");
    let mut out = BytesMut::new();
    MllpCodec::new()
        .encode(Bytes::from(text), &mut out)
        .unwrap();
    out
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            dice: Mutex::new(Some(ChaCha8Rng::seed_from_u64(seed ^ 0xD15C))),
            ..Self::default()
        })
    }

    fn below(&self, end: u64) -> u64 {
        let mut dice = self.dice.lock().unwrap();
        dice.as_mut().unwrap().next_u64() % end
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut codec = MllpCodec::new();
        let mut unread = BytesMut::new();
        loop {
            while let Some(frame) = codec.decode(&mut unread).unwrap() {
                let id = Hl7.control_id(&frame).unwrap();
                let id = String::from_utf8(id.to_vec()).unwrap();
                self.came.lock().unwrap().push(id.clone());
                let out = if self.below(16) == 0 {
                    self.foreign.fetch_add(1, Ordering::Relaxed);
                    answer("AA", "OTHER")
                } else {
                    self.took.lock().unwrap().push(id.clone());
                    answer("AA", &id)
                };
                if stream.write_all(&out).await.is_err() {
                    return;
                }
            }
            match stream.read_buf(&mut unread).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

/// A RIS with this disk, as `ris`.
pub(crate) fn ris(sim: &mut turmoil::Sim<'_>, disk: &Arc<Disk>) {
    let ris = Arc::clone(disk);
    sim.host("ris", move || {
        let ris = Arc::clone(&ris);
        async move {
            let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(Arc::clone(&ris).serve(stream));
            }
        }
    });
}

/// What is broken now.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    Partition,
    Held,
    Ris,
}

fn simulate(template: &TempDir, seed: u64) -> (Vec<String>, u64) {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let directory = copied(template);
    let store = Arc::new(crate::bed::open(directory.path()).unwrap());
    let direct = Direct::new(store.clone());
    let disk = Disk::new(seed);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_hours(2))
        .tick_duration(Duration::from_millis(100))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(200))
        .build();
    ris(&mut sim, &disk);
    let source = Arc::clone(&direct);
    let starts = Arc::new(AtomicU64::new(seed));
    sim.host("broker", move || {
        let source = Arc::clone(&source);
        let seed = starts.fetch_add(1, Ordering::Relaxed);
        async move {
            let config = LaneConfig {
                seed,
                ..LaneConfig::new("ris")
            };
            let clock = Arc::new(TokioClock(tokio::time::Instant::now()));
            let mut outbox = Outbox::new();
            let never = CancellationToken::new();
            outbox.start(source, OverTheNetwork, config, clock, never);
            outbox.ended().await;
            Ok(())
        }
    });
    let mut interruptions = 0;
    let mut broken = Broken::Nothing;
    let mut told = 0;
    let mut next_message = dice.millis(5_000);
    let mut next_trouble = dice.millis(10_000);
    loop {
        let now = sim.elapsed();
        if told < MESSAGES && now >= next_message {
            direct.tell("A1", told);
            told += 1;
            next_message = now + dice.millis(20_000);
        }
        let trouble = told < MESSAGES || broken != Broken::Nothing;
        if trouble && now >= next_trouble {
            match broken {
                Broken::Partition => sim.repair("broker", "ris"),
                Broken::Held => sim.release("broker", "ris"),
                Broken::Ris => sim.bounce("ris"),
                Broken::Nothing => {}
            }
            if broken == Broken::Nothing {
                interruptions += 1;
                broken = match dice.below(4) {
                    0 => Broken::Partition,
                    1 => Broken::Held,
                    2 => Broken::Ris,
                    _ => Broken::Nothing,
                };
                match broken {
                    Broken::Partition => sim.partition("broker", "ris"),
                    Broken::Held => sim.hold("broker", "ris"),
                    Broken::Ris => sim.crash("ris"),
                    // A broker that goes down and comes back at once.
                    Broken::Nothing => {
                        sim.crash("broker");
                        sim.bounce("broker");
                    }
                }
            } else {
                broken = Broken::Nothing;
            }
            next_trouble = now + dice.millis(90_000);
        }
        if told == MESSAGES
            && broken == Broken::Nothing
            && store.next_outgoing("ris").unwrap().is_none()
        {
            break;
        }
        sim.step().unwrap();
    }
    let came = check(&*store, &disk, interruptions, seed, Again::AtOnce);
    (came, interruptions)
}

/// What may come a second time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// One that the sender had no answer for, before any behind it.
    AtOnce,
    /// One that a network held back while another sender took over, whenever it lets go of it.
    Whenever,
}

/// Gives what came, in order.
pub(crate) fn check(
    store: &dyn Store,
    disk: &Disk,
    interruptions: u64,
    seed: u64,
    again: Again,
) -> Vec<String> {
    let query = OutboxQuery {
        paging: Paging {
            cursor: None,
            limit: 1_000,
        },
        ..OutboxQuery::default()
    };
    let items = store.outbox(&query).unwrap().items;
    let queued: Vec<&str> = items.iter().rev().map(|i| i.control_id.as_str()).collect();
    assert_eq!(queued.len() as u64, MESSAGES, "seed {seed}");
    let came = disk.came.lock().unwrap().clone();
    let took = disk.took.lock().unwrap();
    for item in &items {
        // Nothing is lost, and nothing counts as sent by the answer for another message.
        assert_eq!(item.state, OutboxState::Sent, "seed {seed}");
        assert!(took.contains(&item.control_id), "seed {seed}");
    }
    // Each came for the first time after all before it.
    let mut order: Vec<&str> = came.iter().map(String::as_str).collect();
    match again {
        Again::AtOnce => order.dedup(),
        Again::Whenever => {
            let mut known = std::collections::HashSet::new();
            order.retain(|id| known.insert(*id));
        }
    }
    assert_eq!(order, queued, "seed {seed}: {came:?}");
    let foreign = disk.foreign.load(Ordering::Relaxed);
    let twice = came.len() as u64 - MESSAGES;
    assert!(
        twice <= interruptions + foreign,
        "seed {seed}: {twice} came again after {interruptions} interruptions, {foreign} wrong answers"
    );
    came
}

#[test]
fn a_hundred_seeds_of_a_bad_network() {
    let template = template();
    let mut twice = 0;
    let mut interruptions = 0;
    for seed in 0..100 {
        let (came, broken) = simulate(&template, seed);
        twice += came.len() as u64 - MESSAGES;
        interruptions += broken;
    }
    println!("{interruptions} interruptions, {twice} messages came again");
    assert!(
        interruptions > 100 && twice > 10,
        "{interruptions}, {twice}"
    );
}

#[test]
fn a_seed_is_the_same_night_again() {
    let template = template();
    for seed in 0..3 {
        assert_eq!(simulate(&template, seed), simulate(&template, seed));
    }
}

#[test]
#[ignore = "takes a minute or two"]
fn a_thousand_seeds_of_a_bad_network() {
    let template = template();
    for seed in 1_000..2_000 {
        simulate(&template, seed);
    }
}
