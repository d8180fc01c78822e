//! Several brokers on one PostgreSQL, as ratios to raw `unnest` batches of the same rows in the same
//! run, and what senders feel when a server is killed or stands still. It starts a PostgreSQL of its
//! own, with fsync, from the programs that are installed.
//!
//! `cargo run --release -p medsynapse-benches --bin postgres` builds the server and prints it.

mod around;
mod brokers;
mod killed;
mod raw;
mod stalled;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use medsynapse_benches::process;
use medsynapse_benches::table::{Limit, Table};
use medsynapse_store::testing::Cluster;
use tokio::runtime::Runtime;

use crate::around::{Around, SETTLED, WITHIN};

/// The allocator of the server: brokers run in this process too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Several brokers on one PostgreSQL, measured.
#[derive(Debug, Parser)]
struct Options {
    /// How long each part of the throughput runs.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many senders there are, each of which waits for its answer.
    #[arg(long, default_value_t = 64)]
    senders: usize,
    /// Seconds that count before something happens, and after it.
    #[arg(long, default_value_t = 10)]
    window: u64,
    /// Only these parts: throughput, killed, stalled.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The server that is killed; built from this workspace if it is not given.
    #[arg(long)]
    server: Option<PathBuf>,
}

impl Options {
    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == part)
    }
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let mut table = Table::default();
    if options.wants("throughput") {
        throughput(&options, &cluster, &runtime, &mut table)?;
    }
    if options.wants("killed") {
        killed(&options, &cluster, &runtime, &mut table)?;
    }
    if options.wants("stalled") {
        stalled(&options, &cluster, &runtime, &mut table)?;
    }
    table.print();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures are what it is for")]
fn throughput(
    options: &Options,
    cluster: &Cluster,
    runtime: &Runtime,
    table: &mut Table,
) -> Result<()> {
    let life = Duration::from_secs(options.seconds);
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
            "{name}, {senders} senders: {:.0} messages/s, {:.2} of raw; p50 {:.1} ms, p99 {:.1} ms; \
             {:.0} µs of CPU a message",
            broker.rate,
            broker.rate / raw,
            broker.p50,
            broker.p99,
            broker.cpu.as_secs_f64() * 1e6
        );
    }
    println!(
        "three brokers to one: {:.2} with the same senders in all, {:.2} with as many each",
        three.rate / one.rate,
        each.rate / one.rate
    );
    let beside = |rate: f64, reference: f64| format!("{rate:.0} / {reference:.0} messages/s");
    table.ratio(
        &format!(
            "one broker, {} senders ÷ raw unnest batches of 64",
            options.senders
        ),
        one.rate / raw,
        Limit::AtLeast(0.40, 0.60),
        &beside(one.rate, raw),
    );
    for (name, three) in [("in all", &three), ("each", &each)] {
        table.ratio(
            &format!(
                "three brokers, {} senders {name} ÷ one broker",
                options.senders
            ),
            three.rate / one.rate,
            Limit::AtLeast(1.0, 1.0),
            &beside(three.rate, one.rate),
        );
    }
    Ok(())
}

fn killed(
    options: &Options,
    cluster: &Cluster,
    runtime: &Runtime,
    table: &mut Table,
) -> Result<()> {
    let program = match &options.server {
        Some(program) => program.clone(),
        None => process::build("hl7-server")?,
    };
    let (url, window) = (cluster.fresh()?, options.window);
    let around = runtime.block_on(killed::run(&program, &url, options.senders, window))?;
    row(table, "one server of three is killed", &around);
    Ok(())
}

fn stalled(
    options: &Options,
    cluster: &Cluster,
    runtime: &Runtime,
    table: &mut Table,
) -> Result<()> {
    for (name, still) in [
        ("nothing happens", false),
        ("a server stands still with the lock", true),
    ] {
        let (url, window) = (cluster.fresh()?, options.window);
        let around = runtime.block_on(stalled::run(&url, options.senders, window, still))?;
        row(table, name, &around);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures are what it is for")]
fn row(table: &mut Table, name: &str, around: &Around) {
    println!("{name}: {}", around.told());
    table.ratio(
        &format!("{name}: p99 from {SETTLED} s after it ÷ before"),
        around.ratio(),
        Limit::AtMost(WITHIN, WITHIN),
        &format!("{:.1} / {:.1} ms", around.after(), around.before()),
    );
}
