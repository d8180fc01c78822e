//! Keys, trail and answers of one server, moved to where several have them.

use std::path::Path;

use deadpool_postgres::{GenericClient, Object};

use super::keys;
use super::trail::{SELECT, insert, record};
use super::{PostgresAccess, lend};
use crate::access::{KeptAnswer, Keyring, SqliteAccess, Trail, TrailRecord};
use crate::error::StoreError;
use crate::postgres::copy::{CopiedTable, CopyOptions};
use crate::postgres::messages::rows;
use crate::postgres::rows::get;
use crate::postgres::{PostgresOptions, block};

/// Entries of the trail in one transaction.
const ENTRIES: u32 = 500;
/// Answers in one transaction; each may be long.
const ANSWERS: u32 = 32;

fn differs(table: &str) -> StoreError {
    StoreError::Database(format!(
        "{table}: the rows here and there are not the same; empty the target and copy again"
    ))
}

async fn count(client: &impl GenericClient, table: &str) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM {table}");
    let found = client.query_one(&sql, &[]).await?;
    Ok(get::<i64>(&found, 0)?.unsigned_abs())
}

/// Copies what is in `access.db`, if it is there, and reads both to compare every row. What was
/// copied before stays.
pub(in crate::postgres) fn copy(
    directory: &Path,
    options: &CopyOptions<'_>,
    to: &PostgresOptions,
    each: &mut impl FnMut(&'static str, u64),
) -> Result<Vec<CopiedTable>, StoreError> {
    let Some(from) = SqliteAccess::open_existing(directory, options.keys)? else {
        return Ok(Vec::new());
    };
    let to = PostgresAccess::open(to)?;
    if options.trail_key.is_none() && !from.trail_after(0, 1)?.is_empty() {
        return Err(StoreError::Settings(
            "the secret of the audit trail (audit.key) is not beside it: without it the trail can \
             be neither verified nor gone on with; put it there, or move access.db away and leave \
             keys and trail behind"
                .into(),
        ));
    }
    agree(&to, options)?;
    let copied = block::on(
        &to.handle,
        lend(&to.durable, async |client| {
            Ok(vec![
                copy_keys(&from, client, each).await?,
                copy_trail(&from, client, each).await?,
                copy_answers(&from, client, each).await?,
            ])
        }),
    )?;
    if let Some(key) = options.trail_key
        && from.verify_trail(key)? != to.verify_trail(key)?
    {
        return Err(differs("trail"));
    }
    Ok(copied)
}

fn agree(to: &PostgresAccess, options: &CopyOptions<'_>) -> Result<(), StoreError> {
    let Some(key) = options.trail_key else {
        return Ok(());
    };
    let agreed = if options.trail_key_apart {
        to.agree(Some(key), None)?
    } else {
        to.agree(None, Some(*key.secret()))?
    };
    if agreed.as_ref() != Some(key) {
        return Err(StoreError::Settings(
            "the target has an audit trail with a secret of its own; name an empty database".into(),
        ));
    }
    Ok(())
}

async fn copy_keys(
    from: &SqliteAccess,
    client: &Object,
    each: &mut impl FnMut(&'static str, u64),
) -> Result<CopiedTable, StoreError> {
    let table = "api_keys";
    let (here, before) = (from.keys()?, count(client, table).await?);
    for key in &here {
        keys::insert(client, key, " ON CONFLICT DO NOTHING").await?;
    }
    each(table, here.len() as u64);
    if keys::all(client).await? != here {
        return Err(differs(table));
    }
    Ok(CopiedTable {
        table,
        rows: here.len() as u64,
        before,
    })
}

async fn copy_trail(
    from: &SqliteAccess,
    client: &Object,
    each: &mut impl FnMut(&'static str, u64),
) -> Result<CopiedTable, StoreError> {
    let table = "trail";
    let before = count(client, table).await?;
    let (mut last, mut copied): (Option<TrailRecord>, u64) = (None, 0);
    let back = format!("{SELECT} WHERE n > $1 ORDER BY n LIMIT $2");
    loop {
        let after = last.as_ref().map_or(0, |last| last.n);
        let page = from.trail_after(after, ENTRIES)?;
        let Some(end) = page.last() else {
            break;
        };
        insert(client, &page, " ON CONFLICT DO NOTHING").await?;
        let there = rows(client, &back, &[&after, &i64::from(ENTRIES)]).await?;
        let there: Vec<TrailRecord> = there.iter().map(record).collect::<Result<_, _>>()?;
        if there != page {
            return Err(differs(table));
        }
        copied += page.len() as u64;
        each(table, copied);
        last = Some(end.clone());
    }
    if count(client, table).await? != copied {
        return Err(differs(table));
    }
    if let Some(last) = last {
        // As it is: a trail that was cut off here is so there.
        let (n, seal) = from.trail_head()?.unwrap_or((last.n, Vec::new()));
        let sql = "UPDATE trail_head SET n = $1, link = $2, seal = $3 RETURNING n";
        rows(client, sql, &[&n, &last.link.as_slice(), &seal]).await?;
    }
    Ok(CopiedTable {
        table,
        rows: copied,
        before,
    })
}

async fn copy_answers(
    from: &SqliteAccess,
    client: &mut Object,
    each: &mut impl FnMut(&'static str, u64),
) -> Result<CopiedTable, StoreError> {
    let table = "idempotency";
    let before = count(client, table).await?;
    let (mut place, mut copied) = ((String::new(), String::new()), 0);
    loop {
        let page = from.answers_after((&place.0, &place.1), ANSWERS)?;
        let Some(end) = page.last() else {
            break;
        };
        let transaction = client.transaction().await?;
        for kept in &page {
            put(&transaction, kept).await?;
        }
        transaction.commit().await?;
        let back = "SELECT caller, key, at, request, status, head, body FROM idempotency \
            WHERE (caller, key) > ($1, $2) ORDER BY caller, key LIMIT $3";
        let there = rows(client, back, &[&place.0, &place.1, &i64::from(ANSWERS)]).await?;
        let there: Vec<KeptAnswer> = there.iter().map(kept).collect::<Result<_, _>>()?;
        if there != page {
            return Err(differs(table));
        }
        copied += page.len() as u64;
        each(table, copied);
        place = (end.caller.clone(), end.key.clone());
    }
    if count(client, table).await? != copied {
        return Err(differs(table));
    }
    Ok(CopiedTable {
        table,
        rows: copied,
        before,
    })
}

async fn put(client: &impl GenericClient, kept: &KeptAnswer) -> Result<(), StoreError> {
    let sql = "INSERT INTO idempotency (caller, key, at, request, ticket, status, head, body) \
        VALUES ($1, $2, $3, $4, '', $5, $6, $7) ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(sql).await?;
    let answer = kept.answer.as_ref();
    let status = answer.map(|answer| i32::from(answer.status));
    let (head, body) = (
        answer.map(|answer| answer.head.as_str()),
        answer.map(|answer| answer.body.as_slice()),
    );
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
        &kept.caller,
        &kept.key,
        &kept.at,
        &kept.request,
        &status,
        &head,
        &body,
    ];
    client.execute(&statement, &values).await?;
    Ok(())
}

fn kept(row: &tokio_postgres::Row) -> Result<KeptAnswer, StoreError> {
    Ok(KeptAnswer {
        caller: get(row, 0)?,
        key: get(row, 1)?,
        at: get(row, 2)?,
        request: get(row, 3)?,
        answer: super::answers::answer(get(row, 4)?, get(row, 5)?, get(row, 6)?),
    })
}
