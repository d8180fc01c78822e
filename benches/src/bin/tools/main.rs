//! How fast the generator and the sender are, each beside its limit, and what memory they take.
//!
//! `cargo run --release -p medsynapse-benches --bin tools` builds both and prints the table.
//! Everything is on this machine's loopback and in a temporary directory, and ends by itself.

mod watch;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use medsynapse_benches::load::{self, Load, Pace};
use medsynapse_benches::table::{Limit, Table};
use medsynapse_benches::{count, echo, process};
use tempfile::TempDir;

use watch::{Used, watched};

/// How often the sender sends its file, so that reading it hardly counts.
const REPEATS: usize = 20;

/// Prints how fast the tools are.
#[derive(Debug, Parser)]
struct Options {
    /// Messages that the generator makes in each run.
    #[arg(long, default_value_t = 1_000_000)]
    generated: usize,
    /// Messages that are sent in each run.
    #[arg(long, default_value_t = 200_000)]
    messages: usize,
    /// How often each pair of figures is measured; the best of each counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these parts: generator, sender, memory.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The generator to measure; built from this workspace if it is not given.
    #[arg(long)]
    generator: Option<PathBuf>,
    /// The sender to measure; built from this workspace if it is not given.
    #[arg(long)]
    sender: Option<PathBuf>,
    /// Be the server that only acknowledges, until standard input ends; for this program itself.
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.serve {
        return serve();
    }
    let program = |given: &Option<PathBuf>, name| match given {
        Some(program) => Ok(program.clone()),
        None => process::build(name),
    };
    let bench = Bench {
        generator: program(&options.generator, "hl7-generator")?,
        sender: program(&options.sender, "hl7-sender")?,
        directory: TempDir::new()?,
        options,
    };
    let mut table = Table::default();
    if bench.wants("generator") {
        bench.generator(&mut table)?;
    }
    if bench.wants("sender") {
        bench.sender(&mut table)?;
    }
    if bench.wants("memory") {
        bench.memory(&mut table)?;
    }
    table.print();
    Ok(())
}

struct Bench {
    options: Options,
    generator: PathBuf,
    sender: PathBuf,
    directory: TempDir,
}

impl Bench {
    fn wants(&self, part: &str) -> bool {
        let only = &self.options.only;
        only.is_empty() || only.iter().any(|wanted| wanted == part)
    }

    /// Makes messages of a working day into a pipe that somebody empties.
    fn generate(&self, messages: usize) -> Result<Used> {
        let mut command = Command::new(&self.generator);
        command.args(["--quiet", "--seed", "1", "--output", "-", "--total"]);
        command.arg(messages.to_string());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        watched(command, |child| {
            let mut pipe = child.stdout.take().context("its output")?;
            let mut buffer = vec![0; 256 << 10];
            while pipe.read(&mut buffer)? > 0 {}
            Ok(())
        })
    }

    fn generator(&self, table: &mut Table) -> Result<()> {
        let messages = self.options.generated;
        let mut best = f64::INFINITY;
        for _ in 0..self.options.rounds {
            best = best.min(self.generate(messages)?.cpu.as_secs_f64());
        }
        table.figure(
            "generator to a pipe, messages for a second of one processor",
            count(messages) / best,
            "msg/s",
            Limit::AtLeast(500_000.0, 750_000.0),
            &format!("{messages} in {best:.2} s"),
        );
        Ok(())
    }

    /// Sends a file so many times to a server that only acknowledges: messages a second, as the
    /// sender tells them, and what it used in all.
    fn send(&self, to: SocketAddr, connections: usize, file: &Path) -> Result<(f64, Used)> {
        let mut command = Command::new(&self.sender);
        command.args(["--host", "127.0.0.1", "--keep-alive", "--quiet", "--json"]);
        command.arg("--port").arg(to.port().to_string());
        command.arg("--concurrency").arg(connections.to_string());
        command.arg("--repeat").arg(REPEATS.to_string());
        command.arg("--input").arg(file);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut told = String::new();
        let used = watched(command, |child| {
            let mut out = child.stdout.take().context("its output")?;
            out.read_to_string(&mut told)?;
            Ok(())
        })?;
        let summary: serde_json::Value = serde_json::from_str(&told).context("its summary")?;
        let rate = summary.get("perSecond").and_then(serde_json::Value::as_f64);
        Ok((rate.context("its rate")?, used))
    }

    fn sender(&self, table: &mut Table) -> Result<()> {
        let messages = self.options.messages;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let orders = load::orders("S", messages.div_ceil(REPEATS));
        let file = self.directory.path().join("orders.mllp");
        std::fs::write(&file, orders.concat())?;
        let orders = vec![orders; REPEATS].concat();
        let messages = orders.len();
        for connections in [1, 16, 64] {
            let load = Load {
                connections,
                window: 1,
                pace: Pace::Closed,
            };
            let (mut bare, mut sent) = (0.0_f64, 0.0_f64);
            let (mut bare_cpu, mut sent_cpu) = (f64::INFINITY, f64::INFINITY);
            let micros = |used: Duration| used.as_secs_f64() * 1e6 / count(messages);
            for _ in 0..self.options.rounds {
                let server = Acknowledging::start()?;
                let orders = orders.clone();
                let before = process::cpu(std::process::id())?;
                let done = runtime.block_on(load.run(server.address, orders))?;
                let after = process::cpu(std::process::id())?;
                bare = bare.max(done.rate());
                bare_cpu = bare_cpu.min(micros(after.saturating_sub(before)));
                let (rate, used) = self.send(server.address, connections, &file)?;
                sent = sent.max(rate);
                sent_cpu = sent_cpu.min(micros(used.cpu));
            }
            table.ratio(
                &format!("sender ÷ bare tokio loop, connections: {connections}"),
                sent / bare,
                Limit::AtLeast(0.7, 0.9),
                &format!(
                    "{sent:.0} / {bare:.0} msg/s; {sent_cpu:.1} / {bare_cpu:.1} µs of processor \
                     time a message"
                ),
            );
        }
        Ok(())
    }

    fn memory(&self, table: &mut Table) -> Result<()> {
        let mib = |bytes: usize| count(bytes) / f64::from(1 << 20);
        let messages = self.options.generated;
        table.figure(
            &format!("generator, most memory while it makes {messages} messages"),
            mib(self.generate(messages)?.peak),
            "MiB",
            Limit::AtMost(32.0, 8.0),
            "",
        );
        let server = Acknowledging::start()?;
        let mut made = Command::new(&self.generator)
            .args(["--quiet", "--seed", "1", "--output", "-", "--total"])
            .arg(messages.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut command = Command::new(&self.sender);
        command.args(["--host", "127.0.0.1", "--keep-alive", "--quiet"]);
        command.arg("--port").arg(server.address.port().to_string());
        command.args(["--concurrency", "16", "--input", "-"]);
        command.stdin(made.stdout.take().context("a pipe")?);
        command.stdout(Stdio::null());
        let used = watched(command, |_| Ok(()))?;
        made.wait()?;
        table.figure(
            &format!("sender, most memory while it sends {messages} messages from a pipe"),
            mib(used.peak),
            "MiB",
            Limit::AtMost(64.0, 16.0),
            &format!("{:.0} msg/s", count(messages) / used.elapsed.as_secs_f64()),
        );
        Ok(())
    }
}

/// The server that only acknowledges, in a process of its own.
struct Acknowledging {
    child: Child,
    address: SocketAddr,
}

impl Acknowledging {
    fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let address = line.trim().parse().context("its address")?;
        Ok(Self { child, address })
    }
}

impl Drop for Acknowledging {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let address = runtime.block_on(echo::start_acknowledging())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{address}")?;
    out.flush()?;
    let mut rest = Vec::new();
    std::io::stdin().lock().read_to_end(&mut rest)?;
    ensure!(rest.is_empty(), "nothing is expected on standard input");
    Ok(())
}
