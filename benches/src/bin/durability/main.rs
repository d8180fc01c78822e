//! The speed table of the broker, each figure beside its reference from the same run.
//!
//! `cargo run --release -p medsynapse-benches --bin durability` builds the server and prints it.
//! Everything is on this machine's loopback and in a temporary directory, and ends by itself.

mod away;
mod encrypted;
mod rows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use medsynapse_benches::load::{Load, Pace, percentile};
use medsynapse_benches::server::Server;
use medsynapse_benches::table::{Limit, Table};
use medsynapse_benches::{count, echo, load, process};

use rows::Rows;

/// The allocator of the server: what only acknowledges runs in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prints what the broker does and how far that is from the machine's limits.
#[derive(Debug, Parser)]
struct Options {
    /// Messages in each run.
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// How often each pair of figures is measured; the best of each counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long the open loop runs.
    #[arg(long, default_value_t = 60)]
    open_loop_secs: u64,
    /// Idle connections beside which the active ones are measured; 0 leaves that out.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Stored messages over which a restart is measured; 0 leaves that out.
    #[arg(long, default_value_t = 1_000_000)]
    stored: usize,
    /// Messages that wait for a RIS that is away; 0 leaves that out.
    #[arg(long, default_value_t = 100_000)]
    away: usize,
    /// Only these parts: durable, one, ack, encrypted, open, idle, away,
    /// restart.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the databases are made; the disk is what is measured.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The server to measure; built from this workspace if it is not given.
    #[arg(long)]
    server: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let program = match &options.server {
        Some(program) => program.clone(),
        None => process::build("hl7-server")?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let base = match &options.dir {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let base = base.context("a directory for the databases")?;
    let bench = Bench {
        options,
        program,
        base: base.path().to_owned(),
        runtime,
    };
    bench.run()
}

struct Bench {
    options: Options,
    program: PathBuf,
    base: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn run(&self) -> Result<()> {
        eprintln!("making the rows of {} messages", self.options.messages);
        let orders = load::orders("T", self.options.messages);
        let rows = self
            .runtime
            .block_on(Rows::record(&self.base.join("rows"), &orders))?;
        let mut table = Table::default();
        if self.wants("durable") {
            self.durable(&rows, &mut table)?;
        }
        if self.wants("one") {
            self.one_connection(&rows, &mut table)?;
        }
        if self.wants("ack") {
            self.acknowledge_only(&mut table)?;
        }
        if self.wants("encrypted") {
            self.encrypted(&mut table)?;
        }
        if self.wants("open") {
            self.open_loop(&mut table)?;
        }
        if self.options.idle > 0 && self.wants("idle") {
            self.idle(&mut table)?;
        }
        if self.options.away > 0 && self.wants("away") {
            self.away(&mut table)?;
        }
        if self.options.stored > 0 && self.wants("restart") {
            self.restart(&rows, &mut table)?;
        }
        if std::process::Command::new("node-hl7-server")
            .output()
            .is_err()
        {
            table.note("node-hl7-server is not installed; that row is left out");
        }
        table.print();
        Ok(())
    }

    fn wants(&self, part: &str) -> bool {
        let only = &self.options.only;
        only.is_empty() || only.iter().any(|wanted| wanted == part)
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let path = self.base.join(name);
        // The last run's, if there was one.
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    /// Sends different orders to a server over a fresh database.
    fn product(&self, connections: usize, window: usize, round: usize) -> Result<(f64, Server)> {
        let data = self.fresh("product");
        let server = Server::start(&self.program, &data)?;
        let orders = load::orders(&format!("C{connections}R{round}"), self.options.messages);
        let load = Load {
            connections,
            window,
            pace: Pace::Closed,
        };
        let done = self.runtime.block_on(load.run(server.mllp, orders))?;
        Ok((done.rate(), server))
    }

    fn durable(&self, rows: &Rows, table: &mut Table) -> Result<()> {
        for (connections, window, batch, floor, stretch) in [
            (16, 16, 256, 0.50, 0.65),
            (64, 1, 64, 0.40, 0.60),
            (16, 1, 16, 0.45, 0.60),
        ] {
            eprintln!("{connections} connections × {window} beside raw SQLite, batch {batch}");
            let (mut raw, mut product, mut cpu) = (0.0_f64, 0.0_f64, f64::INFINITY);
            for round in 0..self.options.rounds {
                raw = raw.max(rows.insert(&self.fresh("raw"), batch)?);
                let (rate, server) = self.product(connections, window, round)?;
                product = product.max(rate);
                cpu = cpu.min(server.cpu()?.as_secs_f64() * 1e6 / count(self.options.messages));
            }
            table.ratio(
                &format!("{connections} connections × {window}, ÷ raw SQLite batch {batch}"),
                product / raw,
                Limit::AtLeast(floor, stretch),
                &format!("{product:.0} / {raw:.0} msg/s"),
            );
            if connections == 64 {
                table.figure(
                    "CPU of the server for a durable message, 64 connections",
                    cpu,
                    "µs",
                    Limit::AtMost(90.0, 60.0),
                    "",
                );
            }
        }
        Ok(())
    }

    fn one_connection(&self, rows: &Rows, table: &mut Table) -> Result<()> {
        eprintln!("one connection");
        let messages = self.options.messages.min(4_000);
        let mut best = f64::INFINITY;
        let mut detail = String::new();
        for round in 0..self.options.rounds {
            let one = Load {
                connections: 1,
                window: 1,
                pace: Pace::Closed,
            };
            let orders = load::orders(&format!("E{round}"), messages);
            let echo = self.runtime.block_on(async {
                let echo = echo::start_echo().await?;
                one.run(echo, orders).await
            })?;
            let commit = rows.commit_times(&self.fresh("raw"), messages)?;
            let server = Server::start(&self.program, &self.fresh("product"))?;
            let orders = load::orders(&format!("O{round}"), messages);
            let product = self.runtime.block_on(one.run(server.mllp, orders))?;
            let [echo, commit, product] =
                [&echo.latencies, &commit, &product.latencies].map(|l| percentile(l, 50.0));
            let over = product - echo - commit;
            if over < best {
                best = over;
                detail = format!("{product:.0} µs; echo {echo:.0}, raw commit {commit:.0}");
            }
        }
        table.figure(
            "1 connection, p50 above echo p50 + raw commit p50",
            best,
            "µs",
            Limit::AtMost(300.0, 150.0),
            &detail,
        );
        Ok(())
    }

    fn acknowledge_only(&self, table: &mut Table) -> Result<()> {
        eprintln!("acknowledgement only beside an echo");
        let load = Load {
            connections: 16,
            window: 1,
            pace: Pace::Closed,
        };
        let (mut echo, mut ack) = (0.0_f64, 0.0_f64);
        for round in 0..self.options.rounds {
            let orders = load::orders(&format!("A{round}"), self.options.messages * 2);
            let (echoed, acked) = self.runtime.block_on(async {
                let address = echo::start_echo().await?;
                let echoed = load.run(address, orders.clone()).await?;
                let address = echo::start_acknowledging().await?;
                let acked = load.run(address, orders).await?;
                anyhow::Ok((echoed.rate(), acked.rate()))
            })?;
            (echo, ack) = (echo.max(echoed), ack.max(acked));
        }
        table.ratio(
            "acknowledgement only ÷ tokio echo, 16 connections",
            ack / echo,
            Limit::AtLeast(0.75, 0.9),
            &format!("{ack:.0} / {echo:.0} msg/s"),
        );
        Ok(())
    }

    fn open_loop(&self, table: &mut Table) -> Result<()> {
        let seconds = self.options.open_loop_secs;
        eprintln!("open loop, {seconds} s");
        let server = Server::start(&self.program, &self.fresh("product"))?;
        let load = Load {
            connections: 16,
            window: 1_000,
            pace: Pace::Open(1_000),
        };
        let messages = usize::try_from(seconds * 1_000)?;
        let done = self
            .runtime
            .block_on(load.run(server.mllp, load::orders("L", messages)))?;
        for (name, at, floor, stretch) in [("p99", 99.0, 20.0, 8.0), ("p99.9", 99.9, 100.0, 50.0)] {
            table.figure(
                &format!("open loop 1,000 msg/s, 16 connections, {seconds} s: {name}"),
                percentile(&done.latencies, at) / 1_000.0,
                "ms",
                Limit::AtMost(floor, stretch),
                "",
            );
        }
        Ok(())
    }

    fn idle(&self, table: &mut Table) -> Result<()> {
        let idle = self.options.idle;
        eprintln!("{idle} idle connections");
        let active = Load {
            connections: 16,
            window: 1,
            pace: Pace::Closed,
        };
        let mut alone = f64::INFINITY;
        let mut beside = f64::INFINITY;
        let mut memory = 0;
        for round in 0..self.options.rounds {
            let server = Server::start(&self.program, &self.fresh("product"))?;
            let orders =
                |name: &str| load::orders(&format!("{name}{round}"), self.options.messages);
            let done = self
                .runtime
                .block_on(active.run(server.mllp, orders("I")))?;
            alone = alone.min(percentile(&done.latencies, 99.0));
            let fresh = Server::start(&self.program, &self.fresh("idle"))?;
            let (done, rss) = self.runtime.block_on(async {
                let open = load::open(fresh.mllp, idle).await?;
                let rss = fresh.resident()?;
                let done = active.run(fresh.mllp, orders("J")).await?;
                drop(open);
                anyhow::Ok((done, rss))
            })?;
            beside = beside.min(percentile(&done.latencies, 99.0));
            memory = memory.max(rss);
        }
        table.figure(
            &format!("{idle} idle connections, memory in all"),
            count(memory) / f64::from(1 << 20),
            "MiB",
            Limit::AtMost(80.0, 60.0),
            "",
        );
        table.ratio(
            "p99 of 16 active beside them ÷ alone",
            beside / alone,
            Limit::AtMost(1.3, 1.1),
            &format!("{beside:.0} / {alone:.0} µs"),
        );
        Ok(())
    }

    fn away(&self, table: &mut Table) -> Result<()> {
        let messages = self.options.away;
        eprintln!("{messages} messages for a RIS that is away");
        let fresh = || self.fresh("away");
        let away = self
            .runtime
            .block_on(away::run(&self.program, fresh, messages))?;
        let [there, waiting] = away.resident.map(|bytes| count(bytes) / f64::from(1 << 20));
        table.figure(
            &format!("{messages} messages wait: memory above the same work with the RIS there"),
            waiting - there,
            "MiB",
            Limit::AtMost(20.0, 20.0),
            &format!("{waiting:.1} / {there:.1} MiB"),
        );
        table.figure(
            "the RIS is back: messages a second, one after the other, each durable",
            away.drained,
            "msg/s",
            Limit::AtLeast(500.0, 500.0),
            "",
        );
        Ok(())
    }

    fn restart(&self, rows: &Rows, table: &mut Table) -> Result<()> {
        let stored = self.options.stored;
        eprintln!("filling a database with {stored} messages");
        let data = self.fresh("stored");
        rows.fill(&data, stored)?;
        let mut slowest = Duration::ZERO;
        for _ in 0..self.options.rounds {
            let (server, took) = Server::start_timed(&self.program, &data, "")?;
            slowest = slowest.max(took);
            // As a power cut leaves it.
            server.kill()?;
        }
        table.figure(
            &format!("restart over {stored} messages, until it listens"),
            slowest.as_secs_f64(),
            "s",
            Limit::AtMost(2.0, 2.0),
            &format!("{:.0} MB", size(&data)),
        );
        Ok(())
    }
}

/// The size of a directory in megabytes.
fn size(directory: &Path) -> f64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes: u64 = entries
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum();
    count(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1e6
}
