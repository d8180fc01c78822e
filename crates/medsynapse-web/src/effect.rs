//! [`Effect`]: what a message did to orders, patients and reports.

use hl7_message::{Message, loc};
use medsynapse::{AccessionNumber, PatientId, PersonName};
use medsynapse_store::{
    ChangeRecord, Direction, FieldChange, MessageSummary, OutboxState, Store, StoreError,
};

use crate::address;

/// Most effects that are shown.
const SHOWN_MAX: usize = 50;

/// One thing that a message did.
pub(crate) struct Effect {
    pub(crate) what: String,
    /// Of what, and its address.
    pub(crate) of: Option<(String, String)>,
    /// Column, before, after.
    pub(crate) fields: Vec<(String, String, String)>,
}

impl Effect {
    fn new(what: impl Into<String>, of: Option<(String, String)>) -> Self {
        Self {
            what: what.into(),
            of,
            fields: Vec::new(),
        }
    }

    fn changed(change: ChangeRecord) -> Self {
        let of = match (&change.accession_number, &change.merged_into) {
            (Some(accession_number), _) => {
                Some((accession_number.clone(), address::order(accession_number)))
            }
            (None, _) => Some((
                change.patient_id.clone(),
                address::patient(&change.patient_id),
            )),
        };
        let what = match (&change.accession_number, &change.merged_into) {
            (Some(_), _) => "Changed the order".to_owned(),
            (None, Some(into)) => format!("Merged into {into} the patient"),
            (None, None) => "Changed the patient".to_owned(),
        };
        Self {
            what,
            of,
            fields: change.fields.into_iter().map(field).collect(),
        }
    }
}

/// A change of a field in the words of its column.
pub(crate) fn field(change: FieldChange) -> (String, String, String) {
    let FieldChange(column, before, after) = change;
    let shown = |value: Option<String>| match value {
        None => "–".to_owned(),
        Some(name) if matches!(&*column, "name" | "patient_name") => {
            PersonName::from_xpn(&name).to_string()
        }
        Some(value) => value,
    };
    let (before, after) = (shown(before), shown(after));
    (column.replace('_', " "), before, after)
}

/// Everything that a message did, as far as the store keeps it.
pub(crate) fn effects(
    store: &dyn Store,
    message: &MessageSummary,
    raw: &[u8],
) -> Result<Vec<Effect>, StoreError> {
    if message.direction == Direction::Out {
        return sent(store, message.id);
    }
    let id = message.id;
    let mut all = Vec::new();
    let accession = message.accession_number.as_deref();
    if let Some(accession) = accession.and_then(|text| AccessionNumber::try_from(text).ok())
        && let Some(history) = store.order_history(&accession)?
    {
        let of = || {
            let address = address::order(accession.as_str());
            Some((accession.as_str().to_owned(), address))
        };
        let order = history.order.as_ref().map(|order| order.created_by);
        let gone = history.cancelled.as_ref();
        if order == Some(id) || gone.is_some_and(|gone| gone.created_by == id) {
            all.push(Effect::new("Registered the order", of()));
        }
        if gone.is_some_and(|gone| gone.cancelled_by == id) {
            all.push(Effect::new("Cancelled the order", of()));
        }
        let changes = history.changes.into_iter();
        all.extend(
            changes
                .filter(|one| one.entry_id == id)
                .map(Effect::changed),
        );
        if message.ack_text == "Order completed." {
            all.push(Effect::new("Completed the order", of()));
        }
        for report in history
            .reports
            .iter()
            .filter(|report| report.message_id == id)
        {
            let what = format!("Stored version {} of the report of", report.version);
            all.push(Effect::new(what, of()));
        }
    }
    for patient in patients(message, raw) {
        let Some(history) = store.patient(&patient)? else {
            continue;
        };
        let changes = history.changes.into_iter().filter(|one| one.entry_id == id);
        for change in changes {
            let known = all.iter().any(|effect: &Effect| {
                effect.of.as_ref().map(|(name, _)| name) == change.accession_number.as_ref()
                    && effect.what == "Changed the order"
            });
            if !known {
                all.push(Effect::changed(change));
            }
        }
    }
    all.truncate(SHOWN_MAX);
    Ok(all)
}

/// The patients that a message is about: its own, and the one that goes away in a merge.
fn patients(message: &MessageSummary, raw: &[u8]) -> Vec<PatientId> {
    let own = message.patient_id.clone();
    let gone = Message::parse(raw).ok().and_then(|parsed| {
        let raw = parsed.raw(loc!("MRG-1.1"))?;
        let plain = hl7_message::escape::unescape(raw, parsed.separators());
        String::from_utf8(plain.into_owned()).ok()
    });
    let ids = own.into_iter().chain(gone);
    ids.filter_map(|id| PatientId::try_from(id.as_str()).ok())
        .collect()
}

/// What became of a message that the broker sent.
fn sent(store: &dyn Store, id: i64) -> Result<Vec<Effect>, StoreError> {
    let Some(entry) = store.outbox_entry(id)? else {
        return Ok(Vec::new());
    };
    let item = entry.item;
    let state = match item.state {
        OutboxState::Queued => "Waits for",
        OutboxState::Held => "Is held back from",
        OutboxState::Sent => "Was taken by",
        OutboxState::Refused => "Was refused by",
        OutboxState::Cancelled => "Was cancelled, it was for",
    };
    let place = (item.destination, format!("/outbox/{id}"));
    let order = (
        item.accession_number.clone(),
        address::order(&item.accession_number),
    );
    Ok(vec![
        Effect::new(state, Some(place)),
        Effect::new("Tells of the order", Some(order)),
    ])
}
