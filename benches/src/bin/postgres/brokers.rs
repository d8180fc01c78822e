//! Brokers in this process, each with a store of its own on the same database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use medsynapse_benches::count;
use medsynapse_benches::process::{cpu_below, cpu_between};
use medsynapse_broker::{Broker, BrokerConfig, Origin, SystemClock};
use medsynapse_store::{PostgresOptions, PostgresStore, Transport};
use tokio::task::JoinSet;

/// What came of a run.
pub(crate) struct Run {
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Processor time of everything a message, PostgreSQL and senders included.
    pub(crate) cpu: Duration,
}

/// A new order of this name.
pub(crate) fn order(name: &str) -> String {
    format!(
        "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|{name}|P|2.3\r\
         PID|1||{name}||SMITH^JOHN||19800101|M||||||||||ADM1\rPV1|1|O\rORC|NW\r\
         OBR|1|{name}||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|RP1||CT1|||CT\
         ||||||||||||20230614132030\r"
    )
}

/// So many of them.
pub(crate) fn start(url: &str, brokers: usize) -> Result<Vec<Arc<Broker>>> {
    (0..brokers)
        .map(|number| {
            let options = PostgresOptions::new(url, format!("node{number}"));
            let store = Arc::new(PostgresStore::open(&options)?);
            let broker = Broker::start(store, BrokerConfig::default(), Arc::new(SystemClock))?;
            Ok(broker)
        })
        .collect()
}

/// When a message was sent, and how long its answer took; only those that were acknowledged.
pub(crate) type Answers = Vec<(Instant, Duration)>;

/// Senders at work until they are told to stop.
pub(crate) fn send(
    brokers: &[Arc<Broker>],
    senders: usize,
    stop: &Arc<AtomicBool>,
) -> JoinSet<Answers> {
    let mut set = JoinSet::new();
    for number in 0..senders {
        let Some(broker) = brokers.get(number % brokers.len()) else {
            continue;
        };
        let (broker, stop) = (Arc::clone(broker), Arc::clone(stop));
        set.spawn(async move {
            let origin = Origin {
                transport: Transport::Mllp,
                peer: "bench".into(),
            };
            let mut answers = Answers::new();
            for turn in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let message = order(&format!("S{number}T{turn}"));
                let began = Instant::now();
                let answer = broker.receive(message.into(), origin.clone()).await;
                if answer.is_some_and(|answer| answer.code.is_accept()) {
                    answers.push((began, began.elapsed()));
                }
            }
            answers
        });
    }
    set
}

pub(crate) async fn close(brokers: Vec<Arc<Broker>>) -> Result<()> {
    for broker in brokers {
        tokio::task::spawn_blocking(move || broker.close()).await?;
    }
    Ok(())
}

/// In milliseconds.
pub(crate) fn percentile(mut times: Vec<Duration>, percent: usize) -> f64 {
    times.sort_unstable();
    let place = times.len() * percent / 100;
    let time = times.get(place.min(times.len().saturating_sub(1)));
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

/// Senders that each wait for their answer, on so many brokers.
pub(crate) async fn run(url: &str, brokers: usize, senders: usize, life: Duration) -> Result<Run> {
    let brokers = start(url, brokers)?;
    let used = cpu_below(std::process::id())?;
    let (stop, began) = (Arc::<AtomicBool>::default(), Instant::now());
    let mut set = send(&brokers, senders, &stop);
    tokio::time::sleep(life).await;
    stop.store(true, Ordering::Relaxed);
    let used = cpu_between(&used, &cpu_below(std::process::id())?);
    let mut times = Vec::new();
    while let Some(answers) = set.join_next().await {
        times.extend(answers?.into_iter().map(|(_, time)| time));
    }
    let rate = count(times.len()) / began.elapsed().as_secs_f64();
    close(brokers).await?;
    Ok(Run {
        rate,
        cpu: used.div_f64(count(times.len()).max(1.0)),
        p50: percentile(times.clone(), 50),
        p99: percentile(times, 99),
    })
}
