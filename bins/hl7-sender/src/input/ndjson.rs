//! One JSON object a line, the message in its `message`.

use bytes::Bytes;
use memchr::memchr;
use serde_json::Value;

use super::{Check, Cut, Piece, Problem, text};

pub(super) fn cut(bytes: &Bytes, mut at: usize, check: Check) -> Result<Cut, Problem> {
    let mut cut = Cut::default();
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let len = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..len).unwrap_or(rest);
        if !line.trim_ascii().is_empty() {
            cut.pieces.push(piece(line, at, check)?);
        }
        at += len + 1;
    }
    Ok(cut)
}

fn piece(line: &[u8], offset: usize, check: Check) -> Result<Piece, Problem> {
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        Problem::new(
            offset + error.column().saturating_sub(1),
            "this line is not a JSON object",
        )
    })?;
    let message = value
        .get("message")
        .and_then(Value::as_str)
        .ok_or_else(|| {
            Problem::new(
                offset,
                "this object has no \"message\" with the text of a message",
            )
        })?;
    let inner =
        text::cut(&Bytes::copy_from_slice(message.as_bytes()), check).map_err(|problem| {
            Problem::new(offset, format_args!("in \"message\": {}", problem.what))
        })?;
    match <[Piece; 1]>::try_from(inner.pieces) {
        Ok([piece]) => Ok(Piece { offset, ..piece }),
        Err(pieces) => {
            let what = format_args!("\"message\" holds {} messages instead of one", pieces.len());
            Err(Problem::new(offset, what))
        }
    }
}
