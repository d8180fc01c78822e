//! Keys, audit trail and answers of the server: in its data directory, or in the database that
//! servers share.

use anyhow::{Context, Result, bail};
use medsynapse_store::{AccessStore, StoreError, TrailCheck, TrailKey};

use crate::audit;
use crate::config::Config;
use crate::database::DatabaseSettings;

/// Opens them, making what is not there.
///
/// # Errors
///
/// They cannot be opened.
pub(crate) fn open(config: &Config) -> Result<AccessStore> {
    if let Some(database) = &config.database {
        let opened = AccessStore::open_shared(database.options());
        return opened.map_err(|error| database.explain(&error));
    }
    let keys = config.encryption.keys.as_ref();
    AccessStore::open_with(&config.data_dir, keys).with_context(|| {
        let directory = config.data_dir.display();
        format!("opening access.db in the data directory {directory} (--data-dir)")
    })
}

/// Opens them if they are there.
///
/// # Errors
///
/// They are there and cannot be read.
pub(crate) fn open_existing(config: &Config) -> Result<Option<AccessStore>> {
    if let Some(database) = &config.database {
        let opened = AccessStore::open_shared_existing(database.options());
        return opened.map_err(|error| database.explain(&error));
    }
    AccessStore::open_existing(&config.data_dir).context("reading the keys")
}

/// Where they are, as a person finds it.
pub(crate) fn place(config: &Config) -> String {
    match &config.database {
        Some(database) => format!("the database {}", database.at()),
        None => format!("the data directory {}", config.data_dir.display()),
    }
}

/// The secret of the audit trail, made where there is none.
///
/// # Errors
///
/// It cannot be read or made, or it is not the one that other servers have.
pub(crate) fn trail_key(config: &Config, store: &AccessStore) -> Result<TrailKey> {
    let Some(database) = &config.database else {
        return audit::key(&config.data_dir, config.encryption.keys.as_ref());
    };
    let fresh = audit::fresh()?;
    let agreed = agree(database, store, Some(*fresh))?;
    agreed.context("the database took no secret for the audit trail")
}

/// The secret of the audit trail, if there is one.
///
/// # Errors
///
/// It cannot be read, or it is not the one that other servers have.
pub(crate) fn existing_trail_key(config: &Config, store: &AccessStore) -> Result<Option<TrailKey>> {
    match &config.database {
        Some(database) => agree(database, store, None),
        None => audit::existing(&config.data_dir, config.encryption.keys.as_ref()),
    }
}

fn agree(
    database: &DatabaseSettings,
    store: &AccessStore,
    fresh: Option<[u8; 32]>,
) -> Result<Option<TrailKey>> {
    let agreed = store.trail_key(database.audit_key(), fresh);
    agreed.map_err(|error| match error {
        StoreError::Settings(text) => anyhow::anyhow!("database.audit_key_file: {text}"),
        error => database.explain(&error),
    })
}

/// Refuses to open a server to everybody whose keys lie where they are no longer looked at.
///
/// # Errors
///
/// The data directory holds keys, and the database that is used instead has none.
pub(crate) fn check_left_behind(config: &Config, store: &AccessStore) -> Result<()> {
    if config.database.is_none() || !config.api_keys.is_empty() || !store.keys()?.is_empty() {
        return Ok(());
    }
    let left = AccessStore::open_existing(&config.data_dir).context("reading access.db")?;
    let count = left.map_or(Ok(0), |left| left.keys().map(|keys| keys.len()))?;
    if count == 0 {
        return Ok(());
    }
    bail!(
        "{} has no keys of the REST API, and access.db in {} holds {count}, which are not used with \
         a shared database: make keys with `hl7-server keys add NAME` for the database, then move \
         access.db away; hl7-server copy brings keys along",
        place(config),
        config.data_dir.display()
    )
}

/// Says what the trail in a database that was copied to is like.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn tell_trail(database: &DatabaseSettings, key: Option<&TrailKey>) -> Result<()> {
    let Some(key) = key else {
        return Ok(());
    };
    let store = AccessStore::open_shared(database.options());
    let checked = store.and_then(|store| store.verify_trail(key));
    match checked.map_err(|error| database.explain(&error))? {
        TrailCheck::Whole { entries } => {
            eprintln!("The audit trail is whole there: {entries} entries.");
        }
        TrailCheck::Broken { n, reason } => {
            eprintln!("The audit trail is broken at entry {n}, there as it is here: {reason}.");
        }
    }
    Ok(())
}
