//! Messages to begin with in the editor.

use std::sync::Arc;

use hl7_message::{Edit, Location, Message, loc};
use medsynapse::synth::{Counts, Generated, Kind, Options, Scenario, Synth};
use medsynapse::{Attribute, OrderState};
use medsynapse_store::{OrderQuery, OrderRecord, Paging, Store, StoreError};

use crate::app::Shared;
use crate::editor;
use crate::generate::fresh_seed;

/// The names of the templates, and what they are.
pub(crate) const TEMPLATES: [(&str, &str); 7] = [
    ("order", "New order"),
    ("change", "Change of an order"),
    ("complete", "Completion"),
    ("cancel", "Cancellation"),
    ("report", "Report"),
    ("update", "Patient update"),
    ("merge", "Patient merge"),
];

/// Which message a template is, and what it does to an order that is there already.
fn kind(name: &str) -> Option<(Kind, Option<&'static str>)> {
    Some(match name {
        "order" => (Kind::Order, None),
        "change" => (Kind::Order, Some("NW")),
        "complete" => (Kind::Order, Some("CM")),
        "cancel" => (Kind::Order, Some("CA")),
        "report" => (Kind::Report, None),
        "update" => (Kind::PatientUpdate, None),
        "merge" => (Kind::PatientMerge, None),
        _ => return None,
    })
}

/// The text of a template; `None` where there is none of this name. What it does to an order it
/// does to the newest one that is open, where there is one. Reads the store.
pub(crate) fn text(
    name: &str,
    shared: &Arc<Shared>,
    store: &dyn Store,
) -> Result<Option<String>, StoreError> {
    let Some((kind, control)) = kind(name) else {
        return Ok(None);
    };
    let Some(made) = one(kind, shared) else {
        return Ok(None);
    };
    let Some(control) = control else {
        return Ok(Some(editor::text(&made.bytes)));
    };
    let order = newest_open(store)?;
    let bytes = Message::parse(&made.bytes).ok().and_then(|message| {
        let mut edit = Edit::new(&message);
        edit.set(loc!("ORC-1"), control).ok()?;
        for (place, attribute) in KEPT {
            let known = order.as_ref().map(|record| &record.order.attributes);
            if let Some(value) = known.and_then(|known| known.get(attribute)) {
                // A name is kept as it was sent, delimiters and all.
                edit.set_raw(place, value.as_bytes()).ok()?;
            }
        }
        Some(edit.apply())
    });
    Ok(bytes.map(|bytes| editor::text(&bytes)))
}

/// What says which order is meant, and whose it is.
const KEPT: [(Location, Attribute); 4] = [
    (loc!("OBR-2"), Attribute::AccessionNumber),
    (loc!("PID-3"), Attribute::PatientId),
    (loc!("PID-5"), Attribute::PatientName),
    (loc!("PID-8"), Attribute::PatientSex),
];

/// A generated message that stands alone.
fn one(kind: Kind, shared: &Shared) -> Option<Generated> {
    let clock = shared.app.clock.as_ref();
    let options = Options {
        scenario: Scenario::Independent,
        ..Options::default()
    };
    let start = clock.timestamp(clock.now());
    let mut synth = Synth::new(fresh_seed(shared), &start, options);
    synth.story(Counts::each(&[kind], 1)).next()
}

fn newest_open(store: &dyn Store) -> Result<Option<OrderRecord>, StoreError> {
    let query = OrderQuery {
        state: Some(OrderState::Scheduled),
        paging: Paging {
            cursor: None,
            limit: 1,
        },
        ..OrderQuery::default()
    };
    Ok(store.orders(&query)?.items.into_iter().next())
}
