//! The audit trail, in the file.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::SqliteAccess;
use crate::access::trail::{
    Chain, Trail, TrailCheck, TrailEntry, TrailKey, TrailPage, TrailRecord, link, seal,
};
use crate::access::{millis, moment};
use crate::error::StoreError;

pub(super) const COLUMNS: &str = "n, at, who, peer, action, target, patient, outcome, link";

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<TrailRecord> {
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

impl Trail for SqliteAccess {
    fn agree(
        &self,
        given: Option<&TrailKey>,
        _fresh: Option<[u8; 32]>,
    ) -> Result<Option<TrailKey>, StoreError> {
        Ok(given.cloned())
    }

    fn append(&self, key: &TrailKey, entries: &[TrailEntry]) -> Result<(), StoreError> {
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

    fn trail_page(&self, before: Option<i64>, limit: u32) -> Result<TrailPage, StoreError> {
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

    fn verify_trail(&self, key: &TrailKey) -> Result<TrailCheck, StoreError> {
        let mut connection = self.durable();
        // One moment's view: the server may be writing.
        let transaction = connection.transaction()?;
        let sql = format!("SELECT {COLUMNS} FROM trail ORDER BY n");
        let mut statement = transaction.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let mut chain = Chain::new(key);
        while let Some(row) = rows.next()? {
            if let Err(broken) = chain.follow(record(row).ok().as_ref()) {
                return Ok(broken);
            }
        }
        let head = transaction
            .query_row("SELECT n, seal FROM trail_head", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        Ok(chain.end(head.as_ref().map(|(n, seal)| (*n, seal.as_slice()))))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::access::trail::TrailEntry;

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
            let store = SqliteAccess::open(directory.path(), None).unwrap();
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
        let store = SqliteAccess::open(directory.path(), None).unwrap();
        let key = TrailKey::new([7; 32]);
        store.append(&key, &[entry("A1")]).unwrap();
        for change in ["UPDATE trail SET outcome = 1", "DELETE FROM trail"] {
            assert!(store.trail().execute(change, []).is_err(), "{change}");
        }
        let page = store.trail_page(None, 10).unwrap();
        assert_eq!((page.items.len(), page.more), (1, false));
    }
}
