//! What happens when the store fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use medsynapse::Profile;
use medsynapse_store::StoreError;
use medsynapse_store::testing::{Call, Failing};
use tempfile::TempDir;

use crate::bed::{Bed, Over, message, order, over_both};

over_both!(
    a_store_that_fails_at_its_nth_call_loses_nothing_it_accepted,
    the_same_message_sent_after_an_error_is_taken,
    a_broken_store_is_told_to_whoever_runs_the_broker,
    after_closing_everything_is_answered_with_an_error,
    a_changed_byte_in_the_database_is_never_given_out,
);

fn failing(over: &Over, fails_at: u32, error: StoreError) -> Bed {
    let place = over.place();
    let applied = AtomicU32::new(0);
    let store = Failing::new(place.open(), move |call| {
        (call == Call::Apply && applied.fetch_add(1, Ordering::SeqCst) == fails_at)
            .then(|| error.clone())
    });
    Bed::over(Arc::new(store), Profile::default(), place)
}

async fn a_store_that_fails_at_its_nth_call_loses_nothing_it_accepted(over: &Over) {
    for fails_at in 0..4 {
        let bed = failing(over, fails_at, StoreError::Full);
        for n in 0..4 {
            let id = format!("A{n}");
            let answer = bed.send("ORM^O01", &order("NW", &id, "P1")).await;
            if n == fails_at {
                assert_eq!(answer.code.as_str(), "AE");
                assert_eq!(answer.message_id, None);
                assert_eq!(bed.order(&id), None);
            } else {
                assert_eq!(answer.code.as_str(), "AA");
                assert!(bed.order(&id).is_some());
            }
        }
        assert_eq!(bed.broker.store().order_count().unwrap(), 3);
    }
}

async fn the_same_message_sent_after_an_error_is_taken(over: &Over) {
    let bed = failing(over, 0, StoreError::Full);
    let text = message("ORM^O01", "M1", &order("NW", "A1", "P1"));
    let first = bed.send_bytes(text.as_bytes()).await;
    assert!(!bed.broker.is_storing());
    assert_eq!(
        first.text,
        "The broker could not store the message; send it again later."
    );
    let second = bed.send_bytes(text.as_bytes()).await;
    assert!(bed.broker.is_storing());
    assert_eq!((second.code.as_str(), second.duplicate), ("AA", false));
}

async fn a_broken_store_is_told_to_whoever_runs_the_broker(over: &Over) {
    let bed = failing(over, 0, StoreError::Broken("fsync".into()));
    let mut failure = bed.broker.store_failure();
    assert_eq!(*failure.borrow(), None);
    let answer = bed.send("ORM^O01", &order("NW", "A1", "P1")).await;
    assert_eq!(answer.code.as_str(), "AE");
    failure.changed().await.unwrap();
    assert_eq!(failure.borrow().as_deref(), Some("fsync"));
}

async fn after_closing_everything_is_answered_with_an_error(over: &Over) {
    let bed = Bed::new(over);
    bed.send("ORM^O01", &order("NW", "A1", "P1")).await;
    let broker = Arc::clone(&bed.broker);
    tokio::task::spawn_blocking(move || broker.close())
        .await
        .unwrap();
    let answer = bed.send("ORM^O01", &order("NW", "A2", "P1")).await;
    assert_eq!(answer.code.as_str(), "AE");
    assert!(answer.text.contains("shutting down"));
    assert_eq!(bed.order("A2"), None);
}

async fn a_changed_byte_in_the_database_is_never_given_out(over: &Over) {
    let bed = Bed::new(over);
    let answer = bed.send("ORM^O01", &order("NW", "A1", "P1")).await;
    let id = answer.message_id.unwrap();
    let changed = bed.place.tamper(
        "UPDATE messages SET raw = CAST(substr(raw, 1, length(raw) - 1) || x'20' AS BLOB)",
        "UPDATE messages SET raw = substr(raw, 1, length(raw) - 1) || '\\x20'::bytea",
    );
    assert_eq!(changed, 1);
    let error = bed.broker.store().message(id).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { id: found, .. } if found == id));
}

#[tokio::test]
async fn a_data_directory_is_opened_once() {
    let directory = TempDir::new().unwrap();
    let first = crate::bed::open(directory.path()).unwrap();
    assert!(matches!(
        crate::bed::open(directory.path()),
        Err(StoreError::InUse)
    ));
    drop(first);
    crate::bed::open(directory.path()).unwrap();
}
