//! [`Break`]: messages sent wrong on purpose, to see what the receiver makes of them.

use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use hl7_mllp::{CARRIAGE_RETURN, END_BLOCK, START_BLOCK, client::Client};
use tokio::{
    io::AsyncWriteExt,
    time::{sleep, timeout},
};

use crate::{
    ids::with_control_id,
    link::{Failure, FailureKind, Reply},
    mllp,
};

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Break {
    /// Right bytes in many small pieces; to be accepted
    Split,
    /// Two messages in one piece; both to be accepted
    TwoFrames,
    /// Other bytes before the frame; to be accepted
    Garbage,
    /// No start block (0B); no answer
    NoStart,
    /// No end block (1C 0D); no answer
    NoEnd,
    /// Half a message, then the end of the stream; no answer
    Truncate,
    /// A second start block amid the message: a framing error; no answer
    Restart,
    /// Two delimiters of MSH-2 are the same; AR
    WrongDelimiters,
    /// No MSH segment; AR
    NoHeader,
    /// Nothing in MSH-10; AR
    NoControlId,
    /// Nothing between the framing bytes; AR
    Empty,
    /// Segments end in line feeds
    LineFeeds,
}

/// What goes over the wire, and which answers are awaited.
#[derive(Debug, PartialEq, Eq)]
struct Script {
    pieces: Vec<Vec<u8>>,
    /// The control ids of the answers awaited.
    ids: Vec<Vec<u8>>,
    hang_up: bool,
}

const PIECES: usize = 64;
const PAUSE: Duration = Duration::from_millis(1);

impl Break {
    fn script(self, bytes: &[u8], id: &[u8]) -> Script {
        let half = bytes.len() / 2;
        let (head, tail) = bytes.split_at_checked(half).unwrap_or((bytes, &[]));
        let mut ids = vec![id.to_vec()];
        let mut hang_up = false;
        let pieces = match self {
            Self::Split => {
                let whole = framed(bytes);
                whole
                    .chunks(whole.len().div_ceil(PIECES))
                    .map(<[u8]>::to_vec)
                    .collect()
            }
            Self::TwoFrames => {
                let second = [id, b"-2"].concat();
                let other = with_control_id(bytes, &second);
                ids.push(second);
                vec![[framed(bytes), framed(&other)].concat()]
            }
            Self::Garbage => vec![[&b"\r\nHELO gateway\0\r\n"[..], &framed(bytes)].concat()],
            Self::NoStart => vec![[bytes, &[END_BLOCK, CARRIAGE_RETURN]].concat()],
            Self::NoEnd => vec![[&[START_BLOCK], bytes].concat()],
            Self::Truncate => {
                hang_up = true;
                vec![[&[START_BLOCK], head].concat()]
            }
            Self::Restart => vec![[&[START_BLOCK], head, &framed(tail)].concat()],
            Self::WrongDelimiters => {
                let mut bytes = bytes.to_vec();
                if let Some([first, second]) = bytes.get_mut(4..6) {
                    *second = *first;
                }
                vec![framed(&bytes)]
            }
            Self::NoHeader => {
                ids = vec![Vec::new()];
                let end = memchr::memchr(b'\r', bytes).map_or(bytes.len(), |end| end + 1);
                vec![framed(bytes.get(end..).unwrap_or_default())]
            }
            Self::NoControlId => {
                ids = vec![Vec::new()];
                vec![framed(&with_control_id(bytes, b""))]
            }
            Self::Empty => {
                ids = vec![Vec::new()];
                vec![framed(b"")]
            }
            Self::LineFeeds => {
                let feeds = |byte: &u8| if *byte == b'\r' { b'\n' } else { *byte };
                vec![framed(&bytes.iter().map(feeds).collect::<Vec<_>>())]
            }
        };
        Script {
            pieces,
            ids,
            hang_up,
        }
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&[START_BLOCK], bytes, &[END_BLOCK, CARRIAGE_RETURN]].concat()
}

/// An MLLP receiver that is sent broken messages, each over a connection of its own.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) mllp: mllp::Target,
    pub(crate) how: Break,
}

impl Target {
    /// The answer; of several the first that is not an acceptance.
    pub(crate) async fn exchange(&self, bytes: &[u8], id: &[u8]) -> Result<Reply, Failure> {
        let script = self.how.script(bytes, id);
        let failure = |error| self.mllp.failure(&error);
        let mut stream = self.mllp.dial().await.map_err(failure)?;
        let write = async {
            for piece in &script.pieces {
                stream.write_all(piece).await?;
                stream.flush().await?;
                if script.pieces.len() > 1 {
                    sleep(PAUSE).await;
                }
            }
            if script.hang_up {
                stream.shutdown().await?;
            }
            Ok::<_, std::io::Error>(())
        };
        let wait = self.mllp.timeout();
        match timeout(wait, write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let text = format!("the connection broke while sending: {error}");
                return Err(Failure::new(FailureKind::Closed, text));
            }
            Err(_) => {
                let text = format!("the receiver read nothing for {wait:?}");
                return Err(Failure::new(FailureKind::AckTimeout, text));
            }
        }
        let mut client = Client::over(stream, self.mllp.config().clone());
        let mut replies = Vec::new();
        for id in &script.ids {
            let answer: Bytes = client.receive().await.map_err(failure)?;
            replies.push(Reply::read(answer, id)?);
        }
        let worst = replies
            .iter()
            .position(|reply| !reply.code.is_accept())
            .unwrap_or(0);
        Ok(replies.swap_remove(worst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"MSH|^~\\&|A|||||||7\rPID|1\r";

    #[track_caller]
    fn check(how: Break, wire: &[u8]) {
        let found = how.script(MESSAGE, b"7").pieces.concat();
        assert_eq!(
            String::from_utf8_lossy(&found),
            String::from_utf8_lossy(wire)
        );
    }

    #[test]
    fn each_break_does_what_it_says() {
        let whole = b"\x0BMSH|^~\\&|A|||||||7\rPID|1\r\x1C\r";
        check(Break::Split, whole);
        check(
            Break::TwoFrames,
            &[whole, &b"\x0BMSH|^~\\&|A|||||||7-2\rPID|1\r\x1C\r"[..]].concat(),
        );
        check(
            Break::Garbage,
            &[&b"\r\nHELO gateway\0\r\n"[..], whole].concat(),
        );
        check(Break::NoStart, &whole[1..]);
        check(Break::NoEnd, &whole[..whole.len() - 2]);
        check(Break::Truncate, b"\x0BMSH|^~\\&|A||");
        check(
            Break::Restart,
            b"\x0BMSH|^~\\&|A||\x0B|||||7\rPID|1\r\x1C\r",
        );
        check(
            Break::WrongDelimiters,
            b"\x0BMSH|^^\\&|A|||||||7\rPID|1\r\x1C\r",
        );
        check(Break::NoHeader, b"\x0BPID|1\r\x1C\r");
        check(Break::NoControlId, b"\x0BMSH|^~\\&|A|||||||\rPID|1\r\x1C\r");
        check(Break::Empty, b"\x0B\x1C\r");
        check(Break::LineFeeds, b"\x0BMSH|^~\\&|A|||||||7\nPID|1\n\x1C\r");
    }

    #[test]
    fn a_split_message_comes_in_many_pieces() {
        let pieces = |len| Break::Split.script(&vec![b'x'; len], b"7").pieces.len();
        assert_eq!(pieces(10), 13);
        assert!((32..=PIECES).contains(&pieces(100_000)));
    }
}
