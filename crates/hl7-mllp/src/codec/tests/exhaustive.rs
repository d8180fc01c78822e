//! Every string over the framing bytes, in every split, against a reference that is plainly right.

use std::collections::HashSet;

use super::*;

/// The rules of the module's table once more, over a whole stream and without any cleverness.
pub(super) fn naive(stream: &[u8], framing: Framing, limits: &Limits) -> Vec<Seen> {
    let tolerant = framing == Framing::Tolerant;
    let mut seen = Vec::new();
    let mut junk = 0;
    let mut at = 0;
    'blocks: loop {
        while stream.get(at).is_some_and(|byte| *byte != START_BLOCK) {
            if junk == limits.junk_bytes_max {
                seen.push(Seen::Error(
                    FrameErrorKind::TooMuchJunk { limit: junk },
                    at as u64,
                ));
                return seen;
            }
            junk += 1;
            at += 1;
        }
        if at == stream.len() {
            return seen;
        }
        at += 1;
        let mut start = at;
        loop {
            let limit = limits.frame_bytes_max;
            match stream.get(at).copied() {
                None => {
                    seen.push(Seen::Error(FrameErrorKind::Truncated, at as u64));
                    return seen;
                }
                Some(START_BLOCK) if at == start && tolerant => {
                    if junk == limits.junk_bytes_max {
                        let kind = FrameErrorKind::TooMuchJunk { limit: junk };
                        seen.push(Seen::Error(kind, at as u64));
                        return seen;
                    }
                    junk += 1;
                    start += 1;
                }
                Some(START_BLOCK) => {
                    seen.push(Seen::Error(FrameErrorKind::BlockRestarted, at as u64));
                    start = at + 1;
                }
                Some(END_BLOCK) => {
                    let rest = &stream[at + 1..];
                    let taken = if rest.starts_with(b"\r") {
                        Some(2)
                    } else if !tolerant {
                        None
                    } else if rest.is_empty() || rest[0] == START_BLOCK {
                        Some(1)
                    } else if rest[0] == b'\n'
                        || rest == [END_BLOCK]
                        || rest.starts_with(&[END_BLOCK, START_BLOCK])
                    {
                        Some(2)
                    } else if rest[0] == END_BLOCK && matches!(rest[1], b'\r' | b'\n') {
                        Some(3)
                    } else {
                        None
                    };
                    match taken {
                        Some(bytes) => {
                            seen.push(match &stream[start..at] {
                                [0x06] => Seen::Commit(true),
                                [0x15] => Seen::Commit(false),
                                payload => Seen::Frame(payload.to_vec()),
                            });
                            junk = 0;
                            at += bytes;
                        }
                        // An end block that waits for its carriage return when the stream ends.
                        None if rest.is_empty() => {
                            let end = stream.len() as u64;
                            seen.push(Seen::Error(FrameErrorKind::Truncated, end));
                            return seen;
                        }
                        None => {
                            seen.push(Seen::Error(FrameErrorKind::EndBlockAlone, at as u64));
                            at += 1;
                        }
                    }
                    continue 'blocks;
                }
                Some(_) if at - start == limit => {
                    let kind = FrameErrorKind::FrameTooLarge { limit };
                    seen.push(Seen::Error(kind, at as u64));
                    return seen;
                }
                Some(_) => {}
            }
            at += 1;
        }
    }
}

/// Calls `visit` with every string over `alphabet` of exactly `length` bytes.
fn every_string(alphabet: &[u8], length: usize, mut visit: impl FnMut(&[u8])) {
    let mut digits = vec![0; length];
    let mut string = vec![alphabet[0]; length];
    loop {
        visit(&string);
        let Some(place) = digits.iter().rposition(|digit| digit + 1 < alphabet.len()) else {
            return;
        };
        digits[place] += 1;
        string[place] = alphabet[digits[place]];
        for after in place + 1..length {
            digits[after] = 0;
            string[after] = alphabet[0];
        }
    }
}

/// Every string of up to `length_max` bytes decodes as the naive reference says.
fn equals_the_naive_reference(codec: &MllpCodec, alphabet: &[u8], length_max: usize) {
    for length in 0..=length_max {
        every_string(alphabet, length, |string| {
            let expected = naive(string, codec.framing, &codec.limits);
            assert_eq!(
                in_pieces(codec.clone(), [string]),
                expected,
                "{string:02X?}"
            );
            for frame in &expected {
                let Seen::Frame(frame) = frame else { continue };
                assert!(
                    memchr2(START_BLOCK, END_BLOCK, frame).is_none(),
                    "{string:02X?}"
                );
            }
        });
    }
}

/// Every split of every string of up to `length_max` bytes decodes alike.
///
/// A split is a walk through decoder states, one piece a step. So it is enough that, from every
/// state that can be reached, a string fed whole ends in the same state and with the same events
/// as its first part followed by its last byte: by induction every split equals the one-byte-at-
/// a-time walk. Where in the stream a state was reached changes nothing but offsets, and junk
/// counts only as far as the limit is within reach: so each state is tried once, from where it is
/// reached with the fewest bytes.
fn every_split_is_alike(codec: &MllpCodec, alphabet: &[u8], length_max: usize) {
    let mut met = HashSet::new();
    let mut border = vec![Walk {
        codec: codec.clone(),
        ..Walk::default()
    }];
    for depth in 0..length_max {
        let mut next = Vec::new();
        for walk in border {
            let junk_left = (codec.limits.junk_bytes_max - walk.codec.junk_run).min(length_max);
            if met.insert((walk.codec.state, junk_left, walk.src.to_vec())) {
                let start = Walk {
                    seen: Vec::new(),
                    ..walk
                };
                walk_on(
                    &start,
                    &start,
                    &mut Vec::new(),
                    alphabet,
                    length_max - depth,
                    &mut next,
                );
            }
        }
        border = next;
    }
}

/// A decoder on its way through a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Walk {
    codec: MllpCodec,
    src: BytesMut,
    seen: Vec<Seen>,
}

impl Walk {
    fn fed(&self, piece: &[u8]) -> Self {
        let mut walk = self.clone();
        feed(&mut walk.codec, &mut walk.src, piece, &mut walk.seen);
        walk
    }
}

/// Tries every continuation of `string`, which led from `start` to `here` in one piece.
fn walk_on(
    start: &Walk,
    here: &Walk,
    string: &mut Vec<u8>,
    alphabet: &[u8],
    bytes_left: usize,
    next: &mut Vec<Walk>,
) {
    for byte in alphabet {
        string.push(*byte);
        let whole = start.fed(string);
        let cut = here.fed(&[*byte]);
        assert_eq!(whole, cut, "{:02X?} then {string:02X?}", start.src);
        if whole.codec.failed.is_none() {
            if bytes_left > 1 {
                walk_on(start, &whole, string, alphabet, bytes_left - 1, next);
            }
            if string.len() == 1 {
                next.push(whole);
            }
        }
        string.pop();
    }
}

const ALPHABET: [u8; 4] = [START_BLOCK, END_BLOCK, CARRIAGE_RETURN, b'A'];

#[test]
fn every_string_of_ten_bytes_decodes_as_the_naive_reference_tolerant() {
    equals_the_naive_reference(&MllpCodec::new(), &ALPHABET, 10);
}

#[test]
fn every_string_of_ten_bytes_decodes_as_the_naive_reference_strict() {
    equals_the_naive_reference(&MllpCodec::new().framing(Framing::Strict), &ALPHABET, 10);
}

#[test]
fn every_split_of_every_string_of_ten_bytes_decodes_alike_tolerant() {
    every_split_is_alike(&MllpCodec::new(), &ALPHABET, 10);
}

#[test]
fn every_split_of_every_string_of_ten_bytes_decodes_alike_strict() {
    every_split_is_alike(&MllpCodec::new().framing(Framing::Strict), &ALPHABET, 10);
}

#[test]
fn small_limits_line_feeds_and_commit_bytes_follow_the_naive_reference() {
    let limits = Limits {
        frame_bytes_max: 2,
        junk_bytes_max: 2,
    };
    for framing in [Framing::Strict, Framing::Tolerant] {
        let codec = MllpCodec::with_limits(limits.clone()).framing(framing);
        equals_the_naive_reference(&codec, &[START_BLOCK, END_BLOCK, b'\r', b'\n', 0x06], 6);
        every_split_is_alike(&codec, &[START_BLOCK, END_BLOCK, b'\r', b'\n', 0x06], 6);
    }
}
