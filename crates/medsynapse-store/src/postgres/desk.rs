//! [`Desk`]: the rows that a batch works on, in memory, for the decisions.
//!
//! What the keys of a batch can touch is fetched in one go before anything is decided; what is
//! missing on the way is fetched by itself. Later work of the batch sees what earlier work has
//! written, and in the end each row is written once, as it is then.

mod rows;

use std::collections::{BTreeSet, HashMap, HashSet};

use hl7_message::AckCode;
use medsynapse::Attribute;

use super::wanted::{Found, FoundAction, Wanted};
use super::written::{OutboxFull, Written};
use crate::decide::{PatientRow, ProcedureRow};
use crate::error::StoreError;
use crate::record::{OrderRecord, ReportRecord};
use crate::work::Delivery;

/// From here on orders are numbered that are new: they get their numbers as they are written.
pub(super) const NEW_ORDER: i64 = 1 << 62;

/// What is known of a Message Control ID of a sender.
#[derive(Default)]
struct Sent {
    any: bool,
    /// By digest: the first message, or that there is none.
    by_digest: HashMap<[u8; 32], Option<(i64, AckCode, String)>>,
}

/// Where what is missing comes from.
pub(super) type Fetch<'f> = &'f dyn Fn(&Wanted) -> Result<Found, StoreError>;

/// The rows of one transaction.
pub(super) struct Desk<'f> {
    fetch: Fetch<'f>,
    /// The last number of the log that was given out.
    pub(super) entry: i64,
    /// How many new orders there are.
    new_orders: i64,
    sent: HashMap<[String; 3], Sent>,
    pub(super) orders: HashMap<String, Option<OrderRecord>>,
    /// The patients all of whose orders are here.
    whole: HashSet<String>,
    cancelled: HashMap<String, Option<String>>,
    versions: HashMap<String, u32>,
    reports: HashMap<String, Option<ReportRecord>>,
    pub(super) patients: HashMap<String, Option<PatientRow>>,
    actions: HashMap<String, Option<FoundAction>>,
    pub(super) outbox: HashMap<i64, Option<OutboxFull>>,
    pub(super) procedures: HashMap<String, Option<ProcedureRow>>,
    /// The fence of each lane that something was sent through.
    lanes: HashMap<String, i64>,
    pub(super) written: Written,
}

impl<'f> Desk<'f> {
    pub(super) fn new(entry: i64, fetch: Fetch<'f>) -> Self {
        Self {
            fetch,
            entry,
            new_orders: 0,
            sent: HashMap::new(),
            orders: HashMap::new(),
            whole: HashSet::new(),
            cancelled: HashMap::new(),
            versions: HashMap::new(),
            reports: HashMap::new(),
            patients: HashMap::new(),
            actions: HashMap::new(),
            outbox: HashMap::new(),
            procedures: HashMap::new(),
            lanes: HashMap::new(),
            written: Written::default(),
        }
    }

    /// Puts what was fetched on the desk. What is there already is newer.
    pub(super) fn put(&mut self, wanted: &Wanted, found: Found) {
        let mut unknown = wanted.patients.clone();
        for (identity, first) in wanted.known.iter().zip(found.known) {
            let sent = self.sent.entry(identity.key()).or_default();
            sent.any |= first.is_some();
            let same = first.and_then(|(same, first)| same.then_some(first));
            sent.by_digest.entry(identity.digest).or_insert(same);
        }
        for record in found.orders {
            let name = record.order.accession_number.as_str().to_owned();
            // The patients of orders that were asked for came with them.
            if wanted.orders.contains(&name)
                && let Some(id) = record.order.attributes.get(Attribute::PatientId)
            {
                unknown.insert(id.to_owned());
            }
            self.orders.entry(name).or_insert(Some(record));
        }
        let nothing = |keys: &BTreeSet<String>| keys.iter().cloned().collect::<Vec<_>>();
        for key in nothing(&wanted.orders) {
            self.orders.entry(key).or_insert(None);
        }
        self.whole.extend(wanted.orders_of.iter().cloned());
        for (key, uid) in found.cancelled {
            self.cancelled.entry(key).or_insert(Some(uid));
        }
        for key in nothing(&wanted.cancelled) {
            self.cancelled.entry(key).or_insert(None);
        }
        for (key, version) in found.versions {
            self.versions.entry(key).or_insert(version);
        }
        for key in nothing(&wanted.versions) {
            self.versions.entry(key).or_insert(0);
        }
        for record in found.reports {
            let name = record.report.accession_number.as_str().to_owned();
            self.reports.entry(name).or_insert(Some(record));
        }
        for key in nothing(&wanted.reports) {
            self.reports.entry(key).or_insert(None);
        }
        for (key, row) in found.patients {
            self.patients.entry(key).or_insert(Some(row));
        }
        for key in unknown {
            self.patients.entry(key).or_insert(None);
        }
        for (key, action) in found.actions {
            self.actions.entry(key).or_insert(Some(action));
        }
        for key in nothing(&wanted.actions) {
            self.actions.entry(key).or_insert(None);
        }
        for row in found.outbox {
            self.outbox.entry(row.message_id).or_insert(Some(row));
        }
        for id in &wanted.outbox {
            self.outbox.entry(*id).or_insert(None);
        }
        for row in found.procedures {
            let uid = row.record.sop_instance_uid.clone();
            self.procedures.entry(uid).or_insert(Some(row));
        }
        for key in nothing(&wanted.procedures) {
            self.procedures.entry(key).or_insert(None);
        }
        self.lanes.extend(found.lanes);
    }

    /// Whether a delivery is told by the server that has the lane.
    pub(super) fn may_settle(&mut self, delivery: &Delivery) -> Result<bool, StoreError> {
        let Some(fence) = delivery.fence else {
            return Ok(true);
        };
        if !self.outbox.contains_key(&delivery.message_id) {
            self.fetch(|wanted| wanted.outbox.insert(delivery.message_id))?;
        }
        let Some(Some(row)) = self.outbox.get(&delivery.message_id) else {
            return Ok(true);
        };
        Ok(self.lanes.get(&row.destination) == Some(&fence))
    }

    fn fetch<T>(&mut self, want: impl FnOnce(&mut Wanted) -> T) -> Result<(), StoreError> {
        let mut wanted = Wanted::default();
        want(&mut wanted);
        let found = (self.fetch)(&wanted)?;
        self.put(&wanted, found);
        Ok(())
    }

    fn outbox_row(&mut self, message_id: i64) -> Result<Option<&mut OutboxFull>, StoreError> {
        if !self.outbox.contains_key(&message_id) {
            self.fetch(|wanted| wanted.outbox.insert(message_id))?;
        }
        Ok(self.outbox.get_mut(&message_id).and_then(Option::as_mut))
    }
}
