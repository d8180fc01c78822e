//! Orders as lists, as steps of a worklist, with their history; patients; procedure steps.

use std::ops::ControlFlow;

use deadpool_postgres::{GenericClient, Transaction};
use medsynapse::{AccessionNumber, Attribute, OrderState, PatientId};

use super::filter::{Filter, Value, anywhere, asked, next, up_to, without_nul};
use super::messages::rows;
use super::outbox;
use super::rows::{
    ACTION, CANCELLED, CHANGE, ORDER, PATIENT, PROCEDURE, REPORT, SUMMARY, action, cancelled,
    change, count64, damaged, get, of, order as order_of_row, patient as patient_of_row,
    procedure as procedure_of_row, report as report_of_row, summary,
};
use crate::error::StoreError;
use crate::outbox::OutboxQuery;
use crate::query::{OrderQuery, Paging, PatientQuery, Slice, StepQuery};
use crate::record::{
    ChangeRecord, OrderHistory, OrderRecord, PatientHistory, PatientRecord, ProcedureRecord,
    ReportRecord, ScheduledStep,
};

/// What an index of open orders is for, word by word as the index says it.
const OPEN: &str = "state NOT IN ('COMPLETED', 'DISCONTINUED')";
/// Most entries of each sort in a history.
const HISTORY_MAX: i64 = 1_000;
/// How many steps of a worklist are fetched at a time.
const STEPS: i32 = 1_000;

pub(super) async fn order(
    client: &impl GenericClient,
    accession_number: &AccessionNumber,
) -> Result<Option<OrderRecord>, StoreError> {
    let sql = format!("SELECT {} FROM orders WHERE accession_number = $1", *ORDER);
    let found = rows(client, &sql, &[&accession_number.as_str()]).await?;
    found.first().map(order_of_row).transpose()
}

pub(super) async fn orders_of(
    client: &impl GenericClient,
    patient_id: &PatientId,
) -> Result<Vec<OrderRecord>, StoreError> {
    let sql = format!(
        "SELECT {} FROM orders WHERE patient_id = $1 ORDER BY accession_number",
        *ORDER
    );
    let found = rows(client, &sql, &[&patient_id.as_str()]).await?;
    found.iter().map(order_of_row).collect()
}

pub(super) async fn order_count(client: &impl GenericClient) -> Result<u64, StoreError> {
    let found = rows(client, "SELECT count(*) FROM orders", &[]).await?;
    found.first().map_or(Ok(0), |row| count64(row, 0))
}

pub(super) async fn orders(
    client: &impl GenericClient,
    query: &OrderQuery,
) -> Result<Slice<OrderRecord>, StoreError> {
    let mut filter = Filter::default();
    filter.maybe("id < ?", query.paging.cursor);
    filter.maybe("patient_id = ?", asked(query.patient_id.as_ref()));
    filter.maybe("state = ?", query.state.map(OrderState::as_str));
    let status = query.report_status.map(medsynapse::ReportStatus::as_str);
    filter.maybe("report_status = ?", status);
    filter.maybe("modality = ?", asked(query.modality.as_ref()));
    let station = asked(query.station_ae_title.as_ref());
    filter.maybe("scheduled_station_ae_title = ?", station);
    filter.maybe("scheduled_start >= ?", asked(query.scheduled_from.as_ref()));
    let to = query.scheduled_to.as_deref().map(up_to);
    filter.maybe("scheduled_start < ?", to);
    if let Some(text) = query.text.as_deref().filter(|text| !text.is_empty()) {
        let columns = [
            "accession_number",
            "patient_id",
            "patient_name",
            "scheduled_procedure_step_description",
            "requested_procedure_description",
        ];
        let like = columns.map(|column| format!("{column} ILIKE ?"));
        let values = columns.map(|_| -> Value { Box::new(anywhere(text)) });
        filter.with_all(&format!("({})", like.join(" OR ")), values.into());
    }
    let limit = filter.value(i64::from(query.paging.limit));
    let sql = format!(
        "SELECT {} FROM orders{} ORDER BY id DESC LIMIT {limit}",
        *ORDER,
        filter.text()
    );
    let found = rows(client, &sql, &filter.values()).await?;
    let items: Vec<OrderRecord> = found.iter().map(order_of_row).collect::<Result<_, _>>()?;
    let next = next(&items, query.paging.limit, |record| record.id);
    Ok(Slice { items, next })
}

pub(super) async fn scheduled_steps(
    transaction: &Transaction<'_>,
    query: &StepQuery,
    each: &mut dyn FnMut(&ScheduledStep<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut filter = Filter::default();
    filter.fixed(OPEN);
    filter.maybe(
        "accession_number = ?",
        asked(query.accession_number.as_ref()),
    );
    filter.maybe("patient_id = ?", asked(query.patient_id.as_ref()));
    filter.among("scheduled_station_ae_title", &query.station_ae_titles);
    filter.among("modality", &query.modalities);
    filter.maybe("scheduled_start >= ?", asked(query.scheduled_from.as_ref()));
    let to = query.scheduled_to.as_deref().map(up_to);
    filter.maybe("scheduled_start < ?", to);
    let attributes = Attribute::ALL.map(|attribute| attribute.row().column);
    // An order without a start comes first, as NULL does in the embedded store.
    let sql = format!(
        "SELECT {}, state, updated_by FROM orders{} \
         ORDER BY scheduled_start NULLS FIRST, accession_number",
        attributes.join(", "),
        filter.text()
    );
    let statement = transaction.prepare_cached(&sql).await?;
    let portal = transaction.bind(&statement, &filter.values()).await?;
    loop {
        let found = transaction.query_portal(&portal, STEPS).await?;
        for row in &found {
            let mut texts = [None; Attribute::COUNT];
            for (index, slot) in texts.iter_mut().enumerate() {
                *slot = get(row, index)?;
            }
            let updated_by = get(row, Attribute::COUNT + 1)?;
            let state = OrderState::from_name(get(row, Attribute::COUNT)?)
                .ok_or(damaged("orders", updated_by))?;
            let step = ScheduledStep {
                values: &texts,
                state,
                updated_by,
            };
            if each(&step).is_break() {
                return Ok(());
            }
        }
        if i32::try_from(found.len()).is_ok_and(|count| count < STEPS) {
            return Ok(());
        }
    }
}

/// The versions of a report, the last first.
async fn reports(
    client: &impl GenericClient,
    accession_number: &AccessionNumber,
    limit: i64,
) -> Result<Vec<ReportRecord>, StoreError> {
    let sql = format!(
        "SELECT {REPORT} FROM reports WHERE accession_number = $1 ORDER BY version DESC LIMIT $2"
    );
    let found = rows(client, &sql, &[&accession_number.as_str(), &limit]).await?;
    found.iter().map(report_of_row).collect()
}

/// The report that counts.
pub(super) async fn report(
    client: &impl GenericClient,
    accession_number: &AccessionNumber,
) -> Result<Option<ReportRecord>, StoreError> {
    Ok(reports(client, accession_number, 1).await?.pop())
}

pub(super) async fn history(
    client: &impl GenericClient,
    accession_number: &AccessionNumber,
) -> Result<Option<OrderHistory>, StoreError> {
    let name = accession_number.as_str();
    let sql =
        format!("SELECT {SUMMARY} FROM messages WHERE accession_number = $1 ORDER BY id LIMIT $2");
    let messages = rows(client, &sql, &[&name, &HISTORY_MAX]).await?;
    let sql =
        format!("SELECT {ACTION} FROM actions WHERE accession_number = $1 ORDER BY id LIMIT $2");
    let actions = rows(client, &sql, &[&name, &HISTORY_MAX]).await?;
    let sql = format!("SELECT {CANCELLED} FROM cancelled_orders WHERE accession_number = $1");
    let gone = rows(client, &sql, &[&name]).await?;
    let sent = OutboxQuery {
        accession_number: Some(name.into()),
        paging: Paging {
            cursor: None,
            limit: u32::try_from(HISTORY_MAX).unwrap_or(u32::MAX),
        },
        ..OutboxQuery::default()
    };
    let mut sent = outbox::list(client, &sent).await?.items;
    sent.reverse();
    let mut reports = reports(client, accession_number, HISTORY_MAX).await?;
    reports.reverse();
    let history = OrderHistory {
        order: order(client, accession_number).await?,
        cancelled: gone.first().map(cancelled).transpose()?,
        messages: messages.iter().map(summary).collect::<Result<_, _>>()?,
        actions: actions.iter().map(action).collect::<Result<_, _>>()?,
        changes: changes(client, "accession_number = $1", name).await?,
        outbox: sent,
        reports,
    };
    Ok((history != OrderHistory::default()).then_some(history))
}

async fn changes(
    client: &impl GenericClient,
    condition: &str,
    value: &str,
) -> Result<Vec<ChangeRecord>, StoreError> {
    let sql = format!("SELECT {CHANGE} FROM changes WHERE {condition} ORDER BY id LIMIT $2");
    let found = rows(client, &sql, &[&value, &HISTORY_MAX]).await?;
    found.iter().map(change).collect()
}

/// `SELECT … FROM patients p`, with the count of the orders of each.
fn select_patients() -> String {
    let columns = of("p.", PATIENT);
    format!(
        "SELECT {columns}, (SELECT count(*) FROM orders o WHERE o.patient_id = p.patient_id) \
         FROM patients p"
    )
}

pub(super) async fn patient(
    client: &impl GenericClient,
    patient_id: &PatientId,
) -> Result<Option<PatientHistory>, StoreError> {
    let id = patient_id.as_str();
    let sql = format!("{} WHERE p.patient_id = $1", select_patients());
    let found = rows(client, &sql, &[&id]).await?;
    let Some(patient) = found.first().map(patient_of_row).transpose()? else {
        return Ok(None);
    };
    // What was merged is found by the changes that say so: a patient has few of them.
    let mut merged: Vec<String> = changes(client, "merged_into = $1", id)
        .await?
        .into_iter()
        .map(|change| change.patient_id)
        .collect();
    merged.sort_unstable();
    merged.dedup();
    Ok(Some(PatientHistory {
        patient,
        changes: changes(client, "patient_id = $1 AND accession_number IS NULL", id).await?,
        merged: merged
            .iter()
            .filter_map(|id| PatientId::try_from(id.as_str()).ok())
            .collect(),
    }))
}

pub(super) async fn patients(
    client: &impl GenericClient,
    query: &PatientQuery,
) -> Result<Slice<PatientRecord, String>, StoreError> {
    let mut filter = Filter::default();
    filter.maybe("p.patient_id > ?", asked(query.cursor.as_ref()));
    if !query.with_merged {
        filter.fixed("p.merged_into IS NULL");
    }
    if let Some(text) = query.text.as_deref().filter(|text| !text.is_empty()) {
        let values = [(); 2].map(|()| -> Value { Box::new(anywhere(text)) });
        filter.with_all("(p.patient_id ILIKE ? OR p.name ILIKE ?)", values.into());
    }
    let limit = filter.value(i64::from(query.limit));
    let sql = format!(
        "{}{} ORDER BY p.patient_id LIMIT {limit}",
        select_patients(),
        filter.text()
    );
    let found = rows(client, &sql, &filter.values()).await?;
    let items: Vec<PatientRecord> = found.iter().map(patient_of_row).collect::<Result<_, _>>()?;
    let next = next(&items, query.limit, |patient| patient.patient_id.clone());
    Ok(Slice { items, next })
}

pub(super) async fn procedure(
    client: &impl GenericClient,
    sop_instance_uid: &str,
) -> Result<Option<ProcedureRecord>, StoreError> {
    let sql = format!("SELECT {PROCEDURE} FROM procedure_steps WHERE sop_instance_uid = $1");
    let found = rows(client, &sql, &[&without_nul(sop_instance_uid)]).await?;
    found.first().map(procedure_of_row).transpose()
}
