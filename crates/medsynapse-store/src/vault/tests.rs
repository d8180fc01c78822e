use proptest::prelude::*;

use super::*;

fn keys(names: &[&str]) -> Keys {
    let lines: Vec<String> = names
        .iter()
        .map(|name| {
            let secret = mac(&[9; 32], &[name.as_bytes()]);
            Keys::line(name, &secret).unwrap().to_string()
        })
        .collect();
    lines.join("\n").parse().unwrap()
}

#[test]
fn what_is_sealed_opens_in_its_context_alone() {
    let sealer = Sealer::new(&keys(&["a"])).unwrap();
    let value = sealer.seal(b"patients 1", b"SMITH^JOHN").unwrap();
    assert_eq!(sealer.open(b"patients 1", &value).unwrap(), b"SMITH^JOHN");
    assert_eq!(sealer.open(b"patients 2", &value), Err(Shut));
    // Another session, and another process, of the same key.
    let again = Sealer::new(&keys(&["a"])).unwrap();
    assert_eq!(again.open(b"patients 1", &value).unwrap(), b"SMITH^JOHN");
    assert_eq!(
        Sealer::new(&keys(&["b"]))
            .unwrap()
            .open(b"patients 1", &value),
        Err(Shut)
    );
    // After a new key is put first.
    let rotated = Sealer::new(&keys(&["b", "a"])).unwrap();
    assert_eq!(rotated.open(b"patients 1", &value).unwrap(), b"SMITH^JOHN");
    assert_eq!(key_of(&value), Some(keys(&["a"]).first().fingerprint));
    let new = rotated.seal(b"", b"").unwrap();
    assert_eq!(key_of(&new), Some(keys(&["b"]).first().fingerprint));
}

#[test]
fn every_byte_counts() {
    let sealer = Sealer::new(&keys(&["a"])).unwrap();
    let value = sealer.seal(b"c", b"secret").unwrap();
    for place in 0..value.len() {
        let mut other = value.clone();
        *other.get_mut(place).unwrap() ^= 1;
        assert_eq!(sealer.open(b"c", &other), Err(Shut), "byte {place}");
    }
    for length in 0..value.len() {
        let cut = value.get(..length).unwrap();
        assert_eq!(sealer.open(b"c", cut), Err(Shut), "{length} bytes");
    }
    let mut longer = value.clone();
    longer.push(0);
    assert_eq!(sealer.open(b"c", &longer), Err(Shut));
}

#[test]
fn nothing_is_sealed_twice_alike() {
    let keys = keys(&["a"]);
    let sessions: Vec<Sealer> = (0..50).map(|_| Sealer::new(&keys).unwrap()).collect();
    let heads: std::collections::HashSet<Vec<u8>> = sessions
        .iter()
        .flat_map(|sealer| (0..50).map(|_| sealer.seal(b"", b"x").unwrap()))
        .map(|value| value.get(..HEAD).unwrap().to_vec())
        .collect();
    assert_eq!(heads.len(), 2_500, "key and nonce are in the head");
}

#[test]
fn values_of_sessions_that_never_were_do_not_fill_the_memory() {
    let sealer = Sealer::new(&keys(&["a"])).unwrap();
    let value = sealer.seal(b"", b"x").unwrap();
    for n in 0..1_000_u16 {
        let mut other = value.clone();
        let [low, high] = n.to_le_bytes();
        *other.get_mut(6).unwrap() ^= low;
        *other.get_mut(7).unwrap() ^= high;
        let opened = sealer.open(b"", &other);
        assert_eq!(opened.is_ok(), n == 0);
    }
    assert!(sealer.others.lock().unwrap().len() <= SESSIONS_MAX);
    assert!(sealer.open(b"", &value).is_ok());
}

#[test]
fn look_ups_outlive_a_key_and_are_those_of_one_database() {
    let first = Vault::create(&keys(&["a"])).unwrap();
    let kept = first.lookup().unwrap();
    let rotated = Vault::open(&keys(&["b", "a"]), &kept).unwrap();
    assert_eq!(first.token("P1"), rotated.token("P1"));
    assert_eq!(first.digest(b"d"), rotated.digest(b"d"));
    let later = Vault::open(&keys(&["b"]), &rotated.lookup().unwrap()).unwrap();
    assert_eq!(first.token("P1"), later.again().unwrap().token("P1"));
    assert_ne!(first.token("P1"), first.token("P2"));
    assert_ne!(
        first.token("P1"),
        Vault::create(&keys(&["a"])).unwrap().token("P1")
    );
    assert_eq!(first.token("P1").len(), 16);
    assert_ne!(first.token(""), "");
    assert!(matches!(
        Vault::open(&keys(&["b"]), &kept),
        Err(VaultError::Damaged)
    ));
}

#[test]
fn no_secret_is_shown() {
    let vault = Vault::create(&keys(&["a"])).unwrap();
    assert_eq!(format!("{vault:?}"), "Sealer { keys: Keys([\"a\"]), .. }");
}

proptest! {
    #[test]
    fn there_and_back(
        context in proptest::collection::vec(any::<u8>(), 0..50),
        plain in proptest::collection::vec(any::<u8>(), 0..500),
    ) {
        let sealer = Sealer::new(&keys(&["a"])).unwrap();
        let value = sealer.seal(&context, &plain).unwrap();
        prop_assert_eq!(value.len(), plain.len() + HEAD + TAG);
        prop_assert_eq!(sealer.open(&context, &value).unwrap(), plain);
    }

    #[test]
    fn bytes_that_nobody_sealed_do_not_open(
        bytes in proptest::collection::vec(any::<u8>(), 0..120)
    ) {
        let sealer = Sealer::new(&keys(&["a"])).unwrap();
        prop_assert_eq!(sealer.open(b"", &bytes), Err(Shut));
        let _ = key_of(&bytes);
    }
}
