//! [`Follower`]: tells what is written to a store that several servers have, by whichever of them.
//!
//! The cursor is the truth: events are read off the log after the last one that was told, so that
//! those who listen here get every event of every server once, in the order of the log. What is
//! heard of other servers only says when to look.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use medsynapse_store::{Event, Heard, Store, StoreError};
use tokio::sync::{broadcast, watch};

use crate::outbox::Pulse;

/// How long nothing may be heard before one looks all the same.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most events that are read at a time.
const EVENTS: u32 = 512;

/// A thread that follows the log, until it is dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts the thread; `None` where this server has the store alone, and knows all by itself.
    pub(crate) fn start(
        store: &Arc<dyn Store>,
        events: &broadcast::Sender<Event>,
        moved: &Arc<watch::Sender<Pulse>>,
    ) -> std::io::Result<Option<Self>> {
        if store.shared().is_none() {
            return Ok(None);
        }
        // Whoever listens from now on misses nothing.
        let last = store.last_event().map_err(std::io::Error::other)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut log = Log {
            store: Arc::clone(store),
            events: events.clone(),
            moved: Arc::clone(moved),
            heard: Heard::default(),
            last,
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("follower".into())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    log.follow();
                }
            })?;
        Ok(Some(Self {
            stop,
            thread: Some(thread),
        }))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It is not waited for: that would be up to a second, and it holds nothing but the store.
        drop(self.thread.take());
    }
}

struct Log {
    store: Arc<dyn Store>,
    events: broadcast::Sender<Event>,
    moved: Arc<watch::Sender<Pulse>>,
    heard: Heard,
    last: i64,
}

impl Log {
    fn follow(&mut self) {
        let Some(shared) = self.store.shared() else {
            return;
        };
        let heard = shared.wait(self.heard, PATIENCE);
        let (queued, commands) = (
            heard.queued != self.heard.queued,
            heard.commands != self.heard.commands,
        );
        let told = heard != self.heard;
        self.heard = heard;
        if queued || commands {
            self.pulse(queued, commands);
        }
        match self.tell() {
            // Something was written that nobody was told of: also to the outbox, perhaps.
            Ok(true) if !told => self.pulse(true, false),
            Ok(_) => {}
            // It is away; everything is told when it is back.
            Err(error) => {
                tracing::debug!(%error, "the log cannot be followed");
                std::thread::sleep(PATIENCE);
            }
        }
    }

    fn pulse(&self, queued: bool, commands: bool) {
        self.moved.send_modify(|pulse| {
            pulse.queued = pulse.queued.wrapping_add(u64::from(queued));
            pulse.commands = pulse.commands.wrapping_add(u64::from(commands));
        });
    }

    /// Tells what is new, and gives whether anything is.
    fn tell(&mut self) -> Result<bool, StoreError> {
        // Nobody listens, and what was heard says how far the log is: nothing has to be asked.
        if self.heard.last_event > self.last && self.events.receiver_count() == 0 {
            self.last = self.heard.last_event;
            return Ok(true);
        }
        let newest = self.store.last_event()?;
        if newest <= self.last {
            return Ok(false);
        }
        // Looked at after the log: who begins to listen later begins behind `newest`.
        if self.events.receiver_count() == 0 {
            self.last = newest;
            return Ok(true);
        }
        loop {
            let events = self.store.events_after(self.last, EVENTS)?;
            let Some(id) = events.last().and_then(|event| event.id) else {
                // An entry may have nothing to tell.
                self.last = self.last.max(newest);
                return Ok(true);
            };
            self.last = id;
            for event in events {
                // The last listener may just have gone.
                let _ = self.events.send(event);
            }
        }
    }
}
