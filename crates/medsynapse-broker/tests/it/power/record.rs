//! What strace wrote down, as events.

use std::collections::HashSet;
use std::path::Path;

/// One thing that happened, in the order in which it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Create(String),
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        length: usize,
    },
    Unlink(String),
    /// Thread, and what it syncs: a file, or `.` for the directory.
    SyncBegins(u32, String),
    SyncEnds(u32),
    /// A sender was told that its message is accepted.
    Told(String),
}

pub(super) struct Record {
    pub(super) events: Vec<Event>,
}

impl Record {
    /// Reads the lines of `strace -f -y -xx`; `data` is the directory that the power is cut
    /// from, and what is written to `told` counts as told.
    pub(super) fn read(text: &[u8], data: &Path, told: &Path) -> Self {
        let data = std::fs::canonicalize(data).unwrap();
        let told = std::fs::canonicalize(told).unwrap();
        let mut reader = Reader {
            data: data.to_str().unwrap().to_owned(),
            told: told.to_str().unwrap().to_owned(),
            syncing: HashSet::new(),
            events: Vec::new(),
        };
        for line in text.split(|byte| *byte == b'\n') {
            let line = std::str::from_utf8(line).expect("strace writes ASCII with -xx");
            if let Some((thread, call)) = line.split_once(' ') {
                reader.line(thread.parse().unwrap_or_default(), call.trim_start());
            }
        }
        Self {
            events: reader.events,
        }
    }

    /// How often a file was synced after the first and before the last telling.
    pub(super) fn syncs_between_tellings(&self, file: &str) -> usize {
        let told = |event: &Event| matches!(event, Event::Told(_));
        let first = self.events.iter().position(told).unwrap_or_default();
        let last = self.events.iter().rposition(told).unwrap_or_default();
        self.events[first..last]
            .iter()
            .filter(|event| matches!(event, Event::SyncBegins(_, name) if name == file))
            .count()
    }
}

struct Reader {
    data: String,
    told: String,
    /// Threads whose sync has begun and not ended.
    syncing: HashSet<u32>,
    events: Vec<Event>,
}

impl Reader {
    fn line(&mut self, thread: u32, call: &str) {
        if call.starts_with("<...") {
            if call.contains("sync resumed>") && self.syncing.remove(&thread) {
                assert!(call.ends_with("= 0"), "a sync failed: {call}");
                self.events.push(Event::SyncEnds(thread));
            }
            return;
        }
        let Some((name, rest)) = call.split_once('(') else {
            return;
        };
        if rest.contains(") = -1 ") {
            return;
        }
        let strings: Vec<Vec<u8>> = quoted(rest, '"', '"');
        let descriptor = rest
            .split_once('<')
            .filter(|(number, _)| number.parse::<u32>().is_ok())
            .and_then(|(_, rest)| rest.split_once('>'))
            .map(|(path, _)| String::from_utf8_lossy(&hex(path)).into_owned());
        let numbers = |rest: &str| -> Vec<usize> {
            let rest = rest.split(" <unfinished").next().unwrap_or(rest);
            let rest = rest
                .rsplit_once(") = ")
                .map_or(rest, |(arguments, _)| arguments);
            rest.rsplit(", ")
                .map_while(|part| part.trim().parse().ok())
                .collect()
        };
        match name {
            "openat" if rest.contains("O_CREAT") => {
                if let Some(file) = strings.first().and_then(|path| self.file(path)) {
                    self.events.push(Event::Create(file));
                }
            }
            "unlink" => {
                if let Some(file) = strings.first().and_then(|path| self.file(path)) {
                    self.events.push(Event::Unlink(file));
                }
            }
            "rename" => {
                let touched = strings.iter().any(|path| self.file(path).is_some());
                assert!(!touched, "a rename that is not modelled: {call}");
            }
            "write" if descriptor.as_deref() == Some(self.told.as_str()) => {
                let id = String::from_utf8(strings[0].clone()).unwrap();
                self.events.push(Event::Told(id));
            }
            "pwrite64" | "ftruncate" | "fsync" | "fdatasync" => {
                let Some(file) = descriptor.and_then(|path| self.file(path.as_bytes())) else {
                    return;
                };
                let numbers = numbers(rest);
                match name {
                    "pwrite64" => {
                        let (at, length) = (numbers[0], numbers[1]);
                        let bytes = strings[0].clone();
                        assert_eq!(bytes.len(), length, "strace cut a write short");
                        self.events.push(Event::Write { file, at, bytes });
                    }
                    "ftruncate" => {
                        let length = numbers[0];
                        self.events.push(Event::Truncate { file, length });
                    }
                    _ => {
                        self.events.push(Event::SyncBegins(thread, file));
                        if rest.contains("<unfinished") {
                            self.syncing.insert(thread);
                        } else {
                            assert!(rest.ends_with("= 0"), "a sync failed: {call}");
                            self.events.push(Event::SyncEnds(thread));
                        }
                    }
                }
            }
            "write" => {
                let inside = descriptor.is_some_and(|path| self.file(path.as_bytes()).is_some());
                assert!(!inside, "a write that is not modelled: {call}");
            }
            _ => {}
        }
    }

    /// The name within the data directory, if it is there and matters: the index of the log is
    /// made anew after a crash, and the lock holds nothing.
    fn file(&self, path: &[u8]) -> Option<String> {
        let path = std::str::from_utf8(path).ok()?;
        let name = path.strip_prefix(&self.data)?;
        if name.is_empty() {
            return Some(".".into());
        }
        let name = name.strip_prefix('/')?;
        (!name.ends_with("-shm") && name != "lock").then(|| name.to_owned())
    }
}

fn quoted(text: &str, open: char, close: char) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, inside)) = rest.split_once(open) {
        let Some((body, after)) = inside.split_once(close) else {
            break;
        };
        found.push(hex(body));
        rest = after;
    }
    found
}

/// `\x41\x42` as bytes.
fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    text.as_bytes()
        .chunks_exact(4)
        .map(|part| digit(part[2]) << 4 | digit(part[3]))
        .collect()
}
