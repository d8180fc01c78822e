//! The server as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use medsynapse_benches::process;

pub(crate) struct Server {
    child: Child,
    pub(crate) mllp: SocketAddr,
    pub(crate) rest: SocketAddr,
}

impl Server {
    pub(crate) fn start(program: &Path, data: &Path) -> Result<Self> {
        Ok(Self::start_timed(program, data, "")?.0)
    }

    /// With more configuration.
    pub(crate) fn start_with(program: &Path, data: &Path, more: &str) -> Result<Self> {
        Ok(Self::start_timed(program, data, more)?.0)
    }

    /// How long it took until it listened, too.
    pub(crate) fn start_timed(program: &Path, data: &Path, more: &str) -> Result<(Self, Duration)> {
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
    pub(crate) fn cpu(&self) -> Result<Duration> {
        process::cpu(self.child.id())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<usize> {
        process::resident(self.child.id())
    }

    /// kill -9.
    pub(crate) fn kill(mut self) -> Result<()> {
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
