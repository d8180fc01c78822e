//! Which studies are arriving, and how much of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::scp::StoredObject;

/// Most studies that are watched at a time; objects of further ones are taken and not counted.
const STUDIES_MAX: usize = 10_000;

/// What came of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyCount {
    /// Of which order.
    pub accession_number: String,
    /// From whom; empty where its objects came before this process began.
    pub calling: String,
    /// How many objects, since this process began.
    pub objects: u64,
    /// Whether objects may still come.
    pub arriving: bool,
}

#[derive(Debug)]
struct Study {
    calling: String,
    objects: u64,
    last: Instant,
    arriving: bool,
}

/// The studies that are watched.
#[derive(Debug, Default)]
pub(super) struct Studies(Mutex<HashMap<String, Study>>);

impl Studies {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Study>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an object; whether it is the first of its study, or of a new arrival of it.
    pub(super) fn count(&self, accession_number: &str, object: &StoredObject) -> bool {
        let mut studies = self.lock();
        if studies.len() >= STUDIES_MAX && !studies.contains_key(accession_number) {
            studies.retain(|_, study| study.arriving);
            if studies.len() >= STUDIES_MAX {
                tracing::warn!("too many studies arrive at a time; one is not watched");
                return false;
            }
        }
        let study = studies
            .entry(accession_number.to_owned())
            .or_insert_with(|| Study {
                calling: object.calling.clone(),
                objects: 0,
                last: Instant::now(),
                arriving: false,
            });
        if study.calling.is_empty() {
            study.calling.clone_from(&object.calling);
        }
        let first = !study.arriving;
        study.objects += 1;
        study.last = Instant::now();
        study.arriving = true;
        first
    }

    /// A study that was arriving when an earlier process ended: it has arrived when nothing comes
    /// from now on either.
    pub(super) fn resume(&self, accession_number: &str) {
        let mut studies = self.lock();
        if studies.len() < STUDIES_MAX {
            studies
                .entry(accession_number.to_owned())
                .or_insert_with(|| Study {
                    calling: String::new(),
                    objects: 0,
                    last: Instant::now(),
                    arriving: true,
                });
        }
    }

    /// The studies of which nothing has come for `idle`, each given once.
    pub(super) fn arrived(&self, idle: Duration) -> Vec<(String, String)> {
        let mut studies = self.lock();
        studies
            .iter_mut()
            .filter(|(_, study)| study.arriving && study.last.elapsed() >= idle)
            .map(|(accession_number, study)| {
                study.arriving = false;
                (accession_number.clone(), study.calling.clone())
            })
            .collect()
    }

    pub(super) fn list(&self) -> Vec<StudyCount> {
        let studies = self.lock();
        let mut all: Vec<_> = studies.iter().collect();
        all.sort_by_key(|(_, study)| study.last);
        all.into_iter()
            .map(|(accession_number, study)| StudyCount {
                accession_number: accession_number.clone(),
                calling: study.calling.clone(),
                objects: study.objects,
                arriving: study.arriving,
            })
            .collect()
    }
}
