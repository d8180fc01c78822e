//! The first answers, in the file.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};

use super::SqliteAccess;
use crate::access::idempotency::{Answers, FirstAnswer, KEPT, Ticket, ticket};
use crate::access::millis;
use crate::error::StoreError;
use crate::vault::{Bundle, Item, Packer, Sealer};

pub(super) const COLUMNS: &str = "caller, key, request, status, head, body, sealed";

/// A row, as it is stored.
pub(super) struct Kept {
    pub(super) caller: String,
    pub(super) key: String,
    request: Vec<u8>,
    status: Option<u16>,
    head: Option<String>,
    body: Option<Vec<u8>>,
    sealed: bool,
}

/// What a part of a row is sealed for.
fn context(part: &str, caller: &str, key: &str) -> Vec<u8> {
    let mut context = Vec::with_capacity(64);
    for text in ["idempotency", part, caller, key] {
        context.extend_from_slice(&(text.len() as u64).to_le_bytes());
        context.extend_from_slice(text.as_bytes());
    }
    context
}

fn seal_answer(
    sealer: &Sealer,
    caller: &str,
    key: &str,
    answer: &FirstAnswer,
) -> Result<Vec<u8>, StoreError> {
    let mut packer = Packer::new(answer.head.len() + answer.body.len() + 16);
    packer.add(Item::Text(answer.head.as_bytes()));
    packer.add(Item::Blob(&answer.body));
    let mut bytes = packer.into_bytes();
    sealer.seal_behind_head(&context("answer", caller, key), &mut bytes)?;
    Ok(bytes)
}

/// A row that does not open, or is not sealed where it should be.
const DAMAGED: StoreError = StoreError::Corrupt {
    table: "idempotency",
    id: 0,
};

impl Kept {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            caller: row.get(0)?,
            key: row.get(1)?,
            request: row.get(2)?,
            status: row.get(3)?,
            head: row.get(4)?,
            body: row.get(5)?,
            sealed: row.get(6)?,
        })
    }

    fn new(
        caller: &str,
        key: &str,
        request: &[u8],
        sealer: Option<&Sealer>,
    ) -> Result<Self, StoreError> {
        // Who knows all of a request but a name could find the name by its digest.
        let request = match sealer {
            None => request.to_vec(),
            Some(sealer) => sealer.seal(&context("request", caller, key), request)?,
        };
        Ok(Self {
            caller: caller.into(),
            key: key.into(),
            request,
            status: None,
            head: None,
            body: None,
            sealed: sealer.is_some(),
        })
    }

    /// The digest of the request, and what was answered.
    pub(super) fn open(
        self,
        sealer: Option<&Sealer>,
    ) -> Result<(Vec<u8>, Option<FirstAnswer>), StoreError> {
        if self.sealed != sealer.is_some() {
            return Err(DAMAGED);
        }
        let Some(sealer) = sealer else {
            let answer = self.status.map(|status| FirstAnswer {
                status,
                head: self.head.unwrap_or_default(),
                body: self.body.unwrap_or_default(),
            });
            return Ok((self.request, answer));
        };
        let open = |part: &str, sealed: &[u8]| {
            let context = context(part, &self.caller, &self.key);
            sealer.open(&context, sealed).map_err(|_| DAMAGED)
        };
        let request = open("request", &self.request)?;
        let Some(status) = self.status else {
            return Ok((request, None));
        };
        let plain = open("answer", self.body.as_deref().unwrap_or_default())?;
        let bundle = Bundle::new(&plain);
        let (Some(Item::Text(head)), Some(Item::Blob(body))) = (bundle.get(0), bundle.get(1))
        else {
            return Err(DAMAGED);
        };
        let answer = FirstAnswer {
            status,
            head: String::from_utf8_lossy(head).into_owned(),
            body: body.to_vec(),
        };
        Ok((request, Some(answer)))
    }
}

/// Brings the answers of a data directory into another form: sealed by the first key, or plain.
pub(crate) fn convert(directory: &Path, sealer: &Sealer, seal: bool) -> Result<(), StoreError> {
    let Some(store) = SqliteAccess::open_existing(directory, None)? else {
        return Ok(());
    };
    let mut connection = store.durable();
    connection.pragma_update(None, "secure_delete", "ON")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows: Vec<Kept> = transaction
        .prepare(&format!("SELECT {COLUMNS} FROM idempotency"))?
        .query_map([], Kept::read)?
        .collect::<Result<_, _>>()?;
    for row in rows {
        let (caller, key) = (row.caller.clone(), row.key.clone());
        let was = row.sealed.then_some(sealer);
        let (request, answer) = row.open(was)?;
        let to = seal.then_some(sealer);
        let kept = Kept::new(&caller, &key, &request, to)?;
        let (head, body) = match (&answer, to) {
            (None, _) => (None, None),
            (Some(answer), None) => (Some(answer.head.clone()), Some(answer.body.clone())),
            (Some(answer), Some(sealer)) => {
                let bytes = seal_answer(sealer, &caller, &key, answer)?;
                (Some(String::new()), Some(bytes))
            }
        };
        transaction.execute(
            "UPDATE idempotency SET request = ?3, head = ?4, body = ?5, sealed = ?6 \
             WHERE caller = ?1 AND key = ?2",
            params![caller, key, kept.request, head, body, kept.sealed],
        )?;
    }
    transaction.commit()?;
    // Nothing of what the rows said before stays in free pages or in the log.
    connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

impl Answers for SqliteAccess {
    fn begin(
        &self,
        caller: &str,
        key: &str,
        request: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<Ticket, StoreError> {
        let mut connection = self.durable();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "DELETE FROM idempotency WHERE at < ?1",
            [millis(now - KEPT)],
        )?;
        let sealer = self.sealer.as_ref();
        let sql = format!("SELECT {COLUMNS} FROM idempotency WHERE caller = ?1 AND key = ?2");
        let found = transaction
            .query_row(&sql, params![caller, key], Kept::read)
            .optional()?;
        let ticket = match found {
            None => {
                let kept = Kept::new(caller, key, request, sealer)?;
                transaction.execute(
                    "INSERT INTO idempotency (caller, key, at, request, sealed) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![caller, key, millis(now), kept.request, kept.sealed],
                )?;
                Ticket::New
            }
            Some(kept) => {
                let (known, answer) = kept.open(sealer)?;
                ticket(request, &known, answer)
            }
        };
        transaction.commit()?;
        Ok(ticket)
    }

    fn settle(&self, caller: &str, key: &str, answer: &FirstAnswer) -> Result<(), StoreError> {
        let (head, body) = match &self.sealer {
            None => (answer.head.as_str(), answer.body.clone()),
            Some(sealer) => ("", seal_answer(sealer, caller, key, answer)?),
        };
        self.durable().execute(
            "UPDATE idempotency SET status = ?3, head = ?4, body = ?5 WHERE caller = ?1 AND key = ?2",
            params![caller, key, answer.status, head, body],
        )?;
        Ok(())
    }

    fn forget(&self, caller: &str, key: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM idempotency WHERE caller = ?1 AND key = ?2";
        self.durable().execute(sql, params![caller, key])?;
        Ok(())
    }
}
