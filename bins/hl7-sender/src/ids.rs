//! [`FreshIds`]: control ids that no run before used.

use std::hash::{BuildHasher, RandomState};

use hl7_message::{Edit, Message, loc};

/// Control ids of [`LEN`] characters, as long as HL7 2.3 allows: eight for the run, twelve digits
/// for the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FreshIds {
    run: [u8; 8],
}

/// How long each of them is.
pub(crate) const LEN: usize = 20;

impl FreshIds {
    /// Ids of a run of their own, by chance.
    pub(crate) fn random() -> Self {
        Self::new(RandomState::new().hash_one(0))
    }

    /// The ids of the run `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut run = [b'A'; 8];
        for (place, letter) in run.iter_mut().enumerate() {
            let index = (seed >> (5 * place)) & 31;
            *letter = usize::try_from(index)
                .ok()
                .and_then(|i| LETTERS.get(i))
                .map_or(b'A', |l| *l);
        }
        Self { run }
    }

    /// The id of message `number`.
    pub(crate) fn id(self, number: u64) -> [u8; LEN] {
        let mut id = [b'0'; LEN];
        let (run, digits) = id.split_at_mut(self.run.len());
        run.copy_from_slice(&self.run);
        let mut left = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
        }
        id
    }
}

/// The message under another control id; as it was where it has no header that could take one.
pub(crate) fn with_control_id(bytes: &[u8], id: &[u8]) -> Vec<u8> {
    let Ok(message) = Message::parse(bytes) else {
        return bytes.to_vec();
    };
    let mut edit = Edit::new(&message);
    match edit.set_bytes(loc!("MSH-10"), id) {
        Ok(edit) => edit.apply(),
        Err(_) => bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_by_message_and_by_run() {
        let ids = FreshIds::new(1);
        assert_eq!(&ids.id(42), b"BAAAAAAA000000000042");
        assert_ne!(FreshIds::new(1).id(1), FreshIds::new(1 << 39).id(1));
        assert_ne!(FreshIds::random().id(1), FreshIds::random().id(1));
    }
}
