//! [`Break`]: messages sent wrong on purpose, to see what a receiver makes of them.
//!
//! ```
//! use hl7_mllp::broken::Break;
//!
//! let script = Break::NoEnd.script(b"MSH|^~\\&|A|||||||7\r");
//! assert_eq!(script.pieces.concat(), b"\x0BMSH|^~\\&|A|||||||7\r");
//! assert_eq!(script.ids, [b"7"]);
//! ```

use std::fmt;
use std::str::FromStr;

use crate::codec::{CARRIAGE_RETURN, END_BLOCK, START_BLOCK};
use crate::correlate::{Correlate, Hl7};

/// Most pieces that a message is split into.
const PIECES: usize = 64;

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Break {
    /// Right bytes in many small pieces; to be accepted.
    Split,
    /// Two messages in one piece; both to be accepted.
    TwoFrames,
    /// Other bytes before the frame; to be accepted.
    Garbage,
    /// No start block (0B); no answer.
    NoStart,
    /// No end block (1C 0D); no answer.
    NoEnd,
    /// Half a message, then the end of the stream; no answer.
    Truncate,
    /// A second start block amid the message: a framing error; no answer.
    Restart,
    /// Two delimiters of MSH-2 are the same; AR.
    WrongDelimiters,
    /// No MSH segment; AR.
    NoHeader,
    /// Nothing in MSH-10; AR.
    NoControlId,
    /// Nothing between the framing bytes; AR.
    Empty,
    /// Segments end in line feeds.
    LineFeeds,
}

/// Text that names no [`Break`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such break; see Break::ALL")]
pub struct UnknownBreak;

impl Break {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Split,
        Self::TwoFrames,
        Self::Garbage,
        Self::NoStart,
        Self::NoEnd,
        Self::Truncate,
        Self::Restart,
        Self::WrongDelimiters,
        Self::NoHeader,
        Self::NoControlId,
        Self::Empty,
        Self::LineFeeds,
    ];

    /// Its name on command lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::TwoFrames => "two-frames",
            Self::Garbage => "garbage",
            Self::NoStart => "no-start",
            Self::NoEnd => "no-end",
            Self::Truncate => "truncate",
            Self::Restart => "restart",
            Self::WrongDelimiters => "wrong-delimiters",
            Self::NoHeader => "no-header",
            Self::NoControlId => "no-control-id",
            Self::Empty => "empty",
            Self::LineFeeds => "line-feeds",
        }
    }

    /// What it does, and what should come of it.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Split => "Right bytes in many small pieces; to be accepted",
            Self::TwoFrames => "Two messages in one piece; both to be accepted",
            Self::Garbage => "Other bytes before the frame; to be accepted",
            Self::NoStart => "No start block (0B); no answer",
            Self::NoEnd => "No end block (1C 0D); no answer",
            Self::Truncate => "Half a message, then the end of the stream; no answer",
            Self::Restart => "A second start block amid the message: a framing error; no answer",
            Self::WrongDelimiters => "Two delimiters of MSH-2 are the same; AR",
            Self::NoHeader => "No MSH segment; AR",
            Self::NoControlId => "Nothing in MSH-10; AR",
            Self::Empty => "Nothing between the framing bytes; AR",
            Self::LineFeeds => "Segments end in line feeds",
        }
    }

    /// What to write for a message, and which answers to await.
    pub fn script(self, message: &[u8]) -> Script {
        let id = Hl7.control_id(message).unwrap_or_default();
        let half = message.len() / 2;
        let (head, tail) = message.split_at_checked(half).unwrap_or((message, &[]));
        let mut ids = vec![id.to_vec()];
        let mut hang_up = false;
        let pieces = match self {
            Self::Split => {
                let whole = framed(message);
                whole
                    .chunks(whole.len().div_ceil(PIECES))
                    .map(<[u8]>::to_vec)
                    .collect()
            }
            Self::TwoFrames => {
                let second = [id, b"-2"].concat();
                let other = with_control_id(message, &second);
                ids.push(second);
                vec![[framed(message), framed(&other)].concat()]
            }
            Self::Garbage => vec![[&b"\r\nHELO gateway\0\r\n"[..], &framed(message)].concat()],
            Self::NoStart => vec![[message, &[END_BLOCK, CARRIAGE_RETURN]].concat()],
            Self::NoEnd => vec![[&[START_BLOCK], message].concat()],
            Self::Truncate => {
                hang_up = true;
                vec![[&[START_BLOCK], head].concat()]
            }
            Self::Restart => vec![[&[START_BLOCK], head, &framed(tail)].concat()],
            Self::WrongDelimiters => {
                let mut bytes = message.to_vec();
                if let Some([first, second]) = bytes.get_mut(4..6) {
                    *second = *first;
                }
                vec![framed(&bytes)]
            }
            Self::NoHeader => {
                ids = vec![Vec::new()];
                let end = memchr::memchr(b'\r', message).map_or(message.len(), |end| end + 1);
                vec![framed(message.get(end..).unwrap_or_default())]
            }
            Self::NoControlId => {
                ids = vec![Vec::new()];
                vec![framed(&with_control_id(message, b""))]
            }
            Self::Empty => {
                ids = vec![Vec::new()];
                vec![framed(b"")]
            }
            Self::LineFeeds => {
                let feeds = |byte: &u8| if *byte == b'\r' { b'\n' } else { *byte };
                vec![framed(&message.iter().map(feeds).collect::<Vec<_>>())]
            }
        };
        Script {
            pieces,
            ids,
            hang_up,
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Break {
    type Err = UnknownBreak;

    fn from_str(text: &str) -> Result<Self, UnknownBreak> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or(UnknownBreak)
    }
}

/// What goes over the wire, and which answers are awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// What is written, piece by piece, with a pause between two.
    pub pieces: Vec<Vec<u8>>,
    /// The control ids of the answers awaited, in their order.
    pub ids: Vec<Vec<u8>>,
    /// Whether the stream ends after the last piece.
    pub hang_up: bool,
}

impl Script {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// The connection broke.
    #[cfg(feature = "net")]
    pub async fn write_to<S>(&self, stream: &mut S) -> std::io::Result<()>
    where
        S: tokio::io::AsyncWrite + Unpin,
    {
        use tokio::io::AsyncWriteExt as _;

        const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);
        for piece in &self.pieces {
            stream.write_all(piece).await?;
            stream.flush().await?;
            if self.pieces.len() > 1 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        if self.hang_up {
            stream.shutdown().await?;
        }
        Ok(())
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&[START_BLOCK], bytes, &[END_BLOCK, CARRIAGE_RETURN]].concat()
}

/// The message with another MSH-10; as it is where MSH has no such field.
fn with_control_id(message: &[u8], id: &[u8]) -> Vec<u8> {
    let end = memchr::memchr2(b'\r', b'\n', message).unwrap_or(message.len());
    let (header, rest) = message.split_at_checked(end).unwrap_or((message, &[]));
    let Some([b'M', b'S', b'H', separator]) = header.first_chunk() else {
        return message.to_vec();
    };
    let mut fields: Vec<&[u8]> = header.split(|byte| byte == separator).collect();
    // MSH-1 is the separator itself, so MSH-10 stands at place 9.
    let Some(field) = fields.get_mut(9) else {
        return message.to_vec();
    };
    *field = id;
    [&fields.join(separator), rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"MSH|^~\\&|A|||||||7\rPID|1\r";

    #[track_caller]
    fn check(how: Break, wire: &[u8]) {
        let found = how.script(MESSAGE).pieces.concat();
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
        let pieces = |len| Break::Split.script(&vec![b'x'; len]).pieces.len();
        assert_eq!(pieces(10), 13);
        assert!((32..=PIECES).contains(&pieces(100_000)));
    }

    #[test]
    fn anything_can_be_broken() {
        for how in Break::ALL {
            for message in [
                &b""[..],
                b"M",
                b"MSH",
                b"MSH|",
                b"PID|1\r",
                b"MSH|^~\\&|A\r",
            ] {
                assert!(!how.script(message).ids.is_empty(), "{how}");
            }
        }
    }

    #[test]
    fn names_go_there_and_back() {
        for how in Break::ALL {
            assert_eq!(how.as_str().parse(), Ok(how));
        }
        assert_eq!("Split".parse::<Break>(), Err(UnknownBreak));
    }
}
