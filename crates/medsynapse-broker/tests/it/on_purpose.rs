//! Faults on purpose, through real sockets: what the sender sees, and what is stored all the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hl7_mllp::server::{Plain, serve_on};
use hl7_mllp::{NoObserver, ServerConfig};
use medsynapse_broker::{Fault, FaultPlan, Faults, FaultyHandler, FaultyUpgrade, MllpHandler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, Over, message, order};

const PATIENCE: Duration = Duration::from_secs(10);

struct Rig {
    bed: Bed,
    address: SocketAddr,
    faults: Faults,
    stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn rig(plan: FaultPlan) -> Rig {
    let bed = Bed::new(&Over::File);
    let faults = Faults::new(1);
    faults.set(plan).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = MllpHandler::new(Arc::clone(&bed.broker));
    let stop = CancellationToken::new();
    tokio::spawn(serve_on(
        listener,
        FaultyUpgrade::new(Plain, faults.clone()),
        Arc::new(FaultyHandler::new(handler, faults.clone())),
        ServerConfig::default(),
        Arc::new(NoObserver),
        stop.clone(),
    ));
    Rig {
        bed,
        address,
        faults,
        stop,
    }
}

impl Rig {
    /// Sends one order and gives the reads that bring its answer, until an end block or the end.
    async fn send(&self, stream: &mut TcpStream, number: u32) -> Vec<Vec<u8>> {
        let rest = order("NW", &format!("A{number}"), "P1");
        let text = message("ORM^O01", &format!("M{number}"), &rest);
        let frame = [b"\x0B", text.as_bytes(), b"\x1C\r"].concat();
        stream.write_all(&frame).await.unwrap();
        let mut reads: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut buffer = vec![0; 4096];
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
            match read.expect("an answer or an end") {
                Ok(0) | Err(_) => return reads,
                Ok(count) => {
                    buffer.truncate(count);
                    let done = buffer.ends_with(b"\x1C\r");
                    reads.push(buffer);
                    if done {
                        return reads;
                    }
                }
            }
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The true answer is what is kept.
    fn stored(&self, number: u32) {
        assert!(self.bed.order(&format!("A{number}")).is_some());
        let kept = self.bed.stored(i64::from(number));
        assert_eq!(kept.summary.ack_code, "AA");
        let ack = String::from_utf8(kept.ack).unwrap();
        assert!(
            ack.contains(&format!("MSA|AA|M{number}|Order registered.")),
            "{ack}"
        );
    }

    fn done(&self, fault: Fault) -> u64 {
        self.faults
            .done()
            .find(|(known, _)| *known == fault)
            .unwrap()
            .1
    }
}

fn text(reads: &[Vec<u8>]) -> String {
    String::from_utf8(reads.concat()).unwrap()
}

async fn answered(plan: FaultPlan, fault: Fault, expected: &str) {
    let rig = rig(plan).await;
    let mut stream = rig.connect().await;
    let answer = text(&rig.send(&mut stream, 1).await);
    assert!(answer.contains(expected), "{answer}");
    rig.stored(1);
    assert_eq!(rig.done(fault), 1);
    // Switched off while the connection is open: the next answer is true, and so is the answer
    // to the same message again.
    rig.faults.off();
    let answer = text(&rig.send(&mut stream, 2).await);
    assert!(answer.contains("MSA|AA|M2|Order registered."), "{answer}");
    let answer = text(&rig.send(&mut stream, 1).await);
    assert!(answer.contains("MSA|AA|M1|Order registered."), "{answer}");
    assert_eq!(rig.bed.broker.store().order_count().unwrap(), 2);
}

#[tokio::test]
async fn ae_and_ar_are_told_and_not_stored() {
    let ae = FaultPlan {
        error: 1.0,
        ..FaultPlan::default()
    };
    answered(ae, Fault::Error, "MSA|AE|M1|Fault on purpose").await;
    let ar = FaultPlan {
        reject: 1.0,
        ..FaultPlan::default()
    };
    answered(ar, Fault::Reject, "MSA|AR|M1|Fault on purpose").await;
}

#[tokio::test]
async fn the_answer_is_for_another_message() {
    let plan = FaultPlan {
        wrong_control_id: 1.0,
        ..FaultPlan::default()
    };
    answered(plan, Fault::WrongControlId, "MSA|AA|XM1|Order registered.").await;
}

#[tokio::test]
async fn no_answer_and_the_connection_stays() {
    let rig = rig(FaultPlan {
        no_answer: 1.0,
        ..FaultPlan::default()
    })
    .await;
    let mut stream = rig.connect().await;
    let waited = tokio::time::timeout(Duration::from_millis(300), rig.send(&mut stream, 1)).await;
    assert!(waited.is_err(), "an answer came: {waited:?}");
    rig.stored(1);
    rig.faults.off();
    let answer = text(&rig.send(&mut stream, 2).await);
    // The first one stays without an answer.
    assert!(
        answer.contains("|M2|") && !answer.contains("|M1|"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_answer_comes_late() {
    let delay = Duration::from_millis(400);
    let rig = rig(FaultPlan {
        delayed: 1.0,
        delay,
        ..FaultPlan::default()
    })
    .await;
    let mut stream = rig.connect().await;
    let start = Instant::now();
    let answer = text(&rig.send(&mut stream, 1).await);
    assert!(start.elapsed() >= delay);
    assert!(answer.contains("MSA|AA|M1|"), "{answer}");
}

#[tokio::test]
async fn the_answer_comes_in_pieces() {
    let rig = rig(FaultPlan {
        split: 1.0,
        ..FaultPlan::default()
    })
    .await;
    let mut stream = rig.connect().await;
    let reads = rig.send(&mut stream, 1).await;
    // Pieces may meet again in a busy receiver, but not all of them every time.
    assert!(reads.len() >= 2, "{} reads", reads.len());
    assert!(text(&reads).contains("MSA|AA|M1|Order registered."));
    let reads = rig.send(&mut stream, 2).await;
    assert!(text(&reads).contains("MSA|AA|M2|Order registered."));
}

#[tokio::test]
async fn the_connection_closes_in_the_middle_of_an_answer() {
    let rig = rig(FaultPlan {
        close_mid_frame: 1.0,
        ..FaultPlan::default()
    })
    .await;
    let mut stream = rig.connect().await;
    let answer = text(&rig.send(&mut stream, 1).await);
    assert!(
        answer.starts_with("\x0BMSH|") && !answer.contains('\x1C'),
        "{answer:?}"
    );
    rig.stored(1);
    rig.faults.off();
    let mut stream = rig.connect().await;
    let answer = text(&rig.send(&mut stream, 1).await);
    assert!(answer.contains("MSA|AA|M1|Order registered."), "{answer}");
    assert_eq!(rig.bed.broker.store().order_count().unwrap(), 1);
}
