//! [`Tombstones`]: which orders may have been cancelled, without asking the database.

use std::hash::Hasher;

use rusqlite::Connection;
use siphasher::sip::SipHasher13;

use crate::error::StoreError;

/// 512 KiB: of 200,000 cancelled orders, one new order in a hundred is looked up in vain.
const BITS: u64 = 1 << 22;

/// A Bloom filter of accession numbers. Nearly every new order was never here before; this says
/// so without a search in a table that only grows.
#[derive(Debug)]
pub(super) struct Tombstones {
    bits: Vec<u64>,
}

impl Tombstones {
    /// Those that are kept.
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let mut tombstones = Self {
            bits: vec![0; usize::try_from(BITS / 64).unwrap_or_default()],
        };
        let mut statement = connection.prepare("SELECT accession_number FROM cancelled_orders")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // Text that is no text is a damaged row: it is found when it is read by its name.
            if let Ok(accession_number) = row.get_ref(0)?.as_str() {
                tombstones.insert(accession_number);
            }
        }
        Ok(tombstones)
    }

    /// Never taken out again: a cancellation that is rolled back costs a look-up in vain.
    pub(super) fn insert(&mut self, accession_number: &str) {
        for (word, mask) in places(accession_number) {
            if let Some(bits) = self.bits.get_mut(word) {
                *bits |= mask;
            }
        }
    }

    /// False only if it was not cancelled.
    pub(super) fn may_contain(&self, accession_number: &str) -> bool {
        places(accession_number)
            .into_iter()
            .all(|(word, mask)| self.bits.get(word).is_some_and(|bits| bits & mask != 0))
    }
}

/// Two bits each.
fn places(accession_number: &str) -> [(usize, u64); 2] {
    let mut hasher = SipHasher13::new();
    hasher.write(accession_number.as_bytes());
    let hash = hasher.finish();
    [hash, hash >> 32].map(|hash| {
        let bit = hash % BITS;
        (
            usize::try_from(bit / 64).unwrap_or_default(),
            1 << (bit % 64),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let mut tombstones = Tombstones {
            bits: vec![0; usize::try_from(BITS / 64).unwrap()],
        };
        assert!(!tombstones.may_contain("A1"));
        for number in 0..200_000 {
            tombstones.insert(&format!("A{number}"));
        }
        assert!((0..200_000).all(|number| tombstones.may_contain(&format!("A{number}"))));
        let strangers = 0..100_000;
        let wrong = strangers.filter(|n| tombstones.may_contain(&format!("B{n}")));
        let wrong = wrong.count();
        assert!(wrong < 1_500, "{wrong} in 100,000");
    }
}
