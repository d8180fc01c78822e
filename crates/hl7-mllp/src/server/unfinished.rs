//! The cap on unfinished frames of all connections together.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
};

use tokio_util::sync::CancellationToken;

/// Adds up what all connections hold, and picks the one to go when it is too much.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: i64,
    total: AtomicI64,
    accounts: Mutex<HashMap<u64, Arc<Account>>>,
}

#[derive(Debug)]
struct Account {
    bytes: AtomicI64,
    evicted: AtomicBool,
    /// Tells the connection to look up: the server is shutting down, or it has to go.
    signal: CancellationToken,
}

/// One connection's line in the ledger, struck out when dropped.
#[derive(Debug)]
pub(super) struct Holding {
    ledger: Arc<Ledger>,
    connection: u64,
    account: Arc<Account>,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Self {
            limit,
            total: AtomicI64::new(0),
            accounts: Mutex::default(),
        }
    }

    /// A line for a connection that listens to `signal`.
    pub(super) fn open(self: &Arc<Self>, connection: u64, signal: CancellationToken) -> Holding {
        let account = Arc::new(Account {
            bytes: AtomicI64::new(0),
            evicted: AtomicBool::new(false),
            signal,
        });
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(connection, Arc::clone(&account));
        Holding {
            ledger: Arc::clone(self),
            connection,
            account,
        }
    }

    /// Tells the largest to go until the rest fits.
    fn evict(&self) {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        while self.total.load(Relaxed) > self.limit {
            let Some(largest) = accounts
                .values()
                .max_by_key(|account| account.bytes.load(Relaxed))
            else {
                return;
            };
            // Its bytes count as gone from now on: it will not read another one.
            let bytes = largest.bytes.swap(0, Relaxed);
            self.total.fetch_sub(bytes, Relaxed);
            largest.evicted.store(true, Relaxed);
            largest.signal.cancel();
            if bytes == 0 {
                return;
            }
        }
    }
}

impl Holding {
    /// Notes that the connection now holds `bytes`.
    pub(super) fn set(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.account.bytes.load(Relaxed) == bytes {
            return;
        }
        let change = bytes - self.account.bytes.swap(bytes, Relaxed);
        if change != 0 && self.ledger.total.fetch_add(change, Relaxed) + change > self.ledger.limit
        {
            self.ledger.evict();
        }
    }

    pub(super) fn signal(&self) -> &CancellationToken {
        &self.account.signal
    }

    /// Whether the signal, if given, was for this connection alone.
    pub(super) fn is_evicted(&self) -> bool {
        self.account.evicted.load(Relaxed)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.set(0);
        let mut accounts = self
            .ledger
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        accounts.remove(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_goes_first() {
        let ledger = Arc::new(Ledger::new(100));
        let open = |connection| ledger.open(connection, CancellationToken::new());
        let (small, large, middle) = (open(1), open(2), open(3));
        small.set(20);
        large.set(60);
        middle.set(20);
        assert!(!large.is_evicted(), "equality is allowed");
        small.set(21);
        assert!(large.is_evicted() && large.signal().is_cancelled());
        assert!(!small.is_evicted() && !small.signal().is_cancelled());
        assert!(!middle.is_evicted() && !middle.signal().is_cancelled());
        assert_eq!(ledger.total.load(Relaxed), 41);
        drop((small, large, middle));
        assert_eq!(ledger.total.load(Relaxed), 0);
        assert!(ledger.accounts.lock().unwrap().is_empty());
    }
}
