//! Orders as lists, as steps of a worklist, with their history; patients.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use medsynapse::{AccessionNumber, Attribute, OrderState, PatientId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::filter::{Filter, anywhere, up_to};
use super::outbox;
use super::read::{SUMMARY, summary};
use super::rows::{SELECT, moment, odd, order, read_order, reports};
use super::tables::{ACTIONS, CANCELLED, CHANGES, MESSAGES, ORDERS, PATIENTS};
use crate::error::StoreError;
use crate::outbox::OutboxQuery;
use crate::query::{OrderQuery, Paging, PatientQuery, Slice, StepQuery};
use crate::record::{
    ActionRecord, CancelledOrder, ChangeRecord, MessageSummary, OrderHistory, OrderRecord,
    PatientHistory, PatientRecord, ScheduledStep,
};

/// What an index of open orders is for, word by word as the index says it.
const OPEN: &str = "state NOT IN ('COMPLETED', 'DISCONTINUED')";
/// Most entries of each sort in a history.
const HISTORY_MAX: u32 = 1_000;

pub(super) fn orders(
    connection: &Connection,
    query: &OrderQuery,
) -> Result<Slice<OrderRecord>, StoreError> {
    let mut filter = Filter::default();
    filter.maybe("id < ?", query.paging.cursor);
    filter.maybe("patient_id = patient_token(?)", query.patient_id.clone());
    let state = query.state.map(|state| state.as_str().to_owned());
    filter.maybe("state = ?", state);
    let status = query.report_status.map(|status| status.as_str().to_owned());
    filter.maybe("report_status = ?", status);
    filter.maybe("modality = ?", query.modality.clone());
    let station = query.station_ae_title.clone();
    filter.maybe("scheduled_station_ae_title = ?", station);
    filter.maybe("scheduled_start >= ?", query.scheduled_from.clone());
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
        let like = columns.map(|column| {
            let column = ORDERS.column("", column);
            format!("{column} LIKE ? ESCAPE '\\'")
        });
        let values = vec![Value::Text(anywhere(text)); columns.len()];
        filter.with_all(format!("({})", like.join(" OR ")), values);
    }
    let (condition, mut values) = filter.into_parts();
    values.push(Value::Integer(i64::from(query.paging.limit)));
    let select = &*SELECT;
    let sql = format!("{select}{condition} ORDER BY id DESC LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), read_order)?;
    let items: Vec<OrderRecord> = rows.collect::<Result<_, _>>()?;
    for record in &items {
        ORDERS.unless(asked(query, record), record.id)?;
    }
    ORDERS.in_order(&items, |record| record.id, |record| record.id)?;
    let next = next(&items, query.paging.limit, |record| record.id);
    Ok(Slice { items, next })
}

/// Whether an index gave out what was asked for, as far as indexes are asked.
fn asked(query: &OrderQuery, record: &OrderRecord) -> bool {
    let same = |asked: &Option<String>, attribute| {
        asked.is_none() || asked.as_deref() == record.order.attributes.get(attribute)
    };
    same(&query.patient_id, Attribute::PatientId)
        && same(&query.modality, Attribute::Modality)
        && same(&query.station_ae_title, Attribute::ScheduledStationAeTitle)
        && query.state.is_none_or(|state| state == record.order.state)
}

/// Where the next page begins, if this one is full.
pub(super) fn next<T, C>(items: &[T], limit: u32, cursor: impl Fn(&T) -> C) -> Option<C> {
    let full = items.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    items.last().filter(|_| full).map(cursor)
}

pub(super) fn scheduled_steps(
    connection: &Connection,
    query: &StepQuery,
    each: &mut dyn FnMut(&ScheduledStep<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut filter = Filter::default();
    filter.fixed(OPEN);
    filter.maybe("accession_number = ?", query.accession_number.clone());
    filter.maybe("patient_id = patient_token(?)", query.patient_id.clone());
    filter.among("scheduled_station_ae_title", &query.station_ae_titles);
    filter.among("modality", &query.modalities);
    filter.maybe("scheduled_start >= ?", query.scheduled_from.clone());
    let to = query.scheduled_to.as_deref().map(up_to);
    filter.maybe("scheduled_start < ?", to);
    let (condition, values) = filter.into_parts();
    let select = &*SELECT;
    let sql = format!("{select}{condition} ORDER BY scheduled_start, accession_number");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    // What the step before was sorted by: no index gives out a step twice unseen.
    let mut before: Option<(Option<String>, String)> = None;
    while let Some(row) = rows.next()? {
        ORDERS.check(row, 0)?;
        let start = Attribute::ScheduledStart as usize;
        let key = (
            row.get(start)?,
            row.get(Attribute::AccessionNumber as usize)?,
        );
        let right = before.is_none_or(|before| before < key);
        ORDERS.unless(right, row.get(Attribute::COUNT + 12)?)?;
        before = Some(key);
        let mut texts = [None; Attribute::COUNT];
        for (index, slot) in texts.iter_mut().enumerate() {
            *slot = row
                .get_ref(index)?
                .as_str_or_null()
                .map_err(rusqlite::Error::from)?;
        }
        let state = row.get_ref(Attribute::COUNT)?;
        let state = state
            .as_str()
            .ok()
            .and_then(OrderState::from_name)
            .ok_or_else(|| odd(Attribute::COUNT, "order state"))?;
        // An index gave out something else than was asked for.
        let of = |attribute: Attribute| texts.get(attribute as usize).copied().flatten();
        let same = |asked: &Option<String>, is| asked.is_none() || asked.as_deref() == is;
        let station = of(Attribute::ScheduledStationAeTitle).unwrap_or_default();
        let stations = &query.station_ae_titles;
        let right = !matches!(state, OrderState::Completed | OrderState::Discontinued)
            && same(&query.accession_number, of(Attribute::AccessionNumber))
            && same(&query.patient_id, of(Attribute::PatientId))
            && (stations.is_empty() || stations.iter().any(|title| title == station));
        ORDERS.unless(right, row.get(Attribute::COUNT + 12)?)?;
        let step = ScheduledStep {
            values: &texts,
            state,
            updated_by: row.get(Attribute::COUNT + 12)?,
        };
        if each(&step).is_break() {
            break;
        }
    }
    Ok(())
}

pub(super) fn history(
    connection: &Connection,
    accession_number: &AccessionNumber,
) -> Result<Option<OrderHistory>, StoreError> {
    let name = accession_number.as_str();
    let sql = format!(
        "SELECT {} FROM messages WHERE accession_number = ?1 ORDER BY id LIMIT {HISTORY_MAX}",
        *SUMMARY
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let messages: Vec<MessageSummary> = statement
        .query_map([name], |row| {
            let message = summary(row)?;
            MESSAGES.unless(
                message.accession_number.as_deref() == Some(name),
                message.id,
            )?;
            Ok(message)
        })?
        .collect::<Result<_, _>>()?;
    let sql = format!(
        "SELECT {} FROM actions WHERE accession_number = ?1 ORDER BY id LIMIT ?2",
        ACTIONS.stored("")
    );
    MESSAGES.in_order(&messages, |message| message.id, |message| message.id)?;
    let mut statement = connection.prepare_cached(&sql)?;
    let actions: Vec<ActionRecord> = statement
        .query_map(params![name, HISTORY_MAX], |row| {
            ACTIONS.check(row, 0)?;
            let right = row.get_ref(4)?.as_str_or_null()? == Some(name);
            ACTIONS.unless(right, row.get(0)?)?;
            Ok(ActionRecord {
                entry_id: row.get(0)?,
                at: moment(row, 1)?,
                actor: row.get(2)?,
                kind: row.get(3)?,
                accession_number: row.get(4)?,
                outcome: row.get(5)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    ACTIONS.in_order(&actions, |action| action.entry_id, |action| action.entry_id)?;
    let sent = OutboxQuery {
        accession_number: Some(name.into()),
        paging: Paging {
            cursor: None,
            limit: HISTORY_MAX,
        },
        ..OutboxQuery::default()
    };
    let mut sent = outbox::list(connection, &sent)?.items;
    sent.reverse();
    let mut reports = reports(connection, accession_number, HISTORY_MAX)?;
    reports.reverse();
    let history = OrderHistory {
        order: order(connection, accession_number)?,
        cancelled: cancelled(connection, name)?,
        messages,
        actions,
        changes: changes(connection, "accession_number = ?1", name, |change| {
            change.accession_number.as_deref() == Some(name)
        })?,
        outbox: sent,
        reports,
    };
    Ok((history != OrderHistory::default()).then_some(history))
}

fn cancelled(
    connection: &Connection,
    accession_number: &str,
) -> Result<Option<CancelledOrder>, StoreError> {
    let sql = format!(
        "SELECT {} FROM cancelled_orders WHERE accession_number = ?1",
        CANCELLED.select("")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let record = |row: &Row<'_>| {
        CANCELLED.check(row, 0)?;
        Ok(CancelledOrder {
            accession_number: row.get(0)?,
            patient_id: row.get(1)?,
            study_instance_uid: row.get(2)?,
            state: OrderState::from_name(row.get_ref(3)?.as_str()?)
                .ok_or_else(|| odd(3, "order state"))?,
            created_at: moment(row, 4)?,
            cancelled_at: moment(row, 5)?,
            created_by: row.get(6)?,
            cancelled_by: row.get(7)?,
        })
    };
    Ok(statement.query_row([accession_number], record).optional()?)
}

fn changes(
    connection: &Connection,
    condition: &str,
    value: &str,
    asked: impl Fn(&ChangeRecord) -> bool,
) -> Result<Vec<ChangeRecord>, StoreError> {
    let sql = format!(
        "SELECT {}, id FROM changes WHERE {condition} ORDER BY id LIMIT {HISTORY_MAX}",
        CHANGES.select("")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([value], |row| {
        CHANGES.check(row, 0)?;
        let change = ChangeRecord {
            entry_id: row.get(0)?,
            at: moment(row, 1)?,
            patient_id: row.get(2)?,
            accession_number: row.get(3)?,
            merged_into: row.get(4)?,
            fields: serde_json::from_str(row.get_ref(5)?.as_str()?)
                .map_err(|_| odd(5, "list of changes"))?,
        };
        CHANGES.unless(asked(&change), change.entry_id)?;
        Ok((row.get::<_, i64>(CHANGES.width())?, change))
    })?;
    let changes: Vec<(i64, ChangeRecord)> = rows.collect::<Result<_, _>>()?;
    CHANGES.in_order(&changes, |(id, _)| *id, |(_, change)| change.entry_id)?;
    Ok(changes.into_iter().map(|(_, change)| change).collect())
}

/// The columns of a patient, for [`patient_record`].
static PATIENT: LazyLock<String> = LazyLock::new(|| {
    let columns = PATIENTS.select("p.");
    format!("{columns}, (SELECT count(*) FROM orders o WHERE o.patient_id = p.patient_id)")
});

fn patient_record(row: &Row<'_>) -> rusqlite::Result<PatientRecord> {
    PATIENTS.check(row, 0)?;
    Ok(PatientRecord {
        patient_id: row.get(0)?,
        name: row.get(1)?,
        sex: row.get(2)?,
        birth_date: row.get(3)?,
        merged_into: row.get(4)?,
        updated_at: moment(row, 5)?,
        updated_by: row.get(6)?,
        orders: row.get(PATIENTS.width())?,
    })
}

pub(super) fn patient(
    connection: &Connection,
    patient_id: &PatientId,
) -> Result<Option<PatientHistory>, StoreError> {
    let id = patient_id.as_str();
    let sql = format!(
        "SELECT {} FROM patients p WHERE patient_id = patient_token(?1)",
        *PATIENT
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_row([id], patient_record)
        .optional()?;
    let Some(patient) = found else {
        return Ok(None);
    };
    // What was merged is found by the changes that say so: a patient has few of them.
    let mut merged: Vec<String> = changes(
        connection,
        "merged_into = patient_token(?1)",
        id,
        |change| change.merged_into.as_deref() == Some(id),
    )?
    .into_iter()
    .map(|change| change.patient_id)
    .collect();
    merged.sort_unstable();
    merged.dedup();
    Ok(Some(PatientHistory {
        patient,
        changes: changes(
            connection,
            "patient_id = patient_token(?1) AND accession_number IS NULL",
            id,
            |change| change.patient_id == id && change.accession_number.is_none(),
        )?,
        merged: merged
            .iter()
            .filter_map(|id| PatientId::try_from(id.as_str()).ok())
            .collect(),
    }))
}

pub(super) fn patients(
    connection: &Connection,
    query: &PatientQuery,
) -> Result<Slice<PatientRecord, String>, StoreError> {
    let mut filter = Filter::default();
    // By the id itself: what stands for it in an encrypted database is in no order. There all
    // patients are opened for a page, some microseconds each.
    let plain: bool = connection
        .prepare_cached("SELECT plain()")?
        .query_row([], |row| row.get(0))?;
    let id = if plain {
        "p.patient_id".into()
    } else {
        PATIENTS.column("p.", "patient_id")
    };
    filter.maybe(&format!("{id} > ?"), query.cursor.clone());
    if !query.with_merged {
        filter.fixed("merged_into IS NULL");
    }
    if let Some(text) = query.text.as_deref().filter(|text| !text.is_empty()) {
        let name = PATIENTS.column("p.", "name");
        let like = format!("({id} LIKE ? ESCAPE '\\' OR {name} LIKE ? ESCAPE '\\')");
        filter.with_all(like, vec![Value::Text(anywhere(text)); 2]);
    }
    let (condition, mut values) = filter.into_parts();
    values.push(Value::Integer(i64::from(query.limit)));
    let select = &*PATIENT;
    let sql = format!("SELECT {select} FROM patients p{condition} ORDER BY {id} LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), patient_record)?;
    let items: Vec<PatientRecord> = rows.collect::<Result<_, _>>()?;
    let next = next(&items, query.limit, |patient| patient.patient_id.clone());
    Ok(Slice { items, next })
}
