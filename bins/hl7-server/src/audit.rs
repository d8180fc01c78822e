//! `hl7-server audit`: who asked for what.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use medsynapse_store::{AccessStore, TrailCheck, TrailKey};

/// The file with the secret of the trail.
const KEY_FILE: &str = "audit.key";

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Go through the audit trail and say whether anything was changed, put in or taken out.
    Verify,
}

/// The secret of the trail in `data_dir`, made where it is not there.
pub(crate) fn key(data_dir: &Path) -> Result<TrailKey> {
    let path = data_dir.join(KEY_FILE);
    match read(&path)? {
        Some(key) => Ok(key),
        None => make(&path),
    }
}

fn read(path: &Path) -> Result<Option<TrailKey>> {
    let mut secret = [0; 32];
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
    };
    file.read_exact(&mut secret)
        .with_context(|| format!("{} does not hold the 32 bytes of a secret", path.display()))?;
    Ok(Some(TrailKey::new(secret)))
}

fn make(path: &Path) -> Result<TrailKey> {
    let making = || format!("making {}", path.display());
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("the system gives no random bytes")?;
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(making)?;
    file.write_all(&secret).with_context(making)?;
    file.sync_all().with_context(making)?;
    Ok(TrailKey::new(secret))
}

/// Does what was asked.
#[expect(
    clippy::print_stdout,
    reason = "data that was asked for goes to standard output"
)]
pub(crate) fn run(command: &Audit, data_dir: &Path) -> Result<()> {
    let Audit::Verify = command;
    let directory = data_dir.display();
    let Some(store) = AccessStore::open_existing(data_dir)? else {
        bail!("{directory} holds no audit trail; name the data directory with --data-dir");
    };
    let Some(key) = read(&data_dir.join(KEY_FILE))? else {
        bail!("{directory}/{KEY_FILE} is not there: without it nothing can be verified");
    };
    match store.verify_trail(&key)? {
        TrailCheck::Whole { entries } => println!("The audit trail is whole: {entries} entries."),
        TrailCheck::Broken { n, reason } => {
            bail!("the audit trail is broken at entry {n}: {reason}")
        }
    }
    Ok(())
}
