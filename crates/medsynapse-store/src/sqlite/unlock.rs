//! What a database says of its own encryption, and whether the keys that are given fit.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{connect, hidden};
use crate::error::StoreError;
use crate::vault::{Fingerprint, Keys, Vault, VaultError, key_of};

/// How far the encryption of a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Rows may be plain.
    Encrypting,
    Encrypted,
    /// Rows may be plain.
    Decrypting,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Encrypting => "encrypting",
            Self::Encrypted => "encrypted",
            Self::Decrypting => "decrypting",
        }
    }
}

/// Of a database that is encrypted, or on its way.
pub(super) struct Lock {
    pub(super) state: State,
    lookup: Vec<u8>,
    /// The keys that something is sealed with.
    keys: Vec<(Fingerprint, String)>,
}

/// Whether a database, if there is one, can be opened with these keys; nothing is changed.
///
/// # Errors
///
/// It cannot, or not be read.
pub fn check_keys(directory: &Path, keys: Option<&Keys>) -> Result<(), StoreError> {
    let path = directory.join("medsynapse.db");
    if !path.exists() {
        return Ok(());
    }
    let connection = connect(&path, true)?;
    let begun = "SELECT 1 FROM sqlite_schema WHERE name = 'messages'";
    if !connection.prepare(begun)?.exists([])? {
        return Ok(());
    }
    for_reading(&connection, keys).map(drop)
}

/// What a database says; `None` if nothing of it is encrypted.
pub(super) fn lock(connection: &Connection) -> Result<Option<Lock>, StoreError> {
    // One of an older version is not.
    let known = "SELECT 1 FROM sqlite_schema WHERE name = 'vault'";
    if !connection.prepare(known)?.exists([])? {
        return Ok(None);
    }
    let found: Option<(String, Vec<u8>)> = connection
        .query_row("SELECT state, lookup FROM vault", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((state, lookup)) = found else {
        return Ok(None);
    };
    let state = [State::Encrypting, State::Encrypted, State::Decrypting]
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or(VaultError::Damaged)?;
    let keys = connection
        .prepare("SELECT fingerprint, name FROM vault_keys ORDER BY name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(Some(Lock {
        state,
        lookup,
        keys,
    }))
}

impl Lock {
    /// An error while the database is on its way.
    pub(super) const fn finished(&self) -> Result<(), VaultError> {
        match self.state {
            State::Encrypted => Ok(()),
            State::Encrypting => Err(VaultError::Unfinished { command: "encrypt" }),
            State::Decrypting => Err(VaultError::Unfinished { command: "decrypt" }),
        }
    }

    /// The vault, if all keys are there that something may be sealed with.
    pub(super) fn open(&self, keys: &Keys) -> Result<Vault, VaultError> {
        for (fingerprint, name) in &self.keys {
            if keys.find(*fingerprint).is_none() {
                let name = name.clone();
                let other = keys.names().any(|known| known == name);
                return Err(if other {
                    VaultError::WrongKey { name }
                } else {
                    VaultError::KeyMissing { name }
                });
            }
        }
        Vault::open(keys, &self.lookup)
    }

    /// The names of the keys that something is sealed with.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(_, name)| name.as_str())
    }
}

/// Writes down how a database is encrypted from now on.
pub(super) fn set(connection: &Connection, vault: &Vault, state: State) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO vault (one, state, lookup) VALUES (1, ?1, ?2) \
         ON CONFLICT (one) DO UPDATE SET state = excluded.state, lookup = excluded.lookup",
        params![state.as_str(), vault.lookup()?],
    )?;
    let first = vault.sealer().keys().first();
    connection.execute(
        "INSERT INTO vault_keys (fingerprint, name) VALUES (?1, ?2) \
         ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name",
        params![first.fingerprint, first.name],
    )?;
    Ok(())
}

/// The vault of a database that is there to be read; nothing is written.
pub(super) fn for_reading(
    connection: &Connection,
    keys: Option<&Keys>,
) -> Result<Option<Arc<Vault>>, StoreError> {
    let Some(lock) = lock(connection)? else {
        return match keys {
            Some(_) if !empty(connection)? => Err(VaultError::Plain.into()),
            _ => Ok(None),
        };
    };
    lock.finished()?;
    let keys = keys.ok_or(VaultError::KeyNeeded)?;
    let vault = Arc::new(lock.open(keys)?);
    hidden::register(connection, &vault)?;
    Ok(Some(vault))
}

/// The vault of a database that is written from now on. A new one is encrypted from its first row
/// if there are keys.
pub(super) fn for_writing(
    connection: &Connection,
    keys: Option<&Keys>,
) -> Result<Option<Arc<Vault>>, StoreError> {
    if let (Some(keys), None) = (keys, lock(connection)?)
        && empty(connection)?
    {
        let vault = Vault::create(keys)?;
        adopt(connection, &vault)?;
    }
    let vault = for_reading(connection, keys)?;
    if let (Some(vault), Some(lock)) = (&vault, lock(connection)?)
        && key_of(&lock.lookup) != Some(vault.sealer().keys().first().fingerprint)
    {
        // Another key writes from now on, and its name is known before anything is sealed with it.
        adopt(connection, vault)?;
        tracing::info!(
            key = vault.sealer().keys().first().name,
            "a new key encrypts from now on"
        );
    }
    Ok(vault)
}

/// Sets a database up for a vault.
pub(super) fn adopt(connection: &Connection, vault: &Vault) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    set(&transaction, vault, State::Encrypted)?;
    transaction.commit()?;
    Ok(())
}

/// Whether nothing was ever kept.
fn empty(connection: &Connection) -> Result<bool, StoreError> {
    for table in ["messages", "actions", "deliveries"] {
        let there = "SELECT 1 FROM sqlite_schema WHERE name = ?1";
        let any = format!("SELECT 1 FROM {table}");
        if connection.prepare(there)?.exists([table])? && connection.prepare(&any)?.exists([])? {
            return Ok(false);
        }
    }
    Ok(true)
}
