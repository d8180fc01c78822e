//! An encrypted database beside a plain one: what encryption takes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use medsynapse_benches::count;
use medsynapse_benches::load::{self, Load, Pace};
use medsynapse_benches::table::{Limit, Table};

use crate::Bench;
use medsynapse_benches::server::Server;

/// What a run gave: messages a second, processor time of a message, bytes on disk of a message.
#[derive(Debug, Clone, Copy)]
struct Figures {
    rate: f64,
    cpu: f64,
    bytes: f64,
}

impl Bench {
    /// 16 connections, 16 messages on the way each, in turns.
    pub(crate) fn encrypted(&self, table: &mut Table) -> Result<()> {
        eprintln!("an encrypted database beside a plain one");
        let key = self.fresh("data.key");
        let made = Command::new(&self.program)
            .args(["encryption", "new-key"])
            .arg(&key)
            .status()
            .context("making a key")?;
        ensure!(made.success(), "no key was made");
        let section = format!("[encryption]\nkey_file = {:?}\n", key.display().to_string());
        let mut best: [Option<Figures>; 2] = [None; 2];
        for round in 0..self.options.rounds {
            for (slot, more) in best.iter_mut().zip(["", section.as_str()]) {
                let new = self.run_with(more, round)?;
                let old = slot.unwrap_or(new);
                *slot = Some(Figures {
                    rate: new.rate.max(old.rate),
                    cpu: new.cpu.min(old.cpu),
                    bytes: new.bytes,
                });
            }
        }
        let [Some(plain), Some(sealed)] = best else {
            return Ok(());
        };
        table.ratio(
            "encrypted ÷ plain, 16 connections × 16",
            sealed.rate / plain.rate,
            Limit::AtLeast(0.8, 0.9),
            &format!("{:.0} / {:.0} msg/s", sealed.rate, plain.rate),
        );
        table.figure(
            "CPU of the server for encryption, a message",
            sealed.cpu - plain.cpu,
            "µs",
            Limit::AtMost(10.0, 5.0),
            &format!("{:.1} − {:.1} µs", sealed.cpu, plain.cpu),
        );
        table.note(&format!(
            "Bytes on disk for a message: {:.0} plain, {:.0} encrypted.",
            plain.bytes, sealed.bytes
        ));
        Ok(())
    }

    fn run_with(&self, more: &str, round: usize) -> Result<Figures> {
        let messages = self.options.messages;
        let data = self.fresh("product");
        let server = Server::start_with(&self.program, &data, more)?;
        let load = Load {
            connections: 16,
            window: 16,
            pace: Pace::Closed,
        };
        let orders = load::orders(&format!("S{round}"), messages);
        let done = self.runtime.block_on(load.run(server.mllp, orders))?;
        let cpu = server.cpu()?.as_secs_f64() * 1e6 / count(messages);
        server.kill()?;
        Ok(Figures {
            rate: done.rate(),
            cpu,
            bytes: bytes_of(&data)? / count(messages),
        })
    }
}

/// How large the database is, with all of its log in it.
fn bytes_of(data: &Path) -> Result<f64> {
    let database = rusqlite::Connection::open(data.join("medsynapse.db"))?;
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let pages: i64 = database.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let size: i64 = database.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    Ok(count(usize::try_from(pages * size)?))
}
