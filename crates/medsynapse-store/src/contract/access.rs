//! What every [`AccessStore`] promises, wherever it is kept.

use std::sync::Barrier;

use chrono::{DateTime, TimeDelta, Utc};

use super::dawn;
use crate::{
    AccessStore, FirstAnswer, KeyRecord, Ticket, TrailCheck, TrailEntry, TrailKey, TrailPage,
};

/// Checks what an empty [`AccessStore`] promises; each `open` gives it to one more process or
/// server.
///
/// # Panics
///
/// It does not keep a promise.
pub fn access(open: &(dyn Fn() -> AccessStore + Sync)) {
    keys_are_the_same_for_all(open);
    a_request_is_carried_out_once_and_answered_alike_for_a_day(open);
    of_all_who_begin_at_once_one_is_first(open);
    the_trail_is_one_chain_whoever_writes(open);
}

fn key(id: &str, minute: i64) -> KeyRecord {
    KeyRecord {
        id: id.into(),
        name: format!("{id} of Zürich"),
        digest: std::array::from_fn(|n| id.as_bytes().get(n).copied().unwrap_or_default()),
        scopes: "read send".into(),
        created_at: dawn() + TimeDelta::minutes(minute),
        expires_at: None,
        revoked_at: None,
    }
}

fn keys_are_the_same_for_all(open: &dyn Fn() -> AccessStore) {
    let (one, two) = (open(), open());
    let mut seen = two.version().expect("a version");
    let mut is_told = |what: &str| {
        let version = two.version().expect("a version");
        assert_ne!(version, seen, "{what} is seen");
        seen = version;
        two.keys().expect("keys")
    };
    let (late, early) = (key("b", 2), key("a", 1));
    one.add_key(&late).expect("a key is kept");
    assert_eq!(is_told("a new key"), std::slice::from_ref(&late));
    assert!(one.add_key(&late).is_err(), "an id is given once");
    let ends = KeyRecord {
        expires_at: Some(dawn() + TimeDelta::minutes(5)),
        ..early
    };
    one.add_key(&ends).expect("a key is kept");
    assert_eq!(is_told("another"), [ends, late], "in the order of making");

    let at = dawn() + TimeDelta::minutes(3);
    assert!(one.revoke_key("b", at).expect("it is taken back"));
    let keys = is_told("a key that was taken back");
    assert_eq!(keys.last().and_then(|key| key.revoked_at), Some(at));
    let later = at + TimeDelta::minutes(1);
    assert!(!two.revoke_key("b", later).expect("an answer"));
    assert!(!two.revoke_key("c", later).expect("an answer"));
    assert_eq!(one.purge_keys(later).expect("a count"), 1);
    assert_eq!(is_told("that one is gone").len(), 1);
    let end = dawn() + TimeDelta::minutes(5);
    assert_eq!(one.purge_keys(end).expect("a count"), 1);
    assert!(is_told("that all are gone").is_empty());
}

fn begin(store: &AccessStore, caller: &str, request: u8, now: DateTime<Utc>) -> Ticket {
    let begun = store.begin(caller, "k", &[request; 32], now);
    begun.expect("a ticket")
}

fn a_request_is_carried_out_once_and_answered_alike_for_a_day(open: &dyn Fn() -> AccessStore) {
    let now = dawn();
    let answer = FirstAnswer {
        status: 201,
        head: "location: /1\n".into(),
        body: b"{\"name\": \"\xc3\xa9\"}\0".to_vec(),
    };
    let (one, two) = (open(), open());
    assert_eq!(begin(&one, "a", 1, now), Ticket::New);
    assert_eq!(begin(&two, "a", 1, now), Ticket::Unsettled);
    assert_eq!(begin(&two, "a", 2, now), Ticket::OtherRequest);
    assert_eq!(begin(&two, "b", 2, now), Ticket::New, "of another caller");
    one.settle("a", "k", &answer).expect("an answer is kept");
    drop(one);
    let one = open();
    let late = now + TimeDelta::hours(23);
    for store in [&one, &two] {
        let again = begin(store, "a", 1, late);
        assert_eq!(again, Ticket::Answered(answer.clone()));
        assert_eq!(begin(store, "a", 2, late), Ticket::OtherRequest);
    }
    let tomorrow = now + TimeDelta::hours(25);
    assert_eq!(begin(&two, "a", 2, tomorrow), Ticket::New);
    assert_eq!(begin(&one, "a", 2, tomorrow), Ticket::Unsettled);
    one.forget("a", "k").expect("it is forgotten");
    assert_eq!(begin(&two, "a", 1, tomorrow), Ticket::New);
    two.settle("a", "k", &answer).expect("an answer is kept");
    assert_eq!(begin(&one, "a", 1, tomorrow), Ticket::Answered(answer));
}

fn of_all_who_begin_at_once_one_is_first(open: &(dyn Fn() -> AccessStore + Sync)) {
    const REQUESTS: usize = 100;
    let start = Barrier::new(4);
    let firsts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let store = open();
                    let begin = |n| {
                        let key = format!("race{n}");
                        start.wait();
                        let begun = store.begin("racer", &key, &[7; 32], dawn());
                        match begun.expect("a ticket") {
                            Ticket::New => true,
                            Ticket::Unsettled => false,
                            other => panic!("nobody has answered: {other:?}"),
                        }
                    };
                    (0..REQUESTS).map(begin).collect::<Vec<bool>>()
                })
            })
            .collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|firsts| firsts.expect("a thread ends well"))
            .collect::<Vec<_>>()
    });
    for n in 0..REQUESTS {
        let firsts = firsts.iter().filter(|firsts| firsts.get(n) == Some(&true));
        assert_eq!(firsts.count(), 1, "of request {n}");
    }
}

fn entry(target: String) -> TrailEntry {
    TrailEntry {
        at: dawn(),
        who: "key:ä".into(),
        peer: "127.0.0.1:1".into(),
        action: "GET /api/v1/orders/{accession}".into(),
        target,
        patient: Some("00ff".into()),
        outcome: 404,
    }
}

fn the_trail_is_one_chain_whoever_writes(open: &(dyn Fn() -> AccessStore + Sync)) {
    const BATCHES: usize = 40;
    let key = TrailKey::new([9; 32]);
    let store = open();
    let whole = |entries| TrailCheck::Whole { entries };
    assert_eq!(store.verify_trail(&key).expect("a check"), whole(0));
    store.append(&key, &[]).expect("nothing is nothing");
    std::thread::scope(|scope| {
        for writer in ["one", "two", "three"] {
            let key = &key;
            scope.spawn(move || {
                let store = open();
                for batch in 0..BATCHES {
                    let entries = [0, 1, 2].map(|n| entry(format!("{writer} {batch} {n}")));
                    store.append(key, &entries).expect("entries are kept");
                }
            });
        }
    });
    let count = 3 * 3 * BATCHES;
    let found = store.verify_trail(&key).expect("a check");
    assert_eq!(found, whole(i64::try_from(count).unwrap_or_default()));
    let other = TrailKey::new([8; 32]);
    let broken = store.verify_trail(&other).expect("a check");
    assert!(
        matches!(broken, TrailCheck::Broken { n: 1, .. }),
        "{broken:?}"
    );

    // In pages, the latest first.
    let (mut items, mut before) = (Vec::new(), None);
    loop {
        let TrailPage { items: page, more } = store.trail_page(before, 100).expect("a page");
        before = page.last().map(|record| record.n);
        items.extend(page);
        if !more {
            break;
        }
    }
    let numbers: Vec<i64> = items.iter().rev().map(|record| record.n).collect();
    assert_eq!(numbers, (1..).take(count).collect::<Vec<i64>>());
    for writer in ["one", "two", "three"] {
        let of = |record: &&crate::TrailRecord| record.entry.target.starts_with(writer);
        let targets = items.iter().rev().filter(of);
        let expected = (0..BATCHES)
            .flat_map(|batch| (0..3).map(move |n| entry(format!("{writer} {batch} {n}"))));
        assert!(
            targets.map(|record| record.entry.clone()).eq(expected),
            "in its order"
        );
    }
}
