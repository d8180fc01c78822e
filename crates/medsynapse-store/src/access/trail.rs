//! The audit trail: every entry carries a keyed hash over itself and the one before.

use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{AccessStore, millis};
use crate::error::StoreError;

/// The secret of a trail: who does not have it can neither forge an entry nor find a patient.
#[derive(Clone, PartialEq, Eq)]
pub struct TrailKey([u8; 32]);

impl fmt::Debug for TrailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrailKey")
    }
}

impl TrailKey {
    /// This secret.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// HMAC-SHA-256 over parts, each with its length, so that no two lists of parts are alike.
    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of every length")
        };
        for part in std::iter::once(&purpose).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Shows which secret this is to who has it, and nothing to who has not.
    #[cfg(feature = "postgres")]
    pub(crate) fn proof(&self) -> [u8; 32] {
        self.mac(b"proof", &[])
    }

    #[cfg(feature = "postgres")]
    pub(crate) const fn secret(&self) -> &[u8; 32] {
        &self.0
    }

    /// What stands for a patient in the trail: the same for the same id, and without the secret
    /// of no use.
    pub fn patient(&self, id: &str) -> String {
        use fmt::Write as _;
        let mac = self.mac(b"patient", &[id.trim().as_bytes()]);
        mac.iter().take(16).fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Something that somebody did or tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: the id of a key, the subject of a token, `anonymous`.
    pub who: String,
    /// From where: an address.
    pub peer: String,
    /// What: the method and the route.
    pub action: String,
    /// On what: an accession number, the number of a message; never a patient.
    pub target: String,
    /// On whom: what [`TrailKey::patient`] gives.
    pub patient: Option<String>,
    /// What came of it: the HTTP status.
    pub outcome: u16,
}

/// An entry with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailRecord {
    /// Its number, from 1.
    pub n: i64,
    /// The entry.
    pub entry: TrailEntry,
    /// Its keyed hash, which covers the one before it.
    pub link: [u8; 32],
}

/// A part of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailPage {
    /// The entries, the latest first.
    pub items: Vec<TrailRecord>,
    /// Whether there are earlier ones.
    pub more: bool,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrailCheck {
    /// Nothing was changed, inserted or taken out.
    Whole {
        /// How many entries there are.
        entries: i64,
    },
    /// From this entry on the trail is not what was written.
    Broken {
        /// Its number.
        n: i64,
        /// What is wrong.
        reason: &'static str,
    },
}

pub(crate) fn link(key: &TrailKey, before: &[u8], n: i64, entry: &TrailEntry) -> [u8; 32] {
    key.mac(
        b"trail",
        &[
            before,
            &n.to_be_bytes(),
            &millis(entry.at).to_be_bytes(),
            entry.who.as_bytes(),
            entry.peer.as_bytes(),
            entry.action.as_bytes(),
            entry.target.as_bytes(),
            entry.patient.as_deref().unwrap_or_default().as_bytes(),
            &entry.outcome.to_be_bytes(),
        ],
    )
}

pub(crate) fn seal(key: &TrailKey, n: i64, link: &[u8]) -> [u8; 32] {
    key.mac(b"head", &[&n.to_be_bytes(), link])
}

/// Goes along a trail and holds each entry to its link.
pub(crate) struct Chain<'a> {
    key: &'a TrailKey,
    n: i64,
    before: Vec<u8>,
}

impl<'a> Chain<'a> {
    pub(crate) const fn new(key: &'a TrailKey) -> Self {
        Self {
            key,
            n: 0,
            before: Vec::new(),
        }
    }

    /// The next entry; `None` for one that cannot be read.
    pub(crate) fn follow(&mut self, found: Option<&TrailRecord>) -> Result<(), TrailCheck> {
        self.n += 1;
        let n = self.n;
        let broken = |reason| Err(TrailCheck::Broken { n, reason });
        let Some(found) = found else {
            return broken("the entry cannot be read");
        };
        if found.n != n {
            return broken("the entry is missing");
        }
        self.before = link(self.key, &self.before, n, &found.entry).to_vec();
        if self.before != found.link {
            return broken("the entry, or the one before it, was changed");
        }
        Ok(())
    }

    /// Whether this is the link of the last entry.
    #[cfg(feature = "postgres")]
    pub(crate) fn ends_with(&self, link: &[u8]) -> bool {
        self.before == link
    }

    /// What was found, once the head says how long the trail is.
    pub(crate) fn end(self, head: Option<(i64, &[u8])>) -> TrailCheck {
        let n = self.n;
        match head {
            None if n == 0 => TrailCheck::Whole { entries: 0 },
            Some((count, found)) if count == n && found == seal(self.key, n, &self.before) => {
                TrailCheck::Whole { entries: n }
            }
            _ => TrailCheck::Broken {
                n: n + 1,
                reason: "entries at the end were taken away",
            },
        }
    }
}

/// Where a trail is kept; the methods are those of [`AccessStore`].
pub(crate) trait Trail {
    fn agree(
        &self,
        given: Option<&TrailKey>,
        fresh: Option<[u8; 32]>,
    ) -> Result<Option<TrailKey>, StoreError>;
    fn append(&self, key: &TrailKey, entries: &[TrailEntry]) -> Result<(), StoreError>;
    fn trail_page(&self, before: Option<i64>, limit: u32) -> Result<TrailPage, StoreError>;
    fn verify_trail(&self, key: &TrailKey) -> Result<TrailCheck, StoreError>;
}

impl AccessStore {
    /// The secret of the trail, the same for all who share it.
    ///
    /// Where it is `given`, as by the configuration of each server, the database keeps a proof of
    /// it alone, and who comes with another one is refused. Where it is not, the database keeps
    /// it: the first who comes puts a `fresh` one there. `None` where there is none yet, and in a
    /// data directory, whose secret lies beside the database.
    ///
    /// # Errors
    ///
    /// Another secret was given than to others, one is missing, or the database fails.
    pub fn trail_key(
        &self,
        given: Option<&TrailKey>,
        fresh: Option<[u8; 32]>,
    ) -> Result<Option<TrailKey>, StoreError> {
        self.home.agree(given, fresh)
    }

    /// Appends entries to the trail, all or none. Several servers may do so at a time: it is one
    /// chain.
    ///
    /// # Errors
    ///
    /// The database cannot be written. Where it did not say whether it committed, the same entries
    /// can be given again, and are in the trail once.
    pub fn append(&self, key: &TrailKey, entries: &[TrailEntry]) -> Result<(), StoreError> {
        self.home.append(key, entries)
    }

    /// Entries before number `before`, the latest first.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn trail_page(&self, before: Option<i64>, limit: u32) -> Result<TrailPage, StoreError> {
        self.home.trail_page(before, limit)
    }

    /// Goes through the whole trail and says whether it is what was written.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn verify_trail(&self, key: &TrailKey) -> Result<TrailCheck, StoreError> {
        self.home.verify_trail(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_is_the_same_under_one_secret_only() {
        let (one, two) = (TrailKey::new([1; 32]), TrailKey::new([2; 32]));
        assert_eq!(one.patient("PAT1"), one.patient(" PAT1 "));
        assert_ne!(one.patient("PAT1"), one.patient("PAT2"));
        assert_ne!(one.patient("PAT1"), two.patient("PAT1"));
        assert!(!one.patient("PAT1").contains("PAT"));
    }
}
