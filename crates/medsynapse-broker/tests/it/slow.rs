//! A database that stands still: what waits is bounded, and senders feel it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hl7_mllp::{NoObserver, ServerConfig, serve};
use medsynapse::Profile;
use medsynapse_broker::MllpHandler;

use medsynapse_store::testing::{Call, Failing};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, message, order};

const SENDERS: u64 = 100;
const MESSAGES: u64 = 60;

#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    fn pass(&self) {
        let shut = self.shut.lock().unwrap();
        drop(self.moved.wait_while(shut, |shut| *shut).unwrap());
    }

    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.moved.notify_all();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stands_still_stops_the_senders_and_loses_nothing() {
    let directory = TempDir::new().unwrap();
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let store = crate::bed::open(directory.path()).unwrap();
    let waits = Arc::clone(&gate);
    let store = Failing::new(Arc::new(store), move |call| {
        if call == Call::Apply {
            waits.pass();
        }
        None
    });
    let bed = Bed::over(Arc::new(store), Profile::default(), directory);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(
        listener,
        Arc::new(MllpHandler::new(Arc::clone(&bed.broker))),
        ServerConfig::default(),
        Arc::new(NoObserver),
        stop.clone(),
    ));
    // Senders that write all they have without waiting for answers.
    let (answered, early) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (answered, early, gate) =
            (Arc::clone(&answered), Arc::clone(&early), Arc::clone(&gate));
        senders.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut input, mut output) = stream.into_split();
            let writing = tokio::spawn(async move {
                for n in 0..MESSAGES {
                    let rest = order("NW", &format!("S{sender}A{n}"), &format!("S{sender}P{n}"));
                    let text = message("ORM^O01", &format!("S{sender}M{n}"), &rest);
                    let frame = [b"\x0B", text.as_bytes(), b"\x1C\r"].concat();
                    output.write_all(&frame).await.unwrap();
                }
                output
            });
            let mut buffer = vec![0; 64 << 10];
            let mut found = 0;
            while found < MESSAGES {
                let read = input.read(&mut buffer).await.unwrap();
                assert!(read > 0, "cut off");
                if *gate.shut.lock().unwrap() {
                    early.store(true, Ordering::SeqCst);
                }
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                assert!(!text.contains("MSA|AE"), "{text}");
                found += text.matches('\x1C').count() as u64;
            }
            answered.fetch_add(found, Ordering::SeqCst);
            drop(writing.await.unwrap());
        });
    }
    // The queue fills up to its bound and stays there; its age is told meanwhile.
    let full = async {
        while bed.broker.queue().messages < 1_024 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), full)
        .await
        .expect("a full queue");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(bed.broker.queue().messages, 1_024);
    }
    assert!(bed.broker.queue().oldest > Duration::from_millis(300));
    assert!(!early.load(Ordering::SeqCst), "an answer before the commit");
    gate.set(false);
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    assert_eq!(answered.load(Ordering::SeqCst), SENDERS * MESSAGES);
    assert_eq!(
        bed.broker.store().order_count().unwrap(),
        SENDERS * MESSAGES
    );
    assert_eq!(bed.broker.queue().messages, 0);
    stop.cancel();
}
