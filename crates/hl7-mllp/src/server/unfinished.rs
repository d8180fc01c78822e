//! The cap on unfinished frames of all connections together.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;

/// Adds up what all connections hold, and picks the one to go when it is too much.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: i64,
    total: AtomicI64,
    accounts: Mutex<HashMap<u64, Arc<Account>>>,
}

#[derive(Debug, Default)]
struct Account {
    bytes: AtomicI64,
    evicted: Notify,
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

    pub(super) fn open(self: &Arc<Self>, connection: u64) -> Holding {
        let account = Arc::<Account>::default();
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
            largest.evicted.notify_one();
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
        let change = bytes - self.account.bytes.swap(bytes, Relaxed);
        if change != 0 && self.ledger.total.fetch_add(change, Relaxed) + change > self.ledger.limit
        {
            self.ledger.evict();
        }
    }

    /// Resolves when this connection has to go.
    pub(super) async fn evicted(&self) {
        self.account.evicted.notified().await;
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
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_largest_goes_first() {
        let ledger = Arc::new(Ledger::new(100));
        let (small, large, middle) = (ledger.open(1), ledger.open(2), ledger.open(3));
        small.set(20);
        large.set(60);
        middle.set(20);
        assert!(
            large.evicted().now_or_never().is_none(),
            "equality is allowed"
        );
        small.set(21);
        assert!(large.evicted().now_or_never().is_some());
        assert!(small.evicted().now_or_never().is_none());
        assert!(middle.evicted().now_or_never().is_none());
        assert_eq!(ledger.total.load(Relaxed), 41);
        drop((small, large, middle));
        assert_eq!(ledger.total.load(Relaxed), 0);
        assert!(ledger.accounts.lock().unwrap().is_empty());
    }
}
