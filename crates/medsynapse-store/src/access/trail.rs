//! The audit trail: every entry carries a keyed hash over itself and the one before.

use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use sha2::Sha256;

use super::{AccessStore, millis, moment};
use crate::error::StoreError;

/// The secret of a trail: who does not have it can neither forge an entry nor find a patient.
#[derive(Clone)]
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

fn link(key: &TrailKey, before: &[u8], n: i64, entry: &TrailEntry) -> [u8; 32] {
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

fn seal(key: &TrailKey, n: i64, link: &[u8]) -> [u8; 32] {
    key.mac(b"head", &[&n.to_be_bytes(), link])
}

const COLUMNS: &str = "n, at, who, peer, action, target, patient, outcome, link";

fn record(row: &Row<'_>) -> rusqlite::Result<TrailRecord> {
    Ok(TrailRecord {
        n: row.get(0)?,
        entry: TrailEntry {
            at: moment(row.get(1)?),
            who: row.get(2)?,
            peer: row.get(3)?,
            action: row.get(4)?,
            target: row.get(5)?,
            patient: row.get(6)?,
            outcome: row.get(7)?,
        },
        link: row.get(8)?,
    })
}

fn last(connection: &Connection) -> rusqlite::Result<(i64, Vec<u8>)> {
    let sql = "SELECT n, link FROM trail ORDER BY n DESC LIMIT 1";
    let found = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?.unwrap_or_default())
}

impl AccessStore {
    /// Appends entries to the trail, all or none.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn append(&self, key: &TrailKey, entries: &[TrailEntry]) -> Result<(), StoreError> {
        let mut connection = self.trail();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut n, mut before) = last(&transaction)?;
        {
            let sql = format!("INSERT INTO trail ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)");
            let mut insert = transaction.prepare_cached(&sql)?;
            for entry in entries {
                n += 1;
                before = link(key, &before, n, entry).to_vec();
                insert.execute(params![
                    n,
                    millis(entry.at),
                    entry.who,
                    entry.peer,
                    entry.action,
                    entry.target,
                    entry.patient,
                    entry.outcome,
                    before
                ])?;
            }
        }
        transaction.execute(
            "INSERT INTO trail_head (one, n, seal) VALUES (1, ?1, ?2)
             ON CONFLICT DO UPDATE SET n = excluded.n, seal = excluded.seal",
            params![n, seal(key, n, &before)],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Entries before number `before`, the latest first.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn trail_page(&self, before: Option<i64>, limit: u32) -> Result<TrailPage, StoreError> {
        let connection = self.durable();
        let sql = format!("SELECT {COLUMNS} FROM trail WHERE n < ?1 ORDER BY n DESC LIMIT ?2");
        let mut statement = connection.prepare_cached(&sql)?;
        let before = before.unwrap_or(i64::MAX);
        let rows = statement.query_map(params![before, i64::from(limit) + 1], record)?;
        let mut items = rows.collect::<Result<Vec<_>, _>>()?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Ok(TrailPage { items, more })
    }

    /// Goes through the whole trail and says whether it is what was written.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn verify_trail(&self, key: &TrailKey) -> Result<TrailCheck, StoreError> {
        let mut connection = self.durable();
        // One moment's view: the server may be writing.
        let transaction = connection.transaction()?;
        let sql = format!("SELECT {COLUMNS} FROM trail ORDER BY n");
        let mut statement = transaction.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let (mut n, mut before) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            let Ok(found) = record(row) else {
                let reason = "the entry cannot be read";
                return Ok(TrailCheck::Broken { n: n + 1, reason });
            };
            n += 1;
            if found.n != n {
                return Ok(TrailCheck::Broken {
                    n,
                    reason: "the entry is missing",
                });
            }
            before = link(key, &before, n, &found.entry).to_vec();
            if before != found.link {
                let reason = "the entry, or the one before it, was changed";
                return Ok(TrailCheck::Broken { n, reason });
            }
        }
        let head = transaction
            .query_row("SELECT n, seal FROM trail_head", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        Ok(match head {
            None if n == 0 => TrailCheck::Whole { entries: 0 },
            Some((count, found)) if count == n && found == seal(key, n, &before) => {
                TrailCheck::Whole { entries: n }
            }
            _ => TrailCheck::Broken {
                n: n + 1,
                reason: "entries at the end were taken away",
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: &str) -> TrailEntry {
        TrailEntry {
            at: DateTime::UNIX_EPOCH,
            who: "key:a".into(),
            peer: "127.0.0.1:1".into(),
            action: "GET /api/v1/orders/{accession}".into(),
            target: target.into(),
            patient: None,
            outcome: 200,
        }
    }

    #[test]
    fn whatever_is_done_to_the_trail_is_found() {
        let key = TrailKey::new([7; 32]);
        let check = |change: &str| {
            let directory = tempfile::tempdir().unwrap();
            let store = AccessStore::open(directory.path()).unwrap();
            store.append(&key, &[entry("A1"), entry("A2")]).unwrap();
            store.append(&key, &[entry("A3")]).unwrap();
            // Somebody with the database in hand.
            let connection = Connection::open(directory.path().join("access.db")).unwrap();
            connection
                .execute_batch(&format!(
                    "DROP TRIGGER trail_is_never_changed; DROP TRIGGER trail_is_never_shortened;
                     {change}"
                ))
                .unwrap();
            store.verify_trail(&key).unwrap()
        };
        let broken = |n| move |found: TrailCheck| matches!(found, TrailCheck::Broken { n: at, .. } if at == n);
        assert_eq!(check(""), TrailCheck::Whole { entries: 3 });
        assert!(broken(2)(check(
            "UPDATE trail SET outcome = 403 WHERE n = 2;"
        )));
        assert!(broken(2)(check(
            "UPDATE trail SET target = 'A9' WHERE n = 2;"
        )));
        assert!(broken(2)(check("DELETE FROM trail WHERE n = 2;")));
        assert!(broken(3)(check("DELETE FROM trail WHERE n = 3;")));
        assert!(broken(3)(check(
            "DELETE FROM trail WHERE n = 3; UPDATE trail_head SET n = 2;"
        )));
        assert!(broken(1)(check(
            "DELETE FROM trail; DELETE FROM trail_head;
            INSERT INTO trail VALUES (1, 0, 'x', '', '', '', NULL, 200, zeroblob(32));"
        )));
        assert!(broken(3)(check("UPDATE trail SET n = 4 WHERE n = 3;")));
    }

    #[test]
    fn the_trail_only_grows() {
        let directory = tempfile::tempdir().unwrap();
        let store = AccessStore::open(directory.path()).unwrap();
        let key = TrailKey::new([7; 32]);
        store.append(&key, &[entry("A1")]).unwrap();
        for change in ["UPDATE trail SET outcome = 1", "DELETE FROM trail"] {
            assert!(store.trail().execute(change, []).is_err(), "{change}");
        }
        let page = store.trail_page(None, 10).unwrap();
        assert_eq!((page.items.len(), page.more), (1, false));
    }

    #[test]
    fn a_patient_is_the_same_under_one_secret_only() {
        let (one, two) = (TrailKey::new([1; 32]), TrailKey::new([2; 32]));
        assert_eq!(one.patient("PAT1"), one.patient(" PAT1 "));
        assert_ne!(one.patient("PAT1"), one.patient("PAT2"));
        assert_ne!(one.patient("PAT1"), two.patient("PAT1"));
        assert!(!one.patient("PAT1").contains("PAT"));
    }
}
