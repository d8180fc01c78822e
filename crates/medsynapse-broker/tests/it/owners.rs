//! Three servers that share a lane, over a network that breaks: servers that crash, that lose the
//! database, that stand still and go on; a RIS that crashes. All from a seed, in simulated time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use medsynapse_broker::{ActError, LaneConfig, LaneSource, Outbox, Pulse, Taken};
use medsynapse_store::{Delivery, Next, SqliteStore, Store, StoreError};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::network::{Again, Disk, MESSAGES, OverTheNetwork, check, ris};
use crate::pretend::{Direct, TokioClock};
use crate::simulation::{Dice, copied, template};

const NODES: [&str; 3] = ["one", "two", "three"];
/// How long it may take until another server sends.
const TAKE_OVER: Duration = Duration::from_secs(13);

/// The lane as the database has it.
#[derive(Debug, Default)]
struct Row {
    owner: usize,
    fence: i64,
    until: Duration,
    /// Since when the owner can do nothing, while another could.
    down: Option<Duration>,
    slowest: Duration,
}

/// What is wrong with a server.
#[derive(Debug, Default)]
struct State {
    /// It cannot reach the database.
    cut: AtomicBool,
    /// It stands still.
    frozen: AtomicBool,
}

/// A server's way to the queue.
struct Node {
    number: usize,
    direct: Arc<Direct>,
    row: Arc<Mutex<Row>>,
    state: Arc<State>,
}

fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl Node {
    /// Comes through to the database, or does not.
    async fn reach(&self) -> Result<(), StoreError> {
        while self.state.frozen.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if self.state.cut.load(Ordering::Relaxed) {
            return Err(StoreError::Unreachable("cut off".into()));
        }
        Ok(())
    }
}

impl LaneSource for Node {
    async fn next(&self, destination: &str) -> Result<Option<Next>, StoreError> {
        self.reach().await?;
        self.direct.next(destination).await
    }

    async fn settle(&self, delivery: Delivery) -> Result<(), ActError> {
        self.reach().await?;
        if delivery.fence != Some(self.row.lock().unwrap().fence) {
            return Err(StoreError::LaneLost.into());
        }
        self.direct.settle(delivery).await
    }

    fn pulse(&self) -> watch::Receiver<Pulse> {
        self.direct.pulse()
    }

    async fn take(&self, _: &str, life: Duration) -> Result<Taken, StoreError> {
        self.reach().await?;
        let mut row = self.row.lock().unwrap();
        if now() < row.until {
            return Ok(Taken::Elsewhere);
        }
        row.fence += 1;
        row.owner = self.number;
        row.until = now() + life;
        if let Some(down) = row.down.take() {
            row.slowest = row.slowest.max(now().saturating_sub(down));
        }
        Ok(Taken::Fence(row.fence))
    }

    async fn keep(&self, _: &str, fence: i64, life: Duration) -> Result<bool, StoreError> {
        self.reach().await?;
        let mut row = self.row.lock().unwrap();
        let mine = row.fence == fence;
        if mine {
            row.until = now() + life;
            row.down = None;
        }
        Ok(mine)
    }

    async fn give(&self, _: &str, fence: i64) -> Result<(), StoreError> {
        self.reach().await?;
        let mut row = self.row.lock().unwrap();
        if row.fence == fence {
            row.until = Duration::ZERO;
        }
        Ok(())
    }
}

/// What is broken now.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    Crashed(usize),
    Cut(usize),
    Frozen(usize),
    Ris,
}

#[expect(
    clippy::too_many_lines,
    reason = "one night, from its start to its end"
)]
fn simulate(template: &TempDir, seed: u64) -> (Vec<String>, u64, Duration) {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let directory = copied(template);
    let store = Arc::new(SqliteStore::open(directory.path()).unwrap());
    let direct = Direct::new(store.clone());
    let row = Arc::<Mutex<Row>>::default();
    let disk = Disk::new(seed);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_hours(2))
        .tick_duration(Duration::from_millis(100))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(200))
        .build();
    ris(&mut sim, &disk);
    let states = [(); 3].map(|()| Arc::<State>::default());
    for (number, name) in NODES.into_iter().enumerate() {
        let (direct, row) = (Arc::clone(&direct), Arc::clone(&row));
        let state = Arc::clone(&states[number]);
        let starts = Arc::new(AtomicU64::new(seed + 1_000 * number as u64));
        sim.host(name, move || {
            let node = Arc::new(Node {
                number,
                direct: Arc::clone(&direct),
                row: Arc::clone(&row),
                state: Arc::clone(&state),
            });
            let seed = starts.fetch_add(1, Ordering::Relaxed);
            async move {
                let config = LaneConfig {
                    seed,
                    ..LaneConfig::new("ris")
                };
                let clock = Arc::new(TokioClock(tokio::time::Instant::now()));
                let mut outbox = Outbox::new();
                let never = CancellationToken::new();
                outbox.start(node, OverTheNetwork, config, clock, never);
                outbox.ended().await;
                Ok(())
            }
        });
    }
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
                Broken::Crashed(node) => sim.bounce(NODES[node]),
                Broken::Cut(node) => states[node].cut.store(false, Ordering::Relaxed),
                Broken::Frozen(node) => {
                    states[node].frozen.store(false, Ordering::Relaxed);
                    sim.release(NODES[node], "ris");
                }
                Broken::Ris => sim.bounce("ris"),
                Broken::Nothing => {}
            }
            if broken == Broken::Nothing {
                interruptions += 1;
                // Mostly the one that sends.
                let owner = row.lock().unwrap().owner;
                let node = match usize::try_from(dice.below(5)).unwrap() {
                    node @ 0..=2 => node,
                    _ => owner,
                };
                broken = match dice.below(7) {
                    0 | 1 => Broken::Crashed(node),
                    2 | 3 => Broken::Cut(node),
                    4 | 5 => Broken::Frozen(node),
                    _ => Broken::Ris,
                };
                match broken {
                    Broken::Crashed(node) => sim.crash(NODES[node]),
                    Broken::Cut(node) => states[node].cut.store(true, Ordering::Relaxed),
                    Broken::Frozen(node) => {
                        states[node].frozen.store(true, Ordering::Relaxed);
                        // What is under way arrives later.
                        sim.hold(NODES[node], "ris");
                    }
                    Broken::Ris => sim.crash("ris"),
                    Broken::Nothing => {}
                }
                if broken != Broken::Ris && node == owner {
                    row.lock().unwrap().down = Some(now);
                }
            } else {
                broken = Broken::Nothing;
            }
            next_trouble = now + dice.millis(60_000);
        }
        let waits = row.lock().unwrap().down;
        if let Some(down) = waits.filter(|down| now.saturating_sub(*down) > TAKE_OVER) {
            panic!("seed {seed}: nobody has taken the lane since {down:?}, and it is {now:?}");
        }
        if told == MESSAGES
            && broken == Broken::Nothing
            && store.next_outgoing("ris").unwrap().is_none()
        {
            break;
        }
        sim.step().unwrap();
    }
    let slowest = row.lock().unwrap().slowest;
    let came = check(&*store, &disk, interruptions, seed, Again::Whenever);
    (came, interruptions, slowest)
}

fn nights(seeds: std::ops::Range<u64>) {
    let template = template();
    let (mut twice, mut interruptions, mut slowest) = (0, 0, Duration::ZERO);
    for seed in seeds {
        let (came, broken, took) = simulate(&template, seed);
        twice += came.len() as u64 - MESSAGES;
        interruptions += broken;
        slowest = slowest.max(took);
    }
    println!(
        "{interruptions} interruptions, {twice} messages came again, slowest take-over {slowest:?}"
    );
    assert!(interruptions > 50 && twice > 0 && slowest > Duration::ZERO);
}

#[test]
fn sixty_nights_of_three_servers() {
    nights(0..60);
}

#[test]
fn a_night_of_three_servers_is_the_same_again() {
    let template = template();
    for seed in 0..3 {
        assert_eq!(simulate(&template, seed), simulate(&template, seed));
    }
}

#[test]
#[ignore = "takes a minute or two"]
fn a_thousand_nights_of_three_servers() {
    nights(1_000..2_000);
}
