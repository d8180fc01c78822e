//! Several brokers on one PostgreSQL, as ratios to raw `unnest` batches of the same rows in the same
//! run. It starts a PostgreSQL of its own, with fsync, from the programs that are installed.
//!
//! `cargo run --release -p medsynapse-benches --bin postgres -- --seconds 5`

mod brokers;
mod raw;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use medsynapse_store::testing::Cluster;

/// Several brokers on one PostgreSQL, measured.
#[derive(Debug, Parser)]
struct Options {
    /// How long each part runs.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many senders there are, each of which waits for its answer.
    #[arg(long, default_value_t = 64)]
    senders: usize,
}

#[expect(clippy::print_stdout, reason = "figures are what it is for")]
fn main() -> Result<()> {
    let options = Options::parse();
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(reason) => {
            println!("skipped: {reason}");
            return Ok(());
        }
    };
    let life = Duration::from_secs(options.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let first = raw::run(&cluster.fresh()?, life)?;
    let one = runtime.block_on(brokers::run(&cluster.fresh()?, 1, options.senders, life))?;
    let three = runtime.block_on(brokers::run(&cluster.fresh()?, 3, options.senders, life))?;
    let more = 3 * options.senders;
    let each = runtime.block_on(brokers::run(&cluster.fresh()?, 3, more, life))?;
    let second = raw::run(&cluster.fresh()?, life)?;
    let raw = f64::midpoint(first, second);
    println!("raw unnest batches of 64: {first:.0} and {second:.0} messages/s");
    for (name, senders, broker) in [
        ("one broker", options.senders, &one),
        ("three brokers", options.senders, &three),
        ("three brokers", more, &each),
    ] {
        println!(
            "{name}, {senders} senders: {:.0} messages/s, {:.2} of raw; p50 {:.1} ms, p99 {:.1} ms",
            broker.rate,
            broker.rate / raw,
            broker.p50,
            broker.p99
        );
    }
    println!(
        "three brokers to one: {:.2} with the same senders in all, {:.2} with as many each",
        three.rate / one.rate,
        each.rate / one.rate
    );
    let death = runtime.block_on(brokers::death(&cluster.fresh()?, options.senders, 3 * life))?;
    println!(
        "one of three stands still with the lock: p99 {:.1} ms before, {:.1} ms at its worst \
         second, {:.1} ms five seconds later ({:.2} of before)",
        death.before,
        death.worst,
        death.after,
        death.after / death.before
    );
    Ok(())
}
