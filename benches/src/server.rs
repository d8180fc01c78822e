//! The server as a process of its own, on free ports of this machine.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process;
use anyhow::{Context, Result};

/// A running server; it is killed with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it takes messages.
    pub mllp: SocketAddr,
    /// Where it takes requests.
    pub rest: SocketAddr,
}

impl Server {
    /// Starts it over this directory.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(program: &Path, data: &Path) -> Result<Self> {
        Ok(Self::start_timed(program, data, "")?.0)
    }

    /// With more configuration.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start_with(program: &Path, data: &Path, more: &str) -> Result<Self> {
        Ok(Self::start_timed(program, data, more)?.0)
    }

    /// How long it took until it listened, too.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start_timed(program: &Path, data: &Path, more: &str) -> Result<(Self, Duration)> {
        std::fs::create_dir_all(data)?;
        let config = data.join("bench.toml");
        std::fs::write(
            &config,
            format!("[mllp]\nconnections_max = 20000\nconnections_per_address_max = 20000\n{more}"),
        )?;
        let start = Instant::now();
        let mut child = Command::new(program)
            .args(["--quiet", "--print-ports", "--log", "warn"])
            .args([
                "--mllp",
                "127.0.0.1:0",
                "--rest",
                "127.0.0.1:0",
                "--dicom",
                "127.0.0.1:0",
                "--web",
                "127.0.0.1:0",
            ])
            .arg("--config")
            .arg(&config)
            .arg("--data-dir")
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let out = child.stdout.take().context("its output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let took = start.elapsed();
        let ports: serde_json::Value = serde_json::from_str(&line).context("its ports")?;
        let port = |name: &str| -> Result<SocketAddr> {
            let port = ports.get(name).and_then(|port| port.as_str());
            Ok(port.context("one of its ports")?.parse()?)
        };
        let (mllp, rest) = (port("mllp")?, port("rest")?);
        Ok((Self { child, mllp, rest }, took))
    }

    /// Processor time so far.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn cpu(&self) -> Result<Duration> {
        process::cpu(self.child.id())
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn resident(&self) -> Result<usize> {
        process::resident(self.child.id())
    }

    /// kill -9.
    ///
    /// # Errors
    ///
    /// It cannot be killed.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
