//! `hl7-server audit`: who asked for what.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use medsynapse_store::{Keys, TrailCheck, TrailKey};
use zeroize::Zeroizing;

use crate::access;
use crate::config::Config;

/// The file with the secret of the trail.
const KEY_FILE: &str = "audit.key";

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Go through the audit trail and say whether anything was changed, put in or taken out.
    Verify,
}

/// What the secret is sealed for.
const PURPOSE: &str = "audit.key";

/// The secret of the trail in `data_dir`, made where it is not there; sealed where there are keys,
/// since whoever has it can try patient ids.
pub(crate) fn key(data_dir: &Path, keys: Option<&Keys>) -> Result<TrailKey> {
    if let Some(key) = existing(data_dir, keys)? {
        return Ok(key);
    }
    let secret = fresh()?;
    write(&data_dir.join(KEY_FILE), &secret, keys)?;
    Ok(TrailKey::new(*secret))
}

/// The secret of the trail in `data_dir`, if it is there.
pub(crate) fn existing(data_dir: &Path, keys: Option<&Keys>) -> Result<Option<TrailKey>> {
    let secret = read(&data_dir.join(KEY_FILE), keys)?;
    Ok(secret.map(|secret| TrailKey::new(*secret)))
}

/// A secret that nobody has.
pub(crate) fn fresh() -> Result<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).context("the system gives no random bytes")?;
    Ok(secret)
}

/// The secret in a file that the configuration names, which is for its owner alone.
pub(crate) fn given(path: &Path) -> Result<TrailKey> {
    let secret = read(path, None)?.with_context(|| format!("{} is not there", path.display()))?;
    #[cfg(unix)]
    {
        let about = std::fs::metadata(path).with_context(|| path.display().to_string())?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            bail!(
                "{} can be read by others (mode {mode:03o}); chmod 600 it",
                path.display()
            );
        }
    }
    Ok(TrailKey::new(*secret))
}

/// Brings the secret into another form: sealed with the first of these keys, or plain.
pub(crate) fn reseal(data_dir: &Path, from: Option<&Keys>, to: Option<&Keys>) -> Result<()> {
    let path = data_dir.join(KEY_FILE);
    match read(&path, from)? {
        Some(secret) => write(&path, &secret, to),
        None => Ok(()),
    }
}

fn read(path: &Path, keys: Option<&Keys>) -> Result<Option<Zeroizing<[u8; 32]>>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
    };
    let secret = match (<[u8; 32]>::try_from(bytes.as_slice()), keys) {
        (Ok(secret), _) => Some(secret),
        (Err(_), None) => None,
        (Err(_), Some(keys)) => {
            let opened = keys.open(PURPOSE, &bytes).map(Zeroizing::new);
            let opened = opened.with_context(|| path.display().to_string())?;
            opened.as_slice().try_into().ok()
        }
    };
    secret.map(Zeroizing::new).map(Some).with_context(|| {
        format!(
            "{} does not hold the 32 bytes of a secret; where it is encrypted, name the keys with \
             encryption.key_file",
            path.display()
        )
    })
}

/// All of it or nothing: without it the trail cannot be verified any more.
fn write(path: &Path, secret: &[u8; 32], keys: Option<&Keys>) -> Result<()> {
    let making = || format!("making {}", path.display());
    let bytes = match keys {
        None => Zeroizing::new(secret.to_vec()),
        Some(keys) => Zeroizing::new(keys.seal(PURPOSE, secret).with_context(making)?),
    };
    let partial = path.with_extension("key.new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&partial).with_context(making)?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&partial, path))
        .with_context(making)
}

/// Does what was asked.
#[expect(
    clippy::print_stdout,
    reason = "data that was asked for goes to standard output"
)]
pub(crate) fn run(command: &Audit, config: &Config) -> Result<()> {
    let Audit::Verify = command;
    let place = access::place(config);
    let Some(store) = access::open_existing(config)? else {
        bail!(
            "{place} holds no audit trail; name the data directory with --data-dir, or the \
             database with --database"
        );
    };
    let Some(key) = access::existing_trail_key(config, &store)? else {
        bail!(
            "{place} has no secret of the audit trail ({KEY_FILE}): without it nothing can be \
             verified"
        );
    };
    match store.verify_trail(&key)? {
        TrailCheck::Whole { entries } => println!("The audit trail is whole: {entries} entries."),
        TrailCheck::Broken { n, reason } => {
            bail!("the audit trail is broken at entry {n}: {reason}")
        }
    }
    Ok(())
}
