//! `--database` and `[database]`: where messages, orders and reports are kept, if not in a file of
//! this server alone.

use std::fmt;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use medsynapse_store::{
    CopyOptions, PostgresOptions, PostgresStore, SharedLog, SqliteOptions, SqliteStore, Store,
    StoreError, TrailKey,
};
use serde::Deserialize;

use crate::access;
use crate::audit;
use crate::cli::Options;
use crate::config::Config;
use crate::retention::Kept;

/// The section of the configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DatabaseSection {
    url: Option<String>,
    password_file: Option<PathBuf>,
    audit_key_file: Option<PathBuf>,
    connections_max: Option<usize>,
    node: Option<String>,
}

/// A database that several servers have.
#[derive(Clone)]
pub(crate) struct DatabaseSettings {
    options: PostgresOptions,
    /// Without user and password.
    shown: String,
    node: Option<String>,
    /// The secret of the audit trail, if the database is not to keep it, and its file.
    audit_key: Option<(TrailKey, PathBuf)>,
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("at", &self.shown)
            .finish_non_exhaustive()
    }
}

/// What stands beside the connections that read: one writes, one listens, two keep lanes, three
/// are for keys and answers, one is for the audit trail.
const OTHERS: usize = 8;
/// All connections of a server to the database, when nobody says.
const CONNECTIONS: usize = 16;

impl DatabaseSection {
    /// Puts the settings together with the command line and the environment; `None` for a file of
    /// this server alone.
    ///
    /// # Errors
    ///
    /// What is wrong, with the key.
    pub(crate) fn settings(self, options: &Options) -> Result<Option<DatabaseSettings>> {
        let (url, key) = match (&options.database, self.url) {
            (Some(url), _) => (url.clone(), "--database"),
            (None, Some(url)) => (url, "database.url"),
            (None, None) => {
                if self.password_file.is_some()
                    || self.audit_key_file.is_some()
                    || self.node.is_some()
                {
                    bail!("database.url: it is missing, and other keys of [database] are set");
                }
                return Ok(None);
            }
        };
        let Some((_, rest)) = url
            .split_once("://")
            .filter(|(scheme, _)| ["postgres", "postgresql"].contains(scheme))
        else {
            bail!(
                "{key}: give postgres://USER@HOST:PORT/NAME; without it the data lies in a file \
                 in the data directory"
            );
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        if user.contains(':') {
            bail!(
                "{key}: the password stands in the URL, where others can read it; put it into a \
                 file (database.password_file) or into HL7_DATABASE_PASSWORD"
            );
        }
        let connections = self.connections_max.unwrap_or(CONNECTIONS);
        if connections <= OTHERS {
            bail!(
                "database.connections_max: {connections} are too few; give at least {}",
                OTHERS + 1
            );
        }
        let mut postgres = PostgresOptions::new(url, unique(self.node.as_deref())?);
        postgres.password = match (&options.database_password, &self.password_file) {
            (Some(password), _) if !password.is_empty() => Some(password.clone()),
            (_, Some(path)) => {
                let text = std::fs::read_to_string(path).with_context(|| {
                    format!("database.password_file: reading {}", path.display())
                })?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            _ => None,
        };
        postgres.readers_max = connections - OTHERS;
        let shown = postgres.shown().with_context(|| key.to_owned())?;
        let audit_key = self.audit_key_file.map(|path| {
            let secret = audit::given(&path).context("database.audit_key_file");
            secret.map(|secret| (secret, path))
        });
        Ok(Some(DatabaseSettings {
            options: postgres,
            shown,
            node: self.node,
            audit_key: audit_key.transpose()?,
        }))
    }
}

/// The name of this server: no other may have it at the same time, and this server not again.
fn unique(node: Option<&str>) -> Result<String> {
    let name = node.unwrap_or("node");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        bail!("database.node: {name:?} is no name; take letters, digits, dots and dashes");
    }
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).context("database.node")?;
    let number = bytes.iter().fold(0_u64, |number, byte| {
        number.wrapping_mul(256) + u64::from(*byte)
    });
    Ok(format!("{name}-{number:012x}"))
}

impl DatabaseSettings {
    /// Where it is, as a person may read it.
    pub(crate) fn at(&self) -> &str {
        &self.shown
    }

    pub(crate) const fn options(&self) -> &PostgresOptions {
        &self.options
    }

    /// The secret of the audit trail, if the database is not to keep it.
    pub(crate) fn audit_key(&self) -> Option<&TrailKey> {
        self.audit_key.as_ref().map(|(key, _)| key)
    }

    /// The section as it is in force.
    pub(crate) fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        table.insert("url".into(), format!("postgres://{}", self.shown).into());
        let connections = i64::try_from(self.options.readers_max + OTHERS);
        table.insert(
            "connections_max".into(),
            connections.unwrap_or(i64::MAX).into(),
        );
        if let Some((_, path)) = &self.audit_key {
            let path = path.to_string_lossy().into_owned();
            table.insert("audit_key_file".into(), path.into());
        }
        if let Some(node) = &self.node {
            table.insert("node".into(), node.as_str().into());
        }
        table
    }

    /// Connects, and looks whether the database can be used.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to do.
    pub(crate) fn check(&self) -> Result<()> {
        self.options.check().map_err(|error| self.explain(&error))
    }

    /// Opens the log, to replay it.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to do.
    pub(crate) fn log(&self) -> Result<SharedLog> {
        SharedLog::open(&self.options).map_err(|error| self.explain(&error))
    }

    /// What is wrong, and what to do.
    pub(crate) fn explain(&self, error: &StoreError) -> anyhow::Error {
        let text = error.to_string();
        let advice = if text.contains("28P01") || text.contains("password") {
            "; the password comes from database.password_file or HL7_DATABASE_PASSWORD"
        } else if text.contains("28000") || text.contains("role") {
            "; create the user, and let it in with pg_hba.conf"
        } else if text.contains("3D000") {
            "; create it: CREATE DATABASE name OWNER user ENCODING 'UTF8'"
        } else if text.contains("42501") {
            "; the user has to own the database, or have CREATE in its schema"
        } else if text.contains("TLS") || text.contains("certificate") {
            "; name the authority with ?sslrootcert=FILE, or say ?sslmode=disable where the \
             network is trusted"
        } else if matches!(error, StoreError::Unreachable(_)) {
            "; look whether PostgreSQL runs there, and whether its listen_addresses and the \
             network let this machine in"
        } else {
            ""
        };
        anyhow::anyhow!("database {}: {text}{advice}", self.shown)
    }
}

/// A store that is open.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// The same, as what it is.
    pub(crate) kept: Kept,
}

/// Opens the database of the configuration.
///
/// # Errors
///
/// It cannot be opened.
pub(crate) fn open(config: &Config) -> Result<Opened> {
    if let Some(settings) = &config.database {
        let opened = PostgresStore::open(&settings.options);
        let store = Arc::new(opened.map_err(|error| settings.explain(&error))?);
        return Ok(Opened {
            store: store.clone(),
            kept: Kept::Shared(store),
        });
    }
    let directory = config.data_dir.display();
    let mut options = SqliteOptions::default();
    options.keys.clone_from(&config.encryption.keys);
    match SqliteStore::open_with(&config.data_dir, &options) {
        Ok(store) => {
            let store = Arc::new(store);
            Ok(Opened {
                store: store.clone(),
                kept: Kept::File(store),
            })
        }
        Err(StoreError::InUse) => bail!(
            "the data directory {directory} is in use by another broker; stop that one or choose \
             another directory with --data-dir"
        ),
        Err(error) => Err(error).with_context(|| opening(config)),
    }
}

/// What was tried when the data directory could not be opened.
pub(crate) fn opening(config: &Config) -> String {
    format!(
        "cannot open the data directory {} (--data-dir or data_dir)",
        config.data_dir.display()
    )
}

/// Copies the database of a data directory to a PostgreSQL, and says what is there.
///
/// # Errors
///
/// What is wrong with one of them, or that they differ.
pub(crate) fn copy(config: &Config, options: &Options, from: &str, to: &str) -> Result<()> {
    let Some(directory) = from.strip_prefix("sqlite:") else {
        bail!("--from: give sqlite:DIR, the data directory of a broker that is stopped");
    };
    let section = DatabaseSection {
        url: Some(to.into()),
        ..DatabaseSection::default()
    };
    let options = Options {
        database: None,
        ..options.clone()
    };
    let settings = section.settings(&options).context("--to")?;
    let settings = settings.context("--to: give postgres://USER@HOST:PORT/NAME")?;
    let shown = std::io::stderr().is_terminal();
    let keys = config.encryption.keys.as_ref();
    let own = audit::existing(Path::new(directory), keys)?;
    let apart = config.database.as_ref();
    let apart = apart.and_then(DatabaseSettings::audit_key);
    if let (Some(own), Some(apart)) = (&own, apart)
        && own != apart
    {
        bail!(
            "database.audit_key_file: it is not the secret of the audit trail that is to be copied; \
             name a copy of {directory}/audit.key, or leave it out"
        );
    }
    let how = CopyOptions {
        keys,
        trail_key: own.as_ref(),
        // As the servers that will use it are configured.
        trail_key_apart: apart.is_some(),
    };
    let copied = medsynapse_store::copy_to_postgres(
        Path::new(directory),
        &how,
        &settings.options,
        |table, rows| {
            if shown {
                eprint!("\r{table}: {rows} rows          ");
            }
        },
    );
    if shown {
        eprintln!();
    }
    let copied = match copied {
        Ok(copied) => copied,
        Err(StoreError::InUse) => bail!("--from: a broker uses {directory}; stop it first"),
        Err(error) => return Err(settings.explain(&error)),
    };
    for table in &copied {
        let before = match table.before {
            0 => String::new(),
            before => format!(", {before} of them by a copy before"),
        };
        eprintln!("{}: {} rows{before}", table.table, table.rows);
    }
    eprintln!(
        "Every row of {directory} is in {}: counts and checksums are the same.",
        settings.shown
    );
    access::tell_trail(&settings, own.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Option<DatabaseSettings>> {
        let section: DatabaseSection = toml::from_str(toml).unwrap();
        section.settings(&Options::default())
    }

    fn refused(toml: &str, word: &str) {
        let error = format!("{:#}", read(toml).unwrap_err());
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn without_a_url_there_is_none() {
        assert!(read("").unwrap().is_none());
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        let settings = read("url = 'postgres://u@localhost:5433/m'\nnode = 'a'");
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.at(), "localhost:5433/m");
        assert!(settings.options.node.starts_with("a-"));
    }

    #[test]
    fn what_is_wrong_names_its_key() {
        refused("url = 'mysql://u@h/m'", "database.url");
        refused("url = 'postgres://u@h'", "name of the database");
        refused("url = 'postgres://u:secret@h/m'", "database.password_file");
        refused(
            "url = 'postgres://u@h/m'\nconnections_max = 8",
            "at least 9",
        );
        refused("url = 'postgres://u@h/m'\nnode = 'a b'", "database.node");
        refused(
            "url = 'postgres://u@h/m'\npassword_file = '/no/such'",
            "/no/such",
        );
        refused(
            "url = 'postgres://u@h/m'\naudit_key_file = '/no/such'",
            "database.audit_key_file",
        );
        refused("node = 'a'", "database.url");
        refused("audit_key_file = '/a'", "database.url");
    }
}
