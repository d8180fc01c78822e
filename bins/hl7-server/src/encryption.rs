//! `[encryption]`: the keys of the database, and `hl7-server encryption`.

use std::fs::File;
use std::io::{IsTerminal, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use hl7_cli::print_line;
use medsynapse_store::{Converted, Keys, StoreError};
use serde::Deserialize;

use crate::audit;
use crate::cli::Options;
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  hl7-server encryption new-key /etc/medsynapse/data.key
  hl7-server encryption encrypt --data-dir /var/lib/medsynapse \\
      --encryption-key-file /etc/medsynapse/data.key
  hl7-server encryption new-key /etc/medsynapse/data.key --first
  hl7-server encryption rekey --config broker.toml

Keep a copy of the key file where the data is not: without it nobody reads the database again.
Stop the broker before encrypt, rekey and decrypt; each of them can be stopped and run again.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum EncryptionCommand {
    /// Make a key in a file that only its owner can read.
    NewKey {
        /// The file to make.
        file: PathBuf,
        /// What the key is called; without it, the moment it is made.
        #[arg(long)]
        name: Option<String>,
        /// Put it before the keys that the file has: it encrypts from then on, the others still
        /// read.
        #[arg(long)]
        first: bool,
    },
    /// Say whether the database is encrypted, and with which keys.
    Status,
    /// Encrypt a database that is not; the broker must be stopped.
    Encrypt,
    /// Encrypt everything with the first key that is encrypted with another one; the broker must be
    /// stopped. After it the other keys can go.
    Rekey,
    /// Take the encryption off the database; the broker must be stopped.
    Decrypt,
}

/// The section of the configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EncryptionSection {
    key_file: Option<PathBuf>,
}

/// What the database is encrypted with.
#[derive(Debug, Clone, Default)]
pub(crate) struct EncryptionSettings {
    pub(crate) keys: Option<Keys>,
    key_file: Option<PathBuf>,
}

impl EncryptionSection {
    /// The keys that the file or the environment gives.
    ///
    /// # Errors
    ///
    /// They are given twice, or they are none.
    pub(crate) fn settings(self, options: &Options) -> Result<EncryptionSettings> {
        let key_file = options.encryption_key_file.clone().or(self.key_file);
        let text = options.encryption_keys.as_deref();
        let text = text.filter(|text| !text.trim().is_empty());
        let keys = match (&key_file, text) {
            (None, None) => None,
            (Some(_), Some(_)) => bail!(
                "encryption.key_file (or --encryption-key-file) and HL7_ENCRYPTION_KEYS are both \
                 set; leave one of them out"
            ),
            (Some(path), None) => {
                Some(Keys::read(path).context("encryption.key_file or --encryption-key-file")?)
            }
            (None, Some(text)) => Some(text.parse().context("HL7_ENCRYPTION_KEYS")?),
        };
        Ok(EncryptionSettings { keys, key_file })
    }
}

impl EncryptionSettings {
    /// As it is shown: names, never secrets.
    pub(crate) fn shown(&self) -> Option<toml::Table> {
        let path = self.key_file.as_ref()?;
        let path = path.to_string_lossy().into_owned();
        Some(toml::Table::from_iter([(
            "key_file".to_owned(),
            path.into(),
        )]))
    }
}

/// Makes a key. Needs no configuration: that may name the file already.
///
/// # Errors
///
/// The file is there, cannot be written, or the system gives no random bytes.
pub(crate) fn new_key(
    file: &Path,
    name: Option<&str>,
    first: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    let made = now.format("%Y%m%dT%H%M%SZ").to_string();
    let name = name.unwrap_or(&made);
    let mut secret = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).context("the system gives no random bytes")?;
    let line = Keys::line(name, &secret).context("--name")?;
    let making = || format!("making {}", file.display());
    let mut text = zeroize::Zeroizing::new(format!("{}\n", line.as_str()));
    if first {
        // Checks the file, and that the new name is new.
        Keys::read(file)?;
        let old = std::fs::read_to_string(file).map(zeroize::Zeroizing::new);
        text.push_str(&old.with_context(making)?);
        text.parse::<Keys>().context("the file with the new key")?;
    } else if file.exists() {
        bail!(
            "{} is there already; with --first the new key is put before those that it has",
            file.display()
        );
    }
    // All of it or nothing: a key that is lost is data that is lost.
    let mut partial = file.as_os_str().to_owned();
    partial.push(".new");
    let partial = PathBuf::from(partial);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(&partial).with_context(making)?;
    let written = opened
        .write_all(text.as_bytes())
        .and_then(|()| opened.sync_all())
        .and_then(|()| std::fs::rename(&partial, file));
    if written.is_err() {
        // Nothing that holds a key lies about.
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(making)?;
    eprintln!(
        "The key {name} is in {}. Keep a copy of the file where the data is not: without it nobody \
         reads the database again.",
        file.display()
    );
    Ok(())
}

/// Does what was asked.
///
/// # Errors
///
/// There are no keys, or the database is not what the command is for.
pub(crate) fn run(command: &EncryptionCommand, config: &Config, now: DateTime<Utc>) -> Result<()> {
    let data_dir = &config.data_dir;
    let opening = || {
        format!(
            "the data directory {} (--data-dir or data_dir)",
            data_dir.display()
        )
    };
    match command {
        EncryptionCommand::NewKey { file, name, first } => {
            new_key(file, name.as_deref(), *first, now)
        }
        EncryptionCommand::Status => {
            let told = medsynapse_store::encryption(data_dir).with_context(opening)?;
            match told.state {
                None => print_line("not encrypted")?,
                Some("encrypted") => print_line("encrypted")?,
                Some(state) => print_line(format_args!("{state}: it was stopped, run it again"))?,
            }
            for key in told.keys {
                print_line(format_args!("key {key}"))?;
            }
            Ok(())
        }
        EncryptionCommand::Encrypt => {
            let keys = keys(config)?;
            convert("encrypted", opening, |progress| {
                medsynapse_store::encrypt(data_dir, keys, progress)
            })?;
            audit::reseal(data_dir, Some(keys), Some(keys))
        }
        EncryptionCommand::Rekey => {
            let keys = keys(config)?;
            // First what is not in the database: its keys go from the list at the end.
            audit::reseal(data_dir, Some(keys), Some(keys))?;
            convert("encrypted with the first key", opening, |progress| {
                medsynapse_store::rekey(data_dir, keys, progress)
            })
        }
        EncryptionCommand::Decrypt => {
            let keys = keys(config)?;
            convert("decrypted", opening, |progress| {
                medsynapse_store::decrypt(data_dir, keys, progress)
            })?;
            audit::reseal(data_dir, Some(keys), None)
        }
    }
}

fn keys(config: &Config) -> Result<&Keys> {
    config.encryption.keys.as_ref().context(
        "no key is given; name its file with encryption.key_file or --encryption-key-file, or make \
         one with hl7-server encryption new-key FILE",
    )
}

fn convert(
    done: &str,
    opening: impl Fn() -> String,
    run: impl FnOnce(&mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<Converted, StoreError>,
) -> Result<()> {
    let shown = std::io::stderr().is_terminal();
    let converted = run(&mut |rows| {
        if shown {
            eprint!("\r{rows} rows");
        }
        ControlFlow::Continue(())
    });
    if shown {
        eprintln!();
    }
    let converted = match converted {
        Err(StoreError::InUse) => bail!("{} is in use: stop the broker first", opening()),
        converted => converted.with_context(&opening)?,
    };
    match converted.rows {
        0 => eprintln!("All rows were {done} already."),
        rows => eprintln!("{rows} rows were {done}; every row of the database was checked."),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_nobody_elses_and_goes_before_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("data.key");
        let now = DateTime::UNIX_EPOCH;
        new_key(&file, None, false, now).unwrap();
        #[cfg(unix)]
        {
            let mode = std::fs::metadata(&file).unwrap().permissions();
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
                0o600
            );
        }
        // Never over one that is there, nor under its name.
        assert!(new_key(&file, Some("b"), false, now).is_err());
        assert!(new_key(&file, None, true, now).is_err());
        new_key(&file, Some("second"), true, now).unwrap();
        let keys = Keys::read(&file).unwrap();
        let names: Vec<&str> = keys.names().collect();
        assert_eq!(names, ["second", "19700101T000000Z"]);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(new_key(&directory.path().join("x"), Some("two words"), false, now).is_err());
    }
}
