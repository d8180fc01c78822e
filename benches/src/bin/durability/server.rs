//! The server as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Ticks a second in `/proc/PID/stat`; the same on every Linux.
const TICKS: u64 = 100;

pub(crate) struct Server {
    child: Child,
    pub(crate) mllp: SocketAddr,
    pub(crate) rest: SocketAddr,
}

/// Builds the server of this workspace and gives its path.
pub(crate) fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-p", "hl7-server"])
        .status()
        .context("building the server")?;
    ensure!(status.success(), "the server does not build");
    let own = std::env::current_exe()?;
    let directory = own.parent().context("where this program lies")?;
    Ok(directory.with_file_name("release").join("hl7-server"))
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
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name, which may hold anything, in parentheses.
        let (_, rest) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
        let ticks = rest.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.context("VmRSS")?.trim().parse::<usize>()? * 1024)
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
