//! [`Caller`]: who asks the DICOM service, and what they were shown. In memory: a restart forgets.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

/// Most AE titles that are remembered; the one that is silent longest is forgotten first.
const CALLERS_MAX: usize = 256;
/// Most orders of which it is remembered who saw them; the one that was seen first is forgotten.
const SEEN_MAX: usize = 100_000;

/// A modality, or whoever calls itself by its AE title, since this process began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its AE title, as it says.
    pub ae_title: String,
    /// The associations that are open: from where, and since when.
    pub open: Vec<(String, DateTime<Utc>)>,
    /// How many associations were agreed on.
    pub associations: u64,
    /// How many were refused.
    pub refused: u64,
    /// Why the last one was.
    pub last_refusal: &'static str,
    /// How many worklist queries were answered.
    pub queries: u64,
    /// How many items it was given.
    pub items: u64,
    /// How many messages about procedure steps it sent.
    pub procedures: u64,
    /// When it was last heard of.
    pub last_at: DateTime<Utc>,
}

/// When an order was on a worklist that a modality got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The first time.
    pub first_at: DateTime<Utc>,
    /// The last time.
    pub last_at: DateTime<Utc>,
    /// Who asked first.
    pub by: String,
}

/// What is remembered of callers.
#[derive(Debug, Default)]
pub(super) struct Callers(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    callers: BTreeMap<String, Caller>,
    seen: HashMap<String, Seen>,
    /// Accession numbers in the order in which they were first seen.
    seen_order: VecDeque<String>,
}

impl Callers {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something of a caller.
    pub(super) fn note(&self, ae_title: &str, at: DateTime<Utc>, what: impl FnOnce(&mut Caller)) {
        let mut memory = self.lock();
        if !memory.callers.contains_key(ae_title) {
            memory.make_room();
        }
        let caller = memory
            .callers
            .entry(ae_title.to_owned())
            .or_insert_with(|| Caller {
                ae_title: ae_title.to_owned(),
                open: Vec::new(),
                associations: 0,
                refused: 0,
                last_refusal: "",
                queries: 0,
                items: 0,
                procedures: 0,
                last_at: at,
            });
        caller.last_at = caller.last_at.max(at);
        what(caller);
    }

    /// Notes what a caller was shown.
    pub(super) fn saw(&self, ae_title: &str, accession_numbers: &[String], at: DateTime<Utc>) {
        let mut memory = self.lock();
        for accession_number in accession_numbers {
            if let Some(seen) = memory.seen.get_mut(accession_number) {
                seen.last_at = seen.last_at.max(at);
                continue;
            }
            if memory.seen_order.len() >= SEEN_MAX
                && let Some(first) = memory.seen_order.pop_front()
            {
                memory.seen.remove(&first);
            }
            memory.seen_order.push_back(accession_number.clone());
            memory.seen.insert(
                accession_number.clone(),
                Seen {
                    first_at: at,
                    last_at: at,
                    by: ae_title.to_owned(),
                },
            );
        }
    }

    /// When an order was seen.
    pub(super) fn seen(&self, accession_number: &str) -> Option<Seen> {
        self.lock().seen.get(accession_number).cloned()
    }

    /// All of them, by AE title.
    pub(super) fn list(&self) -> Vec<Caller> {
        self.lock().callers.values().cloned().collect()
    }
}

impl Memory {
    /// Lets the caller go that is silent longest, if there are too many.
    fn make_room(&mut self) {
        if self.callers.len() < CALLERS_MAX {
            return;
        }
        let quiet = self
            .callers
            .values()
            .min_by_key(|caller| (!caller.open.is_empty(), caller.last_at));
        if let Some(ae_title) = quiet.map(|caller| caller.ae_title.clone()) {
            self.callers.remove(&ae_title);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn an_order_remembers_who_saw_it_first() {
        let callers = Callers::default();
        callers.saw("CT1", &["A".into(), "B".into()], at(1));
        callers.saw("CT2", &["B".into()], at(2));
        let seen = callers.seen("B").unwrap();
        assert_eq!((seen.first_at, seen.last_at), (at(1), at(2)));
        assert_eq!(seen.by, "CT1");
        assert_eq!(callers.seen("C"), None);
    }

    #[test]
    fn memory_has_an_end() {
        let callers = Callers::default();
        callers.note("OPEN", at(0), |caller| {
            caller.open.push(("127.0.0.1:1".into(), at(0)));
        });
        for n in 0..300 {
            callers.note(&format!("AE{n}"), at(n), |caller| caller.queries += 1);
        }
        let kept = callers.list();
        assert_eq!(kept.len(), CALLERS_MAX);
        assert!(kept.iter().any(|caller| caller.ae_title == "OPEN"));
        assert!(kept.iter().any(|caller| caller.ae_title == "AE299"));
        assert!(!kept.iter().any(|caller| caller.ae_title == "AE0"));
        let many: Vec<String> = (0..=SEEN_MAX).map(|n| n.to_string()).collect();
        callers.saw("CT1", &many, at(1));
        assert_eq!(callers.seen("0"), None);
        assert!(callers.seen("1").is_some());
    }
}
