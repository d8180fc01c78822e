//! The message log, read.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::filter::{Filter, asked};
use super::rows::{SUMMARY, SUMMARY_WIDTH, count64, damaged, get, summary};
use crate::error::StoreError;
use crate::query::{Direction, MessageOrder, MessageQuery, Page};
use crate::record::{MessageSummary, Note, StoredMessage, digest};

/// The rows of a statement that is kept prepared.
pub(super) async fn rows(
    client: &impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, values).await?)
}

pub(super) async fn messages(
    client: &impl GenericClient,
    query: &MessageQuery,
) -> Result<Page<MessageSummary>, StoreError> {
    let mut filter = Filter::default();
    filter.maybe("message_code = ?", asked(query.message_code.as_ref()));
    filter.maybe(
        "accession_number = ?",
        asked(query.accession_number.as_ref()),
    );
    filter.maybe("patient_id = ?", asked(query.patient_id.as_ref()));
    filter.maybe("control_id = ?", asked(query.control_id.as_ref()));
    filter.maybe("ack_code = ?", asked(query.ack_code.as_ref()));
    filter.maybe("direction = ?", query.direction.map(Direction::as_str));
    let total = total(client, query, &filter).await?;
    if query.limit == 0 {
        return Ok(Page {
            items: Vec::new(),
            total,
        });
    }
    filter.maybe("id > ?", query.after);
    filter.maybe("id < ?", query.before);
    let way = match query.order {
        MessageOrder::OldestFirst => "ASC",
        MessageOrder::NewestFirst => "DESC",
    };
    let limit = filter.value(i64::from(query.limit));
    let offset = filter.value(i64::try_from(query.offset).unwrap_or(i64::MAX));
    let sql = format!(
        "SELECT {SUMMARY} FROM messages{} ORDER BY id {way} LIMIT {limit} OFFSET {offset}",
        filter.text()
    );
    let found = rows(client, &sql, &filter.values()).await?;
    let items = found.iter().map(summary).collect::<Result<_, _>>()?;
    Ok(Page { items, total })
}

/// How many messages match, from the kept counts where they say it.
async fn total(
    client: &impl GenericClient,
    query: &MessageQuery,
    filter: &Filter,
) -> Result<u64, StoreError> {
    let uncounted = [
        &query.accession_number,
        &query.patient_id,
        &query.control_id,
        &query.ack_code,
    ];
    let sql = if uncounted.iter().all(|asked| asked.is_none()) {
        format!(
            "SELECT coalesce(sum(messages), 0)::BIGINT FROM message_counts{}",
            filter.text()
        )
    } else {
        format!("SELECT count(*) FROM messages{}", filter.text())
    };
    let found = rows(client, &sql, &filter.values()).await?;
    found.first().map_or(Ok(0), |row| count64(row, 0))
}

pub(super) async fn message(
    client: &impl GenericClient,
    id: i64,
) -> Result<Option<StoredMessage>, StoreError> {
    let sql = format!(
        "SELECT {SUMMARY}, digest, raw, ack, findings, warnings FROM messages WHERE id = $1"
    );
    let found = rows(client, &sql, &[&id]).await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let raw: Vec<u8> = get(row, SUMMARY_WIDTH + 1)?;
    if digest(&raw) != *get::<&[u8]>(row, SUMMARY_WIDTH)? {
        return Err(damaged("messages", id));
    }
    let notes = |index: usize| -> Result<Vec<Note>, StoreError> {
        match get::<Option<&str>>(row, index)? {
            None => Ok(Vec::new()),
            Some(json) => serde_json::from_str(json).map_err(|_| damaged("messages", id)),
        }
    };
    Ok(Some(StoredMessage {
        summary: summary(row)?,
        raw,
        ack: get(row, SUMMARY_WIDTH + 2)?,
        findings: notes(SUMMARY_WIDTH + 3)?,
        warnings: notes(SUMMARY_WIDTH + 4)?,
    }))
}

pub(super) async fn message_types(
    client: &impl GenericClient,
) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT message_code, sum(messages)::BIGINT FROM message_counts \
               GROUP BY message_code ORDER BY message_code";
    let found = rows(client, sql, &[]).await?;
    found
        .iter()
        .map(|row| Ok((get(row, 0)?, count64(row, 1)?)))
        .collect()
}
