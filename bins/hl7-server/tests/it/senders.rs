//! Several senders at once, each of which writes down what it was told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::server::PATIENCE;

/// What became of the messages, by control id: what was acknowledged AA, and what went out
/// without an answer.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) accepted: BTreeMap<String, String>,
    pub(crate) unanswered: BTreeMap<String, String>,
}

/// The log of all senders, and how many acknowledgements there are in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    log: Arc<Mutex<Log>>,
    count: Arc<AtomicU64>,
}

impl Shared {
    pub(crate) fn accepted(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    fn sent(&self, id: &str, message: &str) {
        self.log().unanswered.insert(id.into(), message.into());
    }

    /// An answer is written down before anything else happens.
    fn answered(&self, answer: &str) {
        let mut fields = answer.split("\rMSA|").nth(1).expect("MSA").split('|');
        let (code, id) = (fields.next().unwrap(), fields.next().unwrap());
        let mut log = self.log();
        let message = log
            .unanswered
            .remove(id)
            .expect("an answer to what was sent");
        if code == "AA" {
            log.accepted.insert(id.into(), message);
            self.count.fetch_add(1, Ordering::SeqCst);
        } else {
            // Our own trouble, or the broker's way down: not acknowledged.
            assert_eq!(code, "AE", "{answer}");
            log.unanswered.insert(id.into(), message);
        }
    }
}

/// A sender's next message: an order, or a report on one of its own.
#[derive(Debug)]
pub(crate) struct Sender {
    name: String,
    next: u32,
    orders: u32,
    stream: ChaCha8Rng,
}

impl Sender {
    pub(crate) fn new(name: String, seed: u64) -> Self {
        Self {
            name,
            next: 0,
            orders: 0,
            stream: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn next(&mut self) -> (String, String) {
        let id = format!("{}-{}", self.name, self.next);
        self.next += 1;
        let name = &self.name;
        let head = |kind: &str| {
            format!(
                "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||{kind}|{id}|P|2.3\r"
            )
        };
        if self.orders > 0 && self.stream.next_u32().is_multiple_of(3) {
            let order = self.stream.next_u32() % self.orders;
            let text = format!(
                "{}PID|1||P{name}||SMITH^JOHN||19800101|M\rOBR|1|{name}o{order}\r\
                 OBX|1|TX|CT1^CT||text of {id}||||||F|||20230614140000||7^DOE\r",
                head("ORU^R01"),
            );
            return (id, text);
        }
        let order = self.orders;
        self.orders += 1;
        let text = format!(
            "{}PID|1||P{name}||SMITH^JOHN||19800101|M\rPV1|1|O\rORC|NW\r\
             OBR|1|{name}o{order}||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|RP1||CT1|||CT\
             ||||||||||||20230614132030\r",
            head("ORM^O01"),
        );
        (id, text)
    }

    /// Sends `window` messages at a time and waits for their answers, until the link breaks.
    async fn run(mut self, address: SocketAddr, window: usize, shared: Shared) -> Self {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return self;
        };
        let mut unread = Vec::new();
        loop {
            let mut bytes = Vec::new();
            for _ in 0..window {
                let (id, text) = self.next();
                shared.sent(&id, &text);
                bytes.extend([b"\x0B", text.as_bytes(), b"\x1C\r"].concat());
            }
            if stream.write_all(&bytes).await.is_err() {
                // Answers to what went before may still be there.
                window_answers(&mut stream, &mut unread, usize::MAX, &shared).await;
                return self;
            }
            if window_answers(&mut stream, &mut unread, window, &shared).await < window {
                return self;
            }
        }
    }
}

/// Takes down up to `count` answers, and gives how many came before the end.
async fn window_answers(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
    count: usize,
    shared: &Shared,
) -> usize {
    let mut found = 0;
    let mut buffer = vec![0; 16 << 10];
    while found < count {
        if let Some(end) = unread.windows(2).position(|pair| pair == b"\x1C\r") {
            let frame: Vec<u8> = unread.drain(..end + 2).collect();
            shared.answered(&String::from_utf8(frame).unwrap());
            found += 1;
            continue;
        }
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
        match read.expect("an answer or an end") {
            Ok(read) if read > 0 => unread.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => return found,
        }
    }
    found
}

/// Senders at work.
pub(crate) fn start(
    senders: Vec<Sender>,
    address: SocketAddr,
    window: usize,
    shared: &Shared,
) -> JoinSet<Sender> {
    let mut set = JoinSet::new();
    for sender in senders {
        set.spawn(sender.run(address, window, shared.clone()));
    }
    set
}

/// Sends what had no answer once more, as a careful sender does, and takes down the answers.
pub(crate) async fn resend(address: SocketAddr, shared: &Shared) {
    let waiting: Vec<String> = shared.log().unanswered.values().cloned().collect();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut unread = Vec::new();
    for message in waiting {
        let frame = [b"\x0B", message.as_bytes(), b"\x1C\r"].concat();
        stream.write_all(&frame).await.unwrap();
        assert_eq!(window_answers(&mut stream, &mut unread, 1, shared).await, 1);
    }
    let left = &shared.log().unanswered;
    assert!(left.is_empty(), "not taken the second time: {left:?}");
}
