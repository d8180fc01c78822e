//! [`Packer`] and [`Bundle`]: the values of a row in one piece, to be sealed together.

use super::ROOM;

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Item<'a> {
    Null,
    Integer(i64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// Puts values together, behind the room that the head of a sealed value needs.
#[derive(Debug)]
pub(crate) struct Packer(Vec<u8>);

impl Packer {
    pub(crate) fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity + ROOM.len());
        bytes.extend_from_slice(&ROOM);
        Self(bytes)
    }

    /// Length and kind in one number, seven bits a byte, the low ones first; then the bytes.
    pub(crate) fn add(&mut self, item: Item<'_>) {
        let mut put = |kind: u8, bytes: &[u8]| {
            let mut head = (bytes.len() as u64) << 2 | u64::from(kind);
            while head > 0x7f {
                self.0.push(low(head) | 0x80);
                head >>= 7;
            }
            self.0.push(low(head));
            self.0.extend_from_slice(bytes);
        };
        match item {
            Item::Null => put(0, &[]),
            Item::Integer(number) => put(1, &number.to_le_bytes()),
            Item::Text(text) => put(2, text),
            Item::Blob(blob) => put(3, blob),
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Values that were put together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bundle<'a>(&'a [u8]);

impl<'a> Bundle<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The value at a place, from 0; `None` if there is none or it is none.
    pub(crate) fn get(self, place: usize) -> Option<Item<'a>> {
        self.iter().nth(place)?
    }

    /// All of them; `None` for what is no value, and nothing behind it.
    pub(crate) fn iter(self) -> impl Iterator<Item = Option<Item<'a>>> {
        let mut rest = Some(self.0);
        std::iter::from_fn(move || {
            let bytes = rest.filter(|bytes| !bytes.is_empty())?;
            let taken = take(bytes);
            rest = taken.map(|(_, rest)| rest);
            Some(taken.map(|(item, _)| item))
        })
    }
}

/// The last seven bits.
const fn low(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

fn take(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (mut head, mut bytes) = (0_u64, bytes);
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        bytes = rest;
        let part = u64::from(byte & 0x7f);
        // No length is said in two ways, and none is longer than 2^56.
        if shift > 49 || (byte == 0 && shift > 0) {
            return None;
        }
        head |= part << shift;
        if byte < 0x80 {
            break;
        }
    }
    let length = usize::try_from(head >> 2).ok()?;
    let (value, rest) = bytes.split_at_checked(length)?;
    let item = match low(head) & 3 {
        0 if value.is_empty() => Item::Null,
        1 => Item::Integer(i64::from_le_bytes(value.try_into().ok()?)),
        2 => Item::Text(value),
        3 => Item::Blob(value),
        _ => return None,
    };
    Some((item, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Owned {
        Null,
        Integer(i64),
        Text(String),
        Blob(Vec<u8>),
    }

    impl Owned {
        fn item(&self) -> Item<'_> {
            match self {
                Self::Null => Item::Null,
                Self::Integer(number) => Item::Integer(*number),
                Self::Text(text) => Item::Text(text.as_bytes()),
                Self::Blob(blob) => Item::Blob(blob),
            }
        }
    }

    fn owned() -> impl Strategy<Value = Owned> {
        prop_oneof![
            Just(Owned::Null),
            any::<i64>().prop_map(Owned::Integer),
            ".{0,40}".prop_map(Owned::Text),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Owned::Blob),
        ]
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(values in proptest::collection::vec(owned(), 0..12)) {
            let mut packer = Packer::new(0);
            for value in &values {
                packer.add(value.item());
            }
            let bytes = packer.into_bytes();
            let bundle = Bundle::new(bytes.get(ROOM.len()..).unwrap());
            let out: Vec<_> = bundle.iter().collect();
            prop_assert_eq!(out.len(), values.len());
            for (place, value) in values.iter().enumerate() {
                prop_assert_eq!(bundle.get(place), Some(value.item()));
            }
            prop_assert_eq!(bundle.get(values.len()), None);
        }

        #[test]
        fn bytes_that_are_no_bundle_are_read_without_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let bundle = Bundle::new(&bytes);
            prop_assert!(bundle.iter().count() <= bytes.len());
            let _ = bundle.get(3);
        }
    }
}
