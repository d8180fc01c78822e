//! What fuzzing checks of encryption: the file of keys, and values that somebody else sealed.

use std::sync::LazyLock;

use medsynapse_store::{Keys, KeysError};

use crate::Target;

/// All of them.
pub const TARGETS: [Target; 2] = [("keys", keys), ("sealed", sealed)];

/// A file of keys: what is read has a name for each key and opens what it seals; what is refused
/// is named by its line.
pub fn keys(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match text.parse::<Keys>() {
        Ok(keys) => {
            let names: Vec<&str> = keys.names().collect();
            assert!((1..=16).contains(&names.len()));
            assert!(
                names
                    .iter()
                    .all(|name| !name.is_empty() && !name.contains(char::is_control))
            );
            let value = keys.seal("fuzz", data).expect("a sealed value");
            assert_eq!(keys.open("fuzz", &value).expect("its own value"), data);
        }
        Err(KeysError::Line { line, .. }) => {
            let lines = text.split(['\n', ',']).count();
            assert!((1..=lines).contains(&line));
        }
        Err(error) => assert!(matches!(error, KeysError::Empty), "{error}"),
    }
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let secret = std::array::from_fn(|n| u8::try_from(n).unwrap_or_default() ^ 0x5a);
    let line = Keys::line("fuzz", &secret).expect("a key");
    line.parse().expect("keys")
});

/// Bytes that nobody sealed do not open; those that were do, for their purpose and whole.
pub fn sealed(data: &[u8]) {
    assert!(KEYS.open("fuzz", data).is_err());
    let value = KEYS.seal("fuzz", data).expect("a sealed value");
    assert_eq!(KEYS.open("fuzz", &value).expect("its own value"), data);
    assert!(KEYS.open("other", &value).is_err());
    // The input says what is changed.
    let at = data
        .iter()
        .fold(data.len(), |sum, byte| sum + usize::from(*byte))
        % value.len();
    let mut changed = value.clone();
    if let Some(byte) = changed.get_mut(at) {
        *byte ^= 1;
    }
    assert!(KEYS.open("fuzz", &changed).is_err());
    assert!(
        KEYS.open("fuzz", value.get(..at).unwrap_or_default())
            .is_err()
    );
}
