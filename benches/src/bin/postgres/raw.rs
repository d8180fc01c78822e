//! What PostgreSQL does without a broker: the same rows of the same tables, 64 messages in a
//! transaction of one `unnest` statement a table.

use std::time::{Duration, Instant};

use anyhow::Result;
use medsynapse_store::{PostgresOptions, PostgresStore};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::brokers::order;

const BATCH: i64 = 64;

const MESSAGES: &str = "INSERT INTO messages (id, direction, received_at, transport, peer, \
    sending_application, sending_facility, sent_at, message_code, trigger_event, control_id, \
    version, accession_number, patient_id, patient_name, ack_code, ack_text, effect, \
    warning_count, retransmissions, size, digest, ack, raw) \
    SELECT id, 'in', 1686748456000000, 'mllp', '192.0.2.1:50000', 'RIS', 'HOSPITAL', \
    '20230614131415', 'ORM', 'O01', name, '2.3', name, name, 'SMITH^JOHN', 'AA', \
    'Order registered.', 'order-registered', 0, 0, length(raw), sha256(raw), ack, raw \
    FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[]) AS m (id, name, ack, raw)";
const PATIENTS: &str = "INSERT INTO patients (patient_id, name, sex, birth_date, updated_at, \
    updated_by) SELECT name, 'SMITH^JOHN', 'M', '19800101', 1686748456000000, id \
    FROM unnest($1::bigint[], $2::text[]) AS p (id, name) ON CONFLICT (patient_id) \
    DO UPDATE SET updated_by = excluded.updated_by";
const ORDERS: &str = "INSERT INTO orders (id, accession_number, state, completion_told, \
    patient_id, patient_name, patient_sex, modality, scheduled_station_ae_title, \
    scheduled_start, scheduled_procedure_step_description, requested_procedure_id, admission_id, \
    birth_date, study_instance_uid, sending_application, sending_facility, segment_delimiters, \
    segment_charset, segments, created_at, updated_at, created_by, updated_by) \
    SELECT id, name, 'SCHEDULED', FALSE, name, 'SMITH^JOHN', 'M', 'CT', 'CT1', \
    '20230614132030', 'CT CHEST', 'RP1', 'ADM1', '19800101', '1.2.3.' || id, 'RIS', 'HOSPITAL', \
    '\\x7c', '', raw, 1686748456000000, 1686748456000000, id, id \
    FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS o (id, name, raw) \
    ON CONFLICT (accession_number) DO UPDATE SET updated_by = excluded.updated_by";

/// Messages a second.
pub(crate) fn run(url: &str, life: Duration) -> Result<f64> {
    // Makes the tables.
    drop(PostgresStore::open(&PostgresOptions::new(url, "raw"))?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        let statements = [
            client.prepare(MESSAGES).await?,
            client.prepare(PATIENTS).await?,
            client.prepare(ORDERS).await?,
        ];
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < life {
            batch(&client, &statements, count).await?;
            count += BATCH;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let count = count as f64;
        Ok(count / began.elapsed().as_secs_f64())
    })
}

async fn batch(client: &Client, statements: &[Statement; 3], from: i64) -> Result<()> {
    let ids: Vec<i64> = (from + 1..=from + BATCH).collect();
    let names: Vec<String> = ids.iter().map(|id| format!("R{id}")).collect();
    let raw: Vec<Vec<u8>> = names.iter().map(|name| order(name).into_bytes()).collect();
    let acks: Vec<&[u8]> = raw
        .iter()
        .map(|raw| raw.get(..160).unwrap_or(raw))
        .collect();
    let [messages, patients, orders] = statements;
    let values: [&[&(dyn ToSql + Sync)]; 3] = [
        &[&ids, &names, &acks, &raw],
        &[&ids, &names],
        &[&ids, &names, &raw],
    ];
    let [first, second, third] = values;
    client.batch_execute("BEGIN").await?;
    tokio::try_join!(
        client.execute(messages, first),
        client.execute(patients, second),
        client.execute(orders, third),
    )?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}
