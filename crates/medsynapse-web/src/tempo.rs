//! [`Tempo`]: how many messages a minute, over the last hour.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use medsynapse_broker::Clock;
use medsynapse_store::{MessageOrder, MessageQuery, Store, StoreError};

use crate::app::Shared;
use crate::events::stopped;
use crate::reading::read;
use crate::wall::{Wall, grouped};

/// Minutes that are shown.
const MINUTES: i64 = 60;
/// How often it is counted while nobody looks.
const EVERY: Duration = Duration::from_secs(10);
/// Most messages that are read at the first look, for the time before it.
const READ_MAX: usize = 5_000;
const PAGE: u32 = 500;

/// How many messages came and went in each minute. The store is asked for its number of messages
/// now and then, and what is more than the last time belongs to the minute.
#[derive(Debug, Default)]
pub(crate) struct Tempo(Mutex<Option<Counts>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts {
    /// By the minute since 1970.
    minutes: BTreeMap<i64, u64>,
    total: u64,
}

/// The picture and its words.
pub(crate) struct Sparkline {
    pub(crate) svg: String,
    pub(crate) now: String,
}

fn minute(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

impl Counts {
    /// The messages of the last hour that are there already.
    fn read(store: &dyn Store, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let mut counts = Self::default();
        let first = minute(now) - MINUTES + 1;
        let mut query = MessageQuery {
            order: MessageOrder::NewestFirst,
            limit: PAGE,
            ..MessageQuery::default()
        };
        let mut left = READ_MAX;
        while left > 0 {
            let page = store.messages(&query)?.items;
            let Some(oldest) = page.last() else { break };
            query.before = Some(oldest.id);
            let ended = minute(oldest.received_at) < first || page.len() < PAGE as usize;
            left = left.saturating_sub(page.len());
            for message in page {
                *counts
                    .minutes
                    .entry(minute(message.received_at))
                    .or_default() += 1;
            }
            if ended {
                break;
            }
        }
        counts.total = total(store)?;
        Ok(counts)
    }

    fn add(&mut self, total: u64, now: DateTime<Utc>) {
        let more = total.saturating_sub(self.total);
        self.total = total;
        let now = minute(now);
        if more > 0 {
            *self.minutes.entry(now).or_default() += more;
        }
        self.minutes.retain(|minute, _| *minute > now - MINUTES);
    }
}

fn total(store: &dyn Store) -> Result<u64, StoreError> {
    Ok(store.message_types()?.iter().map(|(_, count)| count).sum())
}

impl Tempo {
    /// Counts what is new. Reads the store.
    pub(crate) fn count(&self, store: &dyn Store, now: DateTime<Utc>) -> Result<(), StoreError> {
        let known = self.lock().is_some();
        let (first, total) = if known {
            (None, total(store)?)
        } else {
            (Some(Counts::read(store, now)?), 0)
        };
        let mut counts = self.lock();
        match (counts.as_mut(), first) {
            (Some(counts), None) => counts.add(total, now),
            // Two looked for the first time at once.
            (Some(_), Some(_)) | (None, None) => {}
            (None, first) => *counts = first,
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last hour as bars; nothing where no message came.
    pub(crate) fn sparkline(&self, clock: &dyn Clock) -> Option<Sparkline> {
        let counts = self.lock().clone()?;
        let now = clock.now();
        let last = minute(now);
        let bars: Vec<u64> = (last - MINUTES + 1..=last)
            .map(|minute| counts.minutes.get(&minute).copied().unwrap_or_default())
            .collect();
        let most = bars.iter().copied().max().filter(|most| *most > 0)?;
        let mut marks = String::new();
        for (place, count) in bars.iter().enumerate() {
            if *count == 0 {
                continue;
            }
            // What came at all is seen.
            let height = (count * 22).div_ceil(most).max(1);
            let (x, y) = (place * 4, 24 - height);
            let _ = write!(
                marks,
                "<rect x=\"{x}\" y=\"{y}\" width=\"3\" height=\"{height}\"/>"
            );
        }
        let at = bars.iter().rposition(|count| *count == most);
        let back = at.and_then(|at| i64::try_from(bars.len() - 1 - at).ok());
        let busiest = now - chrono::TimeDelta::minutes(back.unwrap_or_default());
        let wall = Wall::of(busiest, clock).time;
        let (wall, _) = wall.rsplit_once(':').unwrap_or((&wall, ""));
        let sum = grouped(bars.iter().sum());
        let current = grouped(bars.last().copied().unwrap_or_default());
        let most = grouped(most);
        Some(Sparkline {
            svg: format!(
                "<svg class=\"spark\" viewBox=\"0 0 240 25\" role=\"img\" aria-label=\"Messages a \
                 minute: {current} in this one, {sum} in the last hour, most at {wall}: {most}\">\
                 <path d=\"M0 24.5H240\"/>{marks}</svg>"
            ),
            now: current,
        })
    }
}

/// Counts while nobody looks, until the server goes down.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut stop = shared.app.stop.clone();
    loop {
        let (with, now) = (Arc::clone(&shared), shared.app.clock.now());
        // What cannot be read now is counted the next time.
        let _ = read(shared.app.broker.store(), move |store| {
            with.tempo.count(store, now)
        })
        .await;
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use medsynapse_broker::ManualClock;

    use super::*;

    #[test]
    fn an_hour_is_drawn_with_words() {
        let clock = ManualClock::at(DateTime::from_timestamp(1_686_748_456, 0).unwrap());
        let now = clock.now();
        let tempo = Tempo::default();
        assert!(tempo.sparkline(&clock).is_none());
        let mut counts = Counts::default();
        counts.add(40, now - TimeDelta::minutes(30));
        counts.add(50, now - TimeDelta::minutes(1));
        counts.add(62, now);
        counts.add(60, now); // Some were purged.
        *tempo.lock() = Some(counts);
        let line = tempo.sparkline(&clock).unwrap();
        assert_eq!(line.svg.matches("<rect").count(), 3);
        assert!(
            line.svg
                .contains("12 in this one, 62 in the last hour, most at"),
            "{}",
            line.svg
        );
        assert!(line.svg.contains(": 40\""), "{}", line.svg);
        assert_eq!(line.now, "12");
    }

    #[test]
    fn what_is_older_than_an_hour_is_forgotten() {
        let now = DateTime::from_timestamp(1_686_748_456, 0).unwrap();
        let mut counts = Counts::default();
        for minutes in (0..200).rev() {
            counts.add(counts.total + 1, now - TimeDelta::minutes(minutes));
        }
        assert_eq!(counts.minutes.len(), 60);
    }
}
