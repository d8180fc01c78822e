//! [`Board`]: all open steps in memory, with the indexes that everyday queries want.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::item::Item;
use crate::moment::day;
use crate::query::Query;
use crate::table::Element;
use crate::test::{Test, name_key};
use crate::view::{OverLimit, View};

/// What a query finds: items that do not change any more, whatever becomes of the orders.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// By date, time and accession number.
    pub items: Vec<Arc<Item>>,
    /// How many there are in all, where some were left out.
    pub total: usize,
}

/// More items than a modality is to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{total} items match, {max} are allowed: ask for less, or raise max_results")]
pub struct TooMany {
    /// How many match.
    pub total: usize,
    /// How many are allowed.
    pub max: usize,
}

type Shelf<K> = BTreeMap<K, Vec<Arc<Item>>>;

/// The steps that are open.
#[derive(Debug, Default)]
pub struct Board {
    accessions: HashMap<Box<str>, Arc<Item>>,
    patients: Shelf<Box<str>>,
    studies: Shelf<Box<str>>,
    names: Shelf<Box<str>>,
    stations: Shelf<(Box<str>, u32)>,
    modalities: Shelf<(Box<str>, u32)>,
    days: Shelf<u32>,
}

/// The day of a start, or 0.
fn start_day(item: &Item) -> u32 {
    day(item.get(Element::ScheduledProcedureStepStartDate)).unwrap_or(0)
}

fn take<K: Ord>(shelf: &mut Shelf<K>, key: &K, item: &Arc<Item>) {
    if let Some(items) = shelf.get_mut(key) {
        items.retain(|other| !Arc::ptr_eq(other, item));
        if items.is_empty() {
            shelf.remove(key);
        }
    }
}

impl Board {
    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.accessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.accessions.is_empty()
    }

    /// Puts a step up, in the place of the one of the same accession number.
    pub fn put(&mut self, item: Item) {
        self.remove(item.get(Element::AccessionNumber));
        let item = Arc::new(item);
        let accession: Box<str> = item.get(Element::AccessionNumber).into();
        self.accessions.insert(accession, Arc::clone(&item));
        for (shelf, element) in [
            (&mut self.patients, Element::PatientID),
            (&mut self.studies, Element::StudyInstanceUID),
        ] {
            let key = item.get(element).into();
            shelf.entry(key).or_default().push(Arc::clone(&item));
        }
        let name = name_key(item.get(Element::PatientName)).into();
        self.names.entry(name).or_default().push(Arc::clone(&item));
        let day = start_day(&item);
        for title in item.get(Element::ScheduledStationAETitle).split('\\') {
            let key = (title.into(), day);
            self.stations
                .entry(key)
                .or_default()
                .push(Arc::clone(&item));
        }
        let key = (item.get(Element::Modality).into(), day);
        self.modalities
            .entry(key)
            .or_default()
            .push(Arc::clone(&item));
        self.days.entry(day).or_default().push(item);
    }

    /// Takes a step down.
    pub fn remove(&mut self, accession_number: &str) {
        let Some(item) = self.accessions.remove(accession_number) else {
            return;
        };
        take(
            &mut self.patients,
            &item.get(Element::PatientID).into(),
            &item,
        );
        take(
            &mut self.studies,
            &item.get(Element::StudyInstanceUID).into(),
            &item,
        );
        let name = name_key(item.get(Element::PatientName)).into();
        take(&mut self.names, &name, &item);
        let day = start_day(&item);
        for title in item.get(Element::ScheduledStationAETitle).split('\\') {
            take(&mut self.stations, &(title.into(), day), &item);
        }
        let modality = (item.get(Element::Modality).into(), day);
        take(&mut self.modalities, &modality, &item);
        take(&mut self.days, &day, &item);
    }

    /// The step of an accession number.
    pub fn get(&self, accession_number: &str) -> Option<&Arc<Item>> {
        self.accessions.get(accession_number)
    }

    /// The steps of a study.
    pub fn of_study(&self, study_instance_uid: &str) -> &[Arc<Item>] {
        self.studies
            .get(study_instance_uid)
            .map_or(&[], Vec::as_slice)
    }

    /// Whether a step is scheduled for an AE title.
    pub fn has_station(&self, ae_title: &str) -> bool {
        let key: Box<str> = ae_title.into();
        let mut range = self.stations.range((key.clone(), 0)..=(key, u32::MAX));
        range.next().is_some()
    }

    /// The AE titles that steps are scheduled for.
    pub fn stations(&self) -> Vec<&str> {
        let mut titles: Vec<&str> = self.stations.keys().map(|(title, _)| &**title).collect();
        titles.dedup();
        titles
    }

    /// All steps, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.accessions.values()
    }

    /// The steps that a query finds for somebody.
    ///
    /// # Errors
    ///
    /// More than are allowed, where that is refused.
    pub fn find(&self, query: &Query, view: &View) -> Result<Found, TooMany> {
        let mut items = Vec::new();
        self.candidates(query, view, &mut |item| {
            if query.matches(item) && view.shows(item) {
                items.push(Arc::clone(item));
            }
        });
        items.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        // A step of two stations stands on the shelf of both.
        items.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let total = items.len();
        if view.max_results > 0 && total > view.max_results {
            match view.over_limit {
                OverLimit::Refuse => {
                    return Err(TooMany {
                        total,
                        max: view.max_results,
                    });
                }
                OverLimit::Truncate => items.truncate(view.max_results),
            }
        }
        Ok(Found { items, total })
    }

    /// Gives the steps that an index leaves.
    fn candidates(&self, query: &Query, view: &View, each: &mut dyn FnMut(&Arc<Item>)) {
        let exact = |element| query.exact(element);
        if let Some(accessions) = exact(Element::AccessionNumber) {
            for accession in accessions {
                self.accessions
                    .get(accession)
                    .into_iter()
                    .for_each(&mut *each);
            }
            return;
        }
        for (shelf, element) in [
            (&self.patients, Element::PatientID),
            (&self.studies, Element::StudyInstanceUID),
        ] {
            if let Some(keys) = exact(element) {
                for key in unique(keys) {
                    shelf.get(key).into_iter().flatten().for_each(&mut *each);
                }
                return;
            }
        }
        let (from, to) = query.days();
        let days = (from.unwrap_or(0), to.unwrap_or(u32::MAX));
        if days.0 > days.1 {
            return;
        }
        let mut among = |shelf: &Shelf<(Box<str>, u32)>, keys: Vec<&str>| {
            for key in unique(keys) {
                let key: Box<str> = key.into();
                let range = shelf.range((key.clone(), days.0)..=(key, days.1));
                range.flat_map(|(_, items)| items).for_each(&mut *each);
            }
        };
        let stations = exact(Element::ScheduledStationAETitle);
        let stations = stations.or_else(|| {
            view.stations
                .as_ref()
                .map(|own| own.iter().map(String::as_str).collect())
        });
        if let Some(stations) = stations {
            return among(&self.stations, stations);
        }
        if let Some(prefix) = query
            .key(Element::PatientName)
            .and_then(|key| match &key.test {
                Test::Name(pattern) => pattern.prefix(),
                _ => None,
            })
        {
            let range = self.names.range::<str, _>((
                std::ops::Bound::Included(&*prefix),
                std::ops::Bound::Unbounded,
            ));
            range
                .take_while(|(name, _)| name.starts_with(&prefix))
                .flat_map(|(_, items)| items)
                .for_each(each);
            return;
        }
        if let Some(modalities) = exact(Element::Modality) {
            return among(&self.modalities, modalities);
        }
        let range = self.days.range(days.0..=days.1);
        range.flat_map(|(_, items)| items).for_each(each);
    }
}

fn unique(mut keys: Vec<&str>) -> Vec<&str> {
    keys.sort_unstable();
    keys.dedup();
    keys
}
