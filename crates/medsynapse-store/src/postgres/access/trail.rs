//! The audit trail of all servers: one chain.

use std::sync::PoisonError;

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::{IsolationLevel, Row};

use super::secret::agree;
use super::{PostgresAccess, in_time, lend};
use crate::access::{
    Chain, Trail, TrailCheck, TrailEntry, TrailKey, TrailPage, TrailRecord, link, millis, moment,
    seal,
};
use crate::error::StoreError;
use crate::postgres::filter::without_nul;
use crate::postgres::messages::rows;
use crate::postgres::rows::{damaged, get};
use crate::postgres::{block, sql};

/// The columns of the trail.
pub(super) const COLUMNS: [(&str, &str); 9] = [
    ("n", "bigint"),
    ("at", "bigint"),
    ("who", "text"),
    ("peer", "text"),
    ("action", "text"),
    ("target", "text"),
    ("patient", "text"),
    ("outcome", "integer"),
    ("link", "bytea"),
];
pub(super) const SELECT: &str =
    "SELECT n, at, who, peer, action, target, patient, outcome, link FROM trail";
/// Rows that a verification takes at a time.
const PAGE: i32 = 1_000;

/// Entries that were sent, and that may be in the trail.
pub(super) struct Sent {
    before: End,
    after: End,
}

/// Where a trail ends, or ended.
#[derive(Clone, PartialEq, Eq)]
struct End {
    n: i64,
    link: Vec<u8>,
}

pub(super) fn record(row: &Row) -> Result<TrailRecord, StoreError> {
    let n = get(row, 0)?;
    let odd = || damaged("trail", n);
    let link: Vec<u8> = get(row, 8)?;
    Ok(TrailRecord {
        n,
        entry: TrailEntry {
            at: moment(get(row, 1)?),
            who: get(row, 2)?,
            peer: get(row, 3)?,
            action: get(row, 4)?,
            target: get(row, 5)?,
            patient: get(row, 6)?,
            outcome: u16::try_from(get::<i32>(row, 7)?).map_err(|_| odd())?,
        },
        link: link.try_into().map_err(|_| odd())?,
    })
}

/// An entry as PostgreSQL can keep it.
fn keepable(entry: &TrailEntry) -> TrailEntry {
    let text = |text: &String| without_nul(text).into_owned();
    TrailEntry {
        at: entry.at,
        who: text(&entry.who),
        peer: text(&entry.peer),
        action: text(&entry.action),
        target: text(&entry.target),
        patient: entry.patient.as_ref().map(text),
        outcome: entry.outcome,
    }
}

/// The entries behind an end, with their numbers and links.
fn chained(key: &TrailKey, end: &End, entries: &[TrailEntry]) -> Vec<TrailRecord> {
    let (mut n, mut before) = (end.n, end.link.clone());
    let chained = entries.iter().map(|entry| {
        n += 1;
        let link = link(key, &before, n, entry);
        before = link.to_vec();
        TrailRecord {
            n,
            entry: entry.clone(),
            link,
        }
    });
    chained.collect()
}

/// Writes entries, whose numbers and links are right, all or none.
pub(super) async fn insert(
    client: &impl deadpool_postgres::GenericClient,
    records: &[TrailRecord],
    more: &str,
) -> Result<(), StoreError> {
    let statement = sql::insert("trail", &COLUMNS, more);
    let statement = client.prepare_cached(&statement).await?;
    let text = |of: fn(&TrailEntry) -> &String| -> Vec<&str> {
        let texts = records.iter().map(|record| of(&record.entry).as_str());
        texts.collect()
    };
    let entries = || records.iter().map(|record| &record.entry);
    client
        .execute(
            &statement,
            &[
                &records.iter().map(|record| record.n).collect::<Vec<_>>(),
                &entries().map(|entry| millis(entry.at)).collect::<Vec<_>>(),
                &text(|entry| &entry.who),
                &text(|entry| &entry.peer),
                &text(|entry| &entry.action),
                &text(|entry| &entry.target),
                &entries()
                    .map(|entry| entry.patient.as_deref())
                    .collect::<Vec<_>>(),
                &entries()
                    .map(|entry| i32::from(entry.outcome))
                    .collect::<Vec<_>>(),
                &records
                    .iter()
                    .map(|record| record.link.as_slice())
                    .collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

async fn append(
    client: &mut Object,
    key: &TrailKey,
    entries: &[TrailEntry],
    sent: &mut Option<Sent>,
) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    let head = "SELECT n, link, seal FROM trail_head FOR UPDATE";
    let head = rows(&transaction, head, &[]).await?;
    let head = head.first();
    let head = head.ok_or_else(|| StoreError::Database("trail_head is empty".into()))?;
    let (end, sealed): (_, Vec<u8>) = (
        End {
            n: get(head, 0)?,
            link: get(head, 1)?,
        },
        get(head, 2)?,
    );
    if let Some(before) = &*sent {
        let there = is_there(&transaction, before, key, entries).await?;
        *sent = None;
        if there {
            return Ok(());
        }
    }
    let records = chained(key, &end, entries);
    let Some(last) = records.last() else {
        return Ok(());
    };
    insert(&transaction, &records, "").await?;
    // Whoever has cut the trail off here has no seal for it; and gets none from those who go on
    // writing.
    let whole = end.n == 0 || sealed == seal(key, end.n, &end.link);
    let sealed = if whole {
        seal(key, last.n, &last.link).to_vec()
    } else {
        tracing::error!("the end of the audit trail was changed: hl7-server audit verify");
        sealed
    };
    let update = "UPDATE trail_head SET n = $1, link = $2, seal = $3 RETURNING n";
    let link = last.link.as_slice();
    rows(&transaction, update, &[&last.n, &link, &sealed]).await?;
    let after = End {
        n: last.n,
        link: last.link.to_vec(),
    };
    *sent = Some(Sent { before: end, after });
    transaction.commit().await?;
    *sent = None;
    Ok(())
}

/// Whether these are the entries that were sent before, and came to be in the trail.
async fn is_there(
    transaction: &Transaction<'_>,
    sent: &Sent,
    key: &TrailKey,
    entries: &[TrailEntry],
) -> Result<bool, StoreError> {
    let again = chained(key, &sent.before, entries);
    if again.last().map(|last| last.link.as_slice()) != Some(sent.after.link.as_slice()) {
        return Ok(false);
    }
    let sql = "SELECT link FROM trail WHERE n = $1";
    let found = rows(transaction, sql, &[&sent.after.n]).await?;
    let found = found
        .first()
        .map(|row| get::<Vec<u8>>(row, 0))
        .transpose()?;
    Ok(found.as_ref() == Some(&sent.after.link))
}

impl Trail for PostgresAccess {
    fn agree(
        &self,
        given: Option<&TrailKey>,
        fresh: Option<[u8; 32]>,
    ) -> Result<Option<TrailKey>, StoreError> {
        self.ask(async |client| agree(&*client, given, fresh.as_ref()).await)
    }

    fn append(&self, key: &TrailKey, entries: &[TrailEntry]) -> Result<(), StoreError> {
        let entries: Vec<TrailEntry> = entries.iter().map(keepable).collect();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unsure = sent.take();
        let done = block::on(
            &self.handle,
            in_time(lend(&self.trail, async |client| {
                append(client, key, &entries, &mut unsure).await
            })),
        );
        *sent = unsure;
        match done {
            Err(StoreError::Unreachable(text)) if sent.is_some() => Err(StoreError::Unknown(text)),
            done => done,
        }
    }

    fn trail_page(&self, before: Option<i64>, limit: u32) -> Result<TrailPage, StoreError> {
        let sql = format!("{SELECT} WHERE n < $1 ORDER BY n DESC LIMIT $2");
        let (before, most) = (before.unwrap_or(i64::MAX), i64::from(limit) + 1);
        self.ask(async |client| {
            let rows = rows(&*client, &sql, &[&before, &most]).await?;
            let items = rows.iter().map(record);
            let mut items = items.collect::<Result<Vec<_>, _>>()?;
            let more = items.len() > limit as usize;
            items.truncate(limit as usize);
            Ok(TrailPage { items, more })
        })
    }

    fn verify_trail(&self, key: &TrailKey) -> Result<TrailCheck, StoreError> {
        // It takes as long as it takes; each page of it has its time.
        let verified = lend(&self.durable, async |client| {
            // One moment's view: servers may be writing.
            let transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await?;
            let all = transaction.prepare(&format!("{SELECT} ORDER BY n")).await?;
            let portal = transaction.bind(&all, &[]).await?;
            let mut chain = Chain::new(key);
            loop {
                let page = transaction.query_portal(&portal, PAGE).await?;
                for row in &page {
                    if let Err(broken) = chain.follow(record(row).ok().as_ref()) {
                        return Ok(broken);
                    }
                }
                if page.is_empty() {
                    break;
                }
            }
            let head = rows(&transaction, "SELECT n, link, seal FROM trail_head", &[]).await?;
            let head = head.first().map(|row| {
                let (link, seal): (Vec<u8>, Vec<u8>) = (get(row, 1)?, get(row, 2)?);
                Ok::<_, StoreError>((get::<i64>(row, 0)?, link, seal))
            });
            let head = head.transpose()?;
            transaction.commit().await?;
            Ok(match &head {
                Some((0, ..)) | None => chain.end(None),
                // What is appended next builds on this.
                Some((n, link, _)) if !chain.ends_with(link) => chain.end(Some((*n, &[]))),
                Some((n, _, seal)) => chain.end(Some((*n, seal))),
            })
        });
        block::on(&self.handle, verified)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::PostgresOptions;
    use crate::testing::Cluster;

    const KEY: TrailKey = TrailKey::new([7; 32]);

    fn entry(target: &str) -> TrailEntry {
        TrailEntry {
            at: DateTime::UNIX_EPOCH,
            who: "key:a".into(),
            peer: "127.0.0.1:1".into(),
            action: "GET /".into(),
            target: target.into(),
            patient: None,
            outcome: 200,
        }
    }

    fn open(url: &str) -> PostgresAccess {
        PostgresAccess::open(&PostgresOptions::new(url, "one")).unwrap()
    }

    #[test]
    fn entries_whose_commit_was_not_answered_are_there_once() {
        let Some(cluster) = Cluster::or_skip("entries_whose_commit_was_not_answered") else {
            return;
        };
        let store = open(&cluster.fresh().unwrap());
        let whole = |entries| {
            let found = store.verify_trail(&KEY).unwrap();
            assert_eq!(found, TrailCheck::Whole { entries });
        };
        let append = |targets: [&str; 2]| store.append(&KEY, &targets.map(entry)).unwrap();
        append(["A1", "A2"]);
        // As if the answer to the commit of the last two, or of the next two, had been lost.
        let sent = |n: i64, targets: [&str; 2]| {
            let end = |n: i64| End {
                n,
                link: match store.trail_page(Some(n + 1), 1).unwrap().items.first() {
                    Some(record) => record.link.to_vec(),
                    None => Vec::new(),
                },
            };
            let before = end(n);
            let records = chained(&KEY, &before, &targets.map(entry));
            let last = records.last().unwrap();
            let after = End {
                n: last.n,
                link: last.link.to_vec(),
            };
            *store.sent.lock().unwrap() = Some(Sent { before, after });
        };
        sent(0, ["A1", "A2"]);
        append(["A1", "A2"]);
        whole(2);
        // Nobody asks a second time.
        append(["A1", "A2"]);
        whole(4);
        sent(4, ["A3", "A4"]);
        append(["A3", "A4"]);
        whole(6);
        // Other entries are other entries.
        sent(4, ["A3", "A4"]);
        append(["A5", "A6"]);
        whole(8);
        // Another server has written there: they did not get in.
        let other = ["B1", "B2"];
        sent(6, other);
        append(other);
        whole(10);
    }

    #[test]
    fn a_server_that_stands_still_loses_the_end_of_the_trail() {
        let Some(cluster) = Cluster::or_skip("a_server_that_stands_still_loses_the_end") else {
            return;
        };
        let url = cluster.fresh().unwrap();
        let (still, other) = (open(&url), open(&url));
        let (begun, waits) = mpsc::channel();
        let stopped = std::thread::spawn(move || {
            let held = lend(&still.trail, async |client| {
                let transaction = client.transaction().await?;
                let head = "SELECT n FROM trail_head FOR UPDATE";
                rows(&transaction, head, &[]).await?;
                begun.send(()).unwrap();
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok(transaction.commit().await?)
            });
            block::on(&still.handle, held)
        });
        waits.recv().unwrap();
        other.append(&KEY, &[entry("A1")]).unwrap();
        assert!(!stopped.is_finished(), "nobody waits for it");
        assert!(stopped.join().unwrap().is_err());
        let whole = TrailCheck::Whole { entries: 1 };
        assert_eq!(other.verify_trail(&KEY).unwrap(), whole);
    }
}
