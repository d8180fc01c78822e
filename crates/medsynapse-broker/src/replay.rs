//! [`replay`]: everything made again from the log, and compared with what was kept.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hl7_message::{Header, Message, Reply, Timestamp, loc};
use medsynapse::{Profile, ReportFormat};
use medsynapse_store::{
    Action, Comparison, DefaultCharset, Destination, Keys, Log, LogEntry, LoggedAction,
    LoggedMessage, Outgoing, OutgoingSettings, Received, Replayable, StoreError, Work,
};

use crate::broker::Origin;
use crate::read::read;

/// Entries that are applied together.
const BATCH: u32 = 1_000;

/// What a replay found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many entries the log has: messages that came in, actions, deliveries.
    pub entries: u64,
    /// The number of the first one; more than 1 where older ones were purged.
    pub first: Option<i64>,
    /// What the rebuilt database says other than the kept one.
    pub comparison: Comparison,
}

/// Builds a database in `into` from the log in `data_dir` and compares every row with the one
/// that is kept there. A broker may use `data_dir` meanwhile. What is encrypted is read with
/// `keys`, and so is what is built.
///
/// Messages are read anew under `profile`; one that was received under other settings may come out
/// otherwise, and is told. `progress` hears how many entries are done.
///
/// # Errors
///
/// The log cannot be read or holds a damaged message, or `into` cannot be written.
pub fn replay(
    data_dir: &Path,
    keys: Option<&Keys>,
    into: &Path,
    profile: &Profile,
    progress: impl FnMut(u64),
) -> Result<Replayed, StoreError> {
    replay_log(&Log::open(data_dir, keys)?, into, profile, progress)
}

/// As [`replay`], from any log.
///
/// # Errors
///
/// As there.
pub fn replay_log(
    log: &impl Replayable,
    into: &Path,
    profile: &Profile,
    mut progress: impl FnMut(u64),
) -> Result<Replayed, StoreError> {
    let mut rebuild = log.rebuild(into)?;
    let mut replayed = Replayed::default();
    let mut last = 0;
    loop {
        let entries = log.after(last, BATCH)?;
        let Some((id, _)) = entries.last() else {
            break;
        };
        replayed.first = replayed.first.or(entries.first().map(|(id, _)| *id));
        last = *id;
        let works: Vec<(i64, Work)> = entries
            .into_iter()
            .filter_map(|(id, entry)| Some((id, work(entry, profile)?)))
            .collect();
        replayed.entries += works.len() as u64;
        rebuild.apply(&works)?;
        progress(replayed.entries);
    }
    replayed.comparison = log.compare(&rebuild)?;
    Ok(replayed)
}

fn work(entry: LogEntry, profile: &Profile) -> Option<Work> {
    match entry {
        LogEntry::Message(message) => received(message, profile).map(Work::from),
        LogEntry::Action(action) => Some(again(action, profile).into()),
        LogEntry::Delivery(delivery) => Some(delivery.into()),
    }
}

/// The message as it was read, to be answered under the id and at the time of its answer.
fn received(message: LoggedMessage, profile: &Profile) -> Option<Received> {
    let answer = Message::parse(&message.ack).ok();
    let text = |location| {
        answer
            .as_ref()
            .map_or_else(String::new, |answer| text(answer, location))
    };
    let (control_id, time) = (text(loc!("MSH-10")), text(loc!("MSH-7")));
    let time: Timestamp = time
        .parse()
        .ok()
        .or_else(|| Timestamp::from_date(1, 1, 1))?;
    let reply = |header: Option<&Header<'_>>| match header {
        Some(header) => Reply::to(header, &profile.responder, &control_id, &time),
        None => Reply::to_nobody(&profile.responder, &control_id, &time),
    };
    let origin = Origin {
        transport: message.transport,
        peer: message.peer,
    };
    let frame = Bytes::from(message.raw);
    read(&frame, origin, message.received_at, profile, reply)
}

/// The action, with destinations that hear what those of then heard.
fn again(action: LoggedAction, profile: &Profile) -> Action {
    let mut settings = OutgoingSettings {
        default_charset: DefaultCharset(profile.default_charset),
        ..OutgoingSettings::default()
    };
    let mut control_ids = Vec::new();
    let mut time = None;
    let mut modalities: Vec<BTreeSet<String>> = Vec::new();
    for (name, raw) in &action.sent {
        let Ok(message) = Message::parse(raw) else {
            continue;
        };
        settings.application = text(&message, loc!("MSH-3"));
        settings.facility = text(&message, loc!("MSH-4"));
        control_ids.push(text(&message, loc!("MSH-10")));
        time = time.or_else(|| text(&message, loc!("MSH-7")).parse().ok());
        let known = settings.destinations.iter().position(|to| to.name == *name);
        let at = known.unwrap_or_else(|| {
            let code = text(&message, loc!("OBX-2"));
            settings.destinations.push(Destination {
                format: ReportFormat::from_code(&code).unwrap_or(ReportFormat::Text),
                receiving_application: Some(text(&message, loc!("MSH-5"))),
                receiving_facility: Some(text(&message, loc!("MSH-6"))),
                ..Destination::new(name.clone())
            });
            modalities.push(BTreeSet::new());
            modalities.len() - 1
        });
        if let Some(modalities) = modalities.get_mut(at) {
            modalities.insert(text(&message, loc!("OBR-24.1")));
        }
    }
    // An action on several orders: each destination heard of those that it wants.
    for (to, modalities) in settings.destinations.iter_mut().zip(modalities) {
        to.modalities = modalities.into_iter().collect();
    }
    let never = || unreachable!("the first of January of the year 1 is a date");
    Action {
        at: action.at,
        actor: action.actor,
        idempotency_key: action.idempotency_key,
        kind: action.kind,
        outgoing: Outgoing {
            settings: Arc::new(settings),
            time: time
                .or_else(|| Timestamp::from_date(1, 1, 1))
                .unwrap_or_else(never),
            control_ids,
        },
    }
}

fn text(message: &Message<'_>, location: hl7_message::Location) -> String {
    let separators = message.separators();
    let raw = message.raw(location).unwrap_or_default();
    let plain = hl7_message::escape::unescape(raw, separators);
    String::from_utf8_lossy(&plain).into_owned()
}
