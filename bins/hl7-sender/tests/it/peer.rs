//! Scripted receivers on port 0. Every wait is bounded, and none is a sleep.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

const WAIT: Duration = Duration::from_secs(20);

/// What a peer does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers with this MSA-1.
    Code(&'static str),
    /// Answers AA, under another control id.
    WrongId,
    /// Answers with a message that has no MSA.
    NoMsa,
    /// Answers without framing bytes, and closes.
    Unframed,
    /// Does not answer; waits until the sender hangs up.
    Silent,
    /// Closes without an answer.
    Close,
    /// Answers AA and closes.
    AcceptAndClose,
}

/// What a peer saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) frame: Vec<u8>,
    /// Which connection it came over, from 0.
    pub(crate) connection: usize,
}

/// A receiver that goes through its script, and repeats the last act for ever.
pub(crate) struct Peer {
    pub(crate) port: u16,
    seen: Receiver<Seen>,
}

impl Peer {
    pub(crate) fn new(script: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(script.to_vec()));
        let (saw, seen) = channel();
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (script, saw) = (Arc::clone(&script), saw.clone());
                let Ok(stream) = stream else { return };
                thread::spawn(move || serve(stream, connection, &script, &saw));
            }
        });
        Self { port, seen }
    }

    /// The next message, waited for.
    pub(crate) fn next(&self) -> Seen {
        self.seen.recv_timeout(WAIT).expect("a message in time")
    }

    /// All messages that have come.
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }

    /// The bytes of all messages that have come.
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        self.all().into_iter().map(|seen| seen.frame).collect()
    }
}

/// A port of this machine at which nothing listens.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn serve(mut stream: TcpStream, connection: usize, script: &Mutex<Vec<Act>>, saw: &Sender<Seen>) {
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut unread = Vec::new();
    while let Some(frame) = read_frame(&mut stream, &mut unread) {
        let act = {
            let mut script = script.lock().unwrap();
            if script.len() > 1 {
                script.remove(0)
            } else {
                script[0]
            }
        };
        let id = control_id(&frame);
        let _ = saw.send(Seen { frame, connection });
        let (answer, close) = match act {
            Act::Code(code) => (framed(&ack(code, &id)), false),
            Act::AcceptAndClose => (framed(&ack("AA", &id)), true),
            Act::WrongId => (framed(&ack("AA", "another")), false),
            Act::NoMsa => (framed("MSH|^~\\&|PEER\rPID|1\r"), false),
            Act::Unframed => (b"what do you want\r\n".to_vec(), true),
            Act::Silent => (Vec::new(), false),
            Act::Close => (Vec::new(), true),
        };
        if stream.write_all(&answer).is_err() || close {
            return;
        }
    }
}

/// The acknowledgement of a message.
pub(crate) fn ack(code: &str, id: &str) -> String {
    format!("MSH|^~\\&|PEER|X|A|B|20240301||ACK^O01|9|P|2.3\rMSA|{code}|{id}|Text of {code}.\r")
}

pub(crate) fn control_id(frame: &[u8]) -> String {
    let text = String::from_utf8_lossy(frame);
    text.split('\r')
        .next()
        .unwrap()
        .split('|')
        .nth(9)
        .unwrap_or_default()
        .to_owned()
}

fn framed(text: &str) -> Vec<u8> {
    format!("\x0B{text}\x1C\r").into_bytes()
}

fn read_frame(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = unread.windows(2).position(|pair| pair == b"\x1C\r") {
            let block: Vec<u8> = unread.drain(..end + 2).collect();
            assert_eq!(block[0], 0x0B, "a block begins with 0B");
            return Some(block[1..end].to_vec());
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => unread.extend_from_slice(&buffer[..count]),
        }
    }
}
