//! What a process uses, as Linux tells it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Ticks a second in `/proc/PID/stat`; the same on every Linux.
const TICKS: u64 = 100;

/// Builds a program of this workspace and gives its path.
///
/// # Errors
///
/// It does not build.
pub fn build(name: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-p", name])
        .status()
        .with_context(|| format!("building {name}"))?;
    ensure!(status.success(), "{name} does not build");
    let own = std::env::current_exe()?;
    let directory = own.parent().context("where this program lies")?;
    Ok(directory.with_file_name("release").join(name))
}

/// Processor time of a process so far, the kernel's share included.
///
/// # Errors
///
/// There is no such process.
pub fn cpu(id: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // Behind the name, which may hold anything, in parentheses.
    let (_, rest) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
    let ticks = rest.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS))
}

/// Processor time so far of a process and of each below it.
///
/// # Errors
///
/// Processes cannot be listed.
pub fn cpu_below(id: u32) -> Result<BTreeMap<u32, Duration>> {
    let mut parents = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{child}/stat")) else {
            continue;
        };
        let behind = stat.rsplit_once(") ").map(|(_, rest)| rest);
        let parent = behind.and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (child, parent)));
    }
    let is_below = |child: u32| {
        let line = std::iter::successors(Some(child), |child| parents.get(child).copied());
        // Nobody has so many ancestors.
        line.take(64).any(|ancestor| ancestor == id)
    };
    let below = parents.keys().filter(|child| is_below(**child));
    let used = below.filter_map(|child| Some((*child, cpu(*child).ok()?)));
    Ok(used.collect())
}

/// Processor time between two looks, of processes that were there at the second.
pub fn cpu_between(before: &BTreeMap<u32, Duration>, after: &BTreeMap<u32, Duration>) -> Duration {
    let since = after.iter().map(|(id, used)| {
        let before = before.get(id).copied().unwrap_or_default();
        used.saturating_sub(before)
    });
    since.sum()
}

/// Resident memory of a process in bytes.
///
/// # Errors
///
/// There is no such process.
pub fn resident(id: u32) -> Result<usize> {
    status(id, "VmRSS:")
}

/// The most resident memory that a process ever had, in bytes.
///
/// # Errors
///
/// There is no such process.
pub fn peak(id: u32) -> Result<usize> {
    status(id, "VmHWM:")
}

fn status(id: u32, name: &str) -> Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no such line")?.trim().parse::<usize>()? * 1024)
}
