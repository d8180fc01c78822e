//! A disk that keeps only what was synced, and perhaps some of the rest.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::record::Event;

/// A write reaches the disk in pieces of this size, at worst.
const SECTOR: usize = 512;

/// What becomes of writes that were not synced when the power is cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    /// All are lost.
    Dropped,
    /// Some are lost.
    Holes,
    /// Some are lost, and the others arrive in another order.
    Shuffled,
    /// They end somewhere, in the middle of a write.
    Torn,
    /// Any sector of any write may be lost.
    Sectors,
    /// All arrive.
    Kept,
}

impl Cut {
    pub(super) const ALL: [Self; 6] = [
        Self::Dropped,
        Self::Holes,
        Self::Shuffled,
        Self::Torn,
        Self::Sectors,
        Self::Kept,
    ];
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Debug, Default)]
struct File {
    /// What is safe of its content.
    safe: Vec<u8>,
    /// What came after that, with a running number.
    waiting: Vec<(u64, Change)>,
    /// Whether its name in the directory is safe, and whether it has one at all now.
    named: bool,
    unlinked: bool,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    files: BTreeMap<String, File>,
    changes: u64,
    /// What each thread is syncing: the file, and the last change that the sync covers.
    syncing: HashMap<u32, (String, u64)>,
}

fn change(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, bytes) => {
            if content.len() < at + bytes.len() {
                content.resize(at + bytes.len(), 0);
            }
            content[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        Change::Truncate(length) => content.resize(*length, 0),
    }
}

impl Disk {
    pub(super) fn apply(&mut self, event: &Event) {
        self.changes += 1;
        let number = self.changes;
        match event {
            Event::Create(name) => {
                let file = self.files.entry(name.clone()).or_default();
                if file.unlinked {
                    // Another file under the same name.
                    *file = File::default();
                }
            }
            Event::Write { file, at, bytes } => {
                let file = self.files.get_mut(file).expect("a file that was opened");
                file.waiting
                    .push((number, Change::Write(*at, bytes.clone())));
            }
            Event::Truncate { file, length } => {
                let file = self.files.get_mut(file).expect("a file that was opened");
                file.waiting.push((number, Change::Truncate(*length)));
            }
            Event::Unlink(name) => {
                if let Some(file) = self.files.get_mut(name) {
                    file.unlinked = true;
                }
            }
            Event::SyncBegins(thread, name) => {
                self.syncing.insert(*thread, (name.clone(), number));
            }
            Event::SyncEnds(thread) => {
                let (name, until) = self.syncing.remove(thread).expect("a sync that began");
                if name == "." {
                    self.files.retain(|_, file| !file.unlinked);
                    self.files.values_mut().for_each(|file| file.named = true);
                } else if let Some(file) = self.files.get_mut(&name) {
                    let covered = file.waiting.partition_point(|(number, _)| *number < until);
                    for (_, made) in file.waiting.drain(..covered) {
                        change(&mut file.safe, &made);
                    }
                }
            }
            Event::Told(_) => {}
        }
    }

    /// Writes down what a cut at this moment could leave.
    pub(super) fn image(&self, directory: &Path, cut: Cut, dice: &mut ChaCha8Rng) {
        for (name, file) in &self.files {
            let luck = match cut {
                Cut::Dropped => false,
                Cut::Kept => true,
                _ => coin(dice),
            };
            // A name that is not safe may be missing, and one that was taken away may be back.
            let there = if file.unlinked {
                file.named && !luck
            } else {
                file.named || luck
            };
            if !there {
                continue;
            }
            let mut content = file.safe.clone();
            for made in survivors(&file.waiting, cut, dice) {
                change(&mut content, &made);
            }
            std::fs::write(directory.join(name), content).unwrap();
        }
    }
}

fn coin(dice: &mut ChaCha8Rng) -> bool {
    dice.next_u32().is_multiple_of(2)
}

/// Which of the unsynced changes reach the disk, in the order in which they do.
fn survivors(waiting: &[(u64, Change)], cut: Cut, dice: &mut ChaCha8Rng) -> Vec<Change> {
    let all = || waiting.iter().map(|(_, change)| change.clone());
    match cut {
        Cut::Dropped => Vec::new(),
        Cut::Kept => all().collect(),
        Cut::Holes => all().filter(|_| coin(dice)).collect(),
        Cut::Shuffled => {
            let mut some: Vec<Change> = all().filter(|_| coin(dice)).collect();
            for last in (1..some.len()).rev() {
                some.swap(last, dice.next_u32() as usize % (last + 1));
            }
            some
        }
        Cut::Torn => {
            if waiting.is_empty() {
                return Vec::new();
            }
            let whole = dice.next_u32() as usize % waiting.len();
            let mut some: Vec<Change> = all().take(whole + 1).collect();
            if let Some(Change::Write(_, bytes)) = some.last_mut() {
                bytes.truncate(dice.next_u32() as usize % (bytes.len() / SECTOR + 1) * SECTOR);
            }
            some
        }
        Cut::Sectors => all()
            .flat_map(|change| match change {
                Change::Write(at, bytes) => sectors(at, &bytes),
                other @ Change::Truncate(_) => vec![other],
            })
            .filter(|_| coin(dice))
            .collect(),
    }
}

/// A write as the sectors that it touches.
fn sectors(at: usize, bytes: &[u8]) -> Vec<Change> {
    let mut parts = Vec::new();
    let mut from = 0;
    while from < bytes.len() {
        let room = SECTOR - (at + from) % SECTOR;
        let until = (from + room).min(bytes.len());
        parts.push(Change::Write(at + from, bytes[from..until].to_vec()));
        from = until;
    }
    parts
}
