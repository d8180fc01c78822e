//! Captures of MLLP: what stands between the framing bytes is sent byte for byte.

use bytes::Bytes;
use hl7_mllp::{CARRIAGE_RETURN, END_BLOCK, START_BLOCK};
use memchr::memchr2;

use super::{Cut, Piece, Problem};

pub(super) fn cut(bytes: &Bytes, mut at: usize) -> Result<Cut, Problem> {
    let mut cut = Cut::default();
    let byte = |at: usize| bytes.get(at).copied();
    loop {
        match byte(at) {
            None => return Ok(cut),
            Some(b'\r' | b'\n') => at += 1,
            Some(START_BLOCK) => {
                let start = at + 1;
                let rest = bytes.get(start..).unwrap_or_default();
                let end = memchr2(START_BLOCK, END_BLOCK, rest).map(|len| start + len);
                let Some(end) = end.filter(|end| byte(*end) == Some(END_BLOCK)) else {
                    return Err(Problem::new(at, "this MLLP block has no end (1C 0D)"));
                };
                if byte(end + 1) != Some(CARRIAGE_RETURN) {
                    let what = "the end block (1C) has no carriage return (0D) behind it";
                    return Err(Problem::new(end, what));
                }
                cut.pieces.push(Piece {
                    bytes: bytes.slice(start..end),
                    offset: start,
                });
                at = end + 2;
            }
            Some(_) => {
                return Err(Problem::new(
                    at,
                    "bytes between two MLLP blocks belong to no message",
                ));
            }
        }
    }
}
