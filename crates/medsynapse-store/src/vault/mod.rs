//! [`Vault`]: seals what a database keeps of patients, and opens it again.
//!
//! A sealed value is `version ‖ key ‖ salt ‖ counter ‖ AES-256-GCM`. Nonces never repeat, by
//! construction: every [`Sealer`] draws a salt of 16 random bytes, takes from it and the key a
//! session key of its own, and counts what it seals. Two values could share key and nonce only if
//! two sessions drew the same 128 bits. So there is no limit on the messages of a key that a
//! hospital could reach, and no random byte is needed for a message.
//!
//! What is sealed is bound to its context, the table and the row: moved elsewhere it does not
//! open. Patient ids are looked up by a keyed hash, whose secret is kept in the database, sealed;
//! it stays when keys change, so that a new key asks for no new index.

mod bundle;
mod keys;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

pub(crate) use bundle::{Bundle, Item, Packer};
pub(crate) use keys::Fingerprint;
pub use keys::{Keys, KeysError};

/// The form of a sealed value.
const VERSION: u8 = 1;
const SALT: usize = 16;
/// Version, fingerprint of the key, salt, counter.
const HEAD: usize = 1 + 4 + SALT + 8;
const TAG: usize = 16;
/// Session keys that are kept at hand.
const SESSIONS_MAX: usize = 64;

/// Why something sealed is not opened, or nothing can be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The database is encrypted, and no key was given.
    #[error(
        "the database is encrypted; name its key file with encryption.key_file or \
         --encryption-key-file"
    )]
    KeyNeeded,
    /// A key that something is still sealed with is not among those that were given.
    #[error(
        "the key {name} is not among the keys that were given, and the database is encrypted with \
         it; put its line back into the key file, behind the new one"
    )]
    KeyMissing {
        /// The name that it had.
        name: String,
    },
    /// There is a key of that name, but it is another one.
    #[error("the key {name} is not the one that the database was encrypted with")]
    WrongKey {
        /// The name of both.
        name: String,
    },
    /// A key was given, and the database is not encrypted.
    #[error(
        "a key is given, but what the database holds is not encrypted; run hl7-server encryption \
         encrypt, or leave the key out"
    )]
    Plain,
    /// It is partly encrypted.
    #[error(
        "the database is partly encrypted: hl7-server encryption {command} was stopped; run it \
         again, it goes on where it was"
    )]
    Unfinished {
        /// What was begun.
        command: &'static str,
    },
    /// What says how the database is encrypted does not open.
    #[error("what the database says about its keys is damaged; restore the last good backup")]
    Damaged,
    /// A sealed file is damaged, or of a key that was not given.
    #[error("it is damaged, or was encrypted with a key that is not among those that were given")]
    Shut,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: nothing can be encrypted")]
    NoRandomness,
    /// This session has sealed as much as it may.
    #[error("this session has sealed 2^64 values")]
    Exhausted,
}

/// A value that does not open: damaged, changed, moved, or of another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shut;

/// HMAC-SHA-256 over parts, each with its length, so that no two lists of parts are alike.
fn mac(secret: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        unreachable!("HMAC takes keys of every length")
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// 32 random bytes of the system.
///
/// Drawn here and not passed in, unlike everything else that is random: whoever passed the same
/// bytes twice would open what is sealed to everybody.
fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| VaultError::NoRandomness)?;
    Ok(bytes)
}

/// The key of a session: of whoever drew this salt.
fn session_key(secret: &[u8; 32], salt: &[u8]) -> Result<LessSafeKey, Shut> {
    let key = mac(secret, &[b"session", salt]);
    UnboundKey::new(&AES_256_GCM, key.as_slice())
        .map(LessSafeKey::new)
        .map_err(|_| Shut)
}

fn nonce(counter: [u8; 8]) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    if let Some(place) = bytes.last_chunk_mut() {
        *place = counter;
    }
    Nonce::assume_unique_for_key(bytes)
}

/// Seals and opens under the keys of a file.
pub(crate) struct Sealer {
    keys: Keys,
    /// Version, key and salt of what this session seals.
    head: [u8; HEAD - 8],
    session: LessSafeKey,
    next: AtomicU64,
    /// Of other sessions, by what their values begin with.
    others: Mutex<HashMap<[u8; HEAD - 8], Arc<LessSafeKey>>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Sealer {
    /// A session under the first of these keys.
    pub(crate) fn new(keys: &Keys) -> Result<Self, VaultError> {
        let salt = random::<SALT>()?;
        let mut head = [0; HEAD - 8];
        let first = keys.first();
        let parts = [VERSION].into_iter().chain(first.fingerprint);
        for (place, byte) in head.iter_mut().zip(parts.chain(*salt)) {
            *place = byte;
        }
        Ok(Self {
            keys: keys.clone(),
            head,
            session: session_key(&first.secret, salt.as_slice())
                .map_err(|Shut| VaultError::Damaged)?,
            next: AtomicU64::new(0),
            others: Mutex::default(),
        })
    }

    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Seals bytes for a context.
    pub(crate) fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut sealed = Vec::with_capacity(plain.len() + HEAD + TAG);
        sealed.extend_from_slice(&[0; HEAD]);
        sealed.extend_from_slice(plain);
        self.seal_behind_head(context, &mut sealed)?;
        Ok(sealed)
    }

    /// Seals what stands behind [`HEAD`] bytes of room, without moving it.
    pub(crate) fn seal_behind_head(
        &self,
        context: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), VaultError> {
        let counter = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                next.checked_add(1)
            })
            .map_err(|_| VaultError::Exhausted)?
            .to_be_bytes();
        let Some((head, plain)) = sealed.split_at_mut_checked(HEAD) else {
            return Err(VaultError::Damaged);
        };
        let tag = self
            .session
            .seal_in_place_separate_tag(nonce(counter), Aad::from(context), plain)
            .map_err(|_| VaultError::Exhausted)?;
        for (place, byte) in head.iter_mut().zip(self.head.into_iter().chain(counter)) {
            *place = byte;
        }
        sealed.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens what was sealed for this context.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Shut> {
        let mut plain = Vec::new();
        self.open_into(context, sealed, &mut plain)?;
        Ok(plain)
    }

    /// The same, into a buffer that is used again.
    pub(crate) fn open_into(
        &self,
        context: &[u8],
        sealed: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<(), Shut> {
        plain.clear();
        let (head, rest) = sealed.split_first_chunk::<{ HEAD - 8 }>().ok_or(Shut)?;
        let (counter, rest) = rest.split_first_chunk::<8>().ok_or(Shut)?;
        let length = rest.len().checked_sub(TAG).ok_or(Shut)?;
        plain.extend_from_slice(rest);
        let opened = if *head == self.head {
            open(&self.session, *counter, context, plain)
        } else {
            open(&*self.other(head)?, *counter, context, plain)
        };
        if opened.is_err() {
            // What it decrypts to is nobody's business.
            plain.clear();
            return Err(Shut);
        }
        plain.truncate(length);
        Ok(())
    }

    /// The key of another session.
    fn other(&self, head: &[u8; HEAD - 8]) -> Result<Arc<LessSafeKey>, Shut> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = others.get(head) {
            return Ok(Arc::clone(key));
        }
        let [VERSION, a, b, c, d, salt @ ..] = head else {
            return Err(Shut);
        };
        let secret = self.keys.find([*a, *b, *c, *d]).ok_or(Shut)?;
        let key = Arc::new(session_key(&secret.secret, salt)?);
        // Damaged values must not fill the memory with keys of sessions that never were.
        if others.len() >= SESSIONS_MAX {
            others.clear();
        }
        others.insert(*head, Arc::clone(&key));
        Ok(key)
    }
}

fn open(key: &LessSafeKey, counter: [u8; 8], context: &[u8], text: &mut [u8]) -> Result<(), Shut> {
    key.open_in_place(nonce(counter), Aad::from(context), text)
        .map(drop)
        .map_err(|_| Shut)
}

/// The room that [`Sealer::seal_behind_head`] wants.
pub(crate) const ROOM: [u8; HEAD] = [0; HEAD];

/// The key that something sealed says it needs.
pub(crate) fn key_of(sealed: &[u8]) -> Option<Fingerprint> {
    match sealed {
        [VERSION, a, b, c, d, ..] if sealed.len() >= HEAD + TAG => Some([*a, *b, *c, *d]),
        _ => None,
    }
}

/// The context that the secret of the look-ups is sealed for.
const LOOKUP: &[u8] = b"lookup";

/// [`Sealer`] and the secret of the look-ups of one database.
pub(crate) struct Vault {
    sealer: Sealer,
    lookup: Zeroizing<[u8; 32]>,
    /// The last token: a message speaks of one patient, in many rows.
    last: Mutex<(String, String)>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.sealer.fmt(f)
    }
}

impl Vault {
    /// For a new database.
    pub(crate) fn create(keys: &Keys) -> Result<Self, VaultError> {
        Ok(Self {
            sealer: Sealer::new(keys)?,
            lookup: random()?,
            last: Mutex::default(),
        })
    }

    /// For the database that keeps this as the secret of its look-ups.
    pub(crate) fn open(keys: &Keys, lookup: &[u8]) -> Result<Self, VaultError> {
        let sealer = Sealer::new(keys)?;
        let opened = sealer
            .open(LOOKUP, lookup)
            .map(Zeroizing::new)
            .map_err(|Shut| VaultError::Damaged)?;
        let lookup: [u8; 32] = opened
            .as_slice()
            .try_into()
            .map_err(|_| VaultError::Damaged)?;
        Ok(Self {
            sealer,
            lookup: Zeroizing::new(lookup),
            last: Mutex::default(),
        })
    }

    /// Another session under the same keys and look-ups.
    pub(crate) fn again(&self) -> Result<Self, VaultError> {
        Ok(Self {
            sealer: Sealer::new(self.sealer.keys())?,
            lookup: self.lookup.clone(),
            last: Mutex::default(),
        })
    }

    /// The secret of the look-ups, sealed under the key that writes.
    pub(crate) fn lookup(&self) -> Result<Vec<u8>, VaultError> {
        self.sealer.seal(LOOKUP, self.lookup.as_slice())
    }

    pub(crate) const fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// What stands for a patient id where it is looked up.
    pub(crate) fn token(&self, patient_id: &str) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != patient_id || last.1.is_empty() {
            let hash = mac(&self.lookup, &[b"patient", patient_id.as_bytes()]);
            last.0.clear();
            last.0.push_str(patient_id);
            // 96 bits: of a hundred million patients, two are alike with a chance of 2^-44.
            let (short, _) = hash.split_at(12);
            last.1 = URL_SAFE_NO_PAD.encode(short);
        }
        last.1.clone()
    }

    /// What stands for a digest where it is looked up: the digest itself would tell who tries
    /// names whether they are right.
    pub(crate) fn digest(&self, digest: &[u8]) -> [u8; 32] {
        *mac(&self.lookup, &[b"digest", digest])
    }
}

#[cfg(test)]
mod tests;
