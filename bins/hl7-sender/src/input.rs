//! Files into messages: [`read_all`].
//!
//! Nothing is dropped in silence: bytes that belong to no message are an error that names the
//! file, the line and the byte.

mod capture;
mod ndjson;
mod text;

use std::{
    fmt,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bytes::Bytes;
use hl7_message::{Header, Message};
use medsynapse::synth::Edit;
use memchr::{memchr, memchr_iter};

use crate::outgoing::{Outgoing, printable};

/// All messages of all inputs, in order.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// The files that were read, those of directories one by one.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) messages: Vec<Outgoing>,
    /// Batch headers and trailers that were seen and are not sent.
    pub(crate) batch_segments: usize,
    /// How many messages each edit has changed.
    pub(crate) edited: Vec<usize>,
}

/// A message cut out of an input, its lines ended as they travel.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    bytes: Bytes,
    /// Where it begins in the input.
    offset: usize,
}

/// What is wrong with an input, and at which byte.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    offset: usize,
    what: String,
}

impl Problem {
    fn new(offset: usize, what: impl fmt::Display) -> Self {
        Self {
            offset,
            what: what.to_string(),
        }
    }
}

/// What was cut out of one input.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cut {
    pieces: Vec<Piece>,
    batch_segments: usize,
}

/// How much is asked of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// That it parses, that every line is a segment, and that its answer can be told by its id.
    Whole,
    /// That its beginning can be found.
    Nothing,
}

/// Reads every input to its end, cuts it into messages, and makes the edits.
pub(crate) fn read_all(paths: &[PathBuf], edits: &[Edit], check: Check) -> anyhow::Result<Inputs> {
    let mut inputs = Inputs {
        files: expand(paths)?,
        edited: vec![0; edits.len()],
        ..Inputs::default()
    };
    for (file, path) in inputs.files.iter().enumerate() {
        let bytes = read(path)?;
        let at = |problem: Problem| {
            let line = line_of(&bytes, problem.offset);
            let name = name(path);
            anyhow::anyhow!(
                "{name}, line {line} (byte {}): {}",
                problem.offset,
                problem.what
            )
        };
        let cut = cut(&bytes, check).map_err(at)?;
        if cut.pieces.is_empty() {
            bail!(
                "{} holds no HL7 message: a message begins with MSH|",
                name(path)
            );
        }
        inputs.batch_segments += cut.batch_segments;
        for mut piece in cut.pieces {
            for (edit, edited) in edits.iter().zip(&mut inputs.edited) {
                *edited += usize::from(change(&mut piece, edit).map_err(at)?);
            }
            inputs
                .messages
                .push(outgoing(piece, file, check).map_err(at)?);
        }
    }
    for (edit, edited) in edits.iter().zip(&inputs.edited) {
        if *edited == 0 {
            let segment = edit.location().segment_id();
            bail!(
                "--set {}: no message has this {segment} segment",
                edit.location()
            );
        }
    }
    Ok(inputs)
}

/// The files of each directory, and those that a pattern stands for, in its place and in the
/// order of their names; hidden ones are not looked at.
fn expand(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        if !path.is_dir() {
            match matching(path)? {
                Some(mut found) => files.append(&mut found),
                None => files.push(path.clone()),
            }
            continue;
        }
        let unread = || format!("cannot read the directory {}", path.display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).with_context(unread)? {
            let entry = entry.with_context(unread)?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !hidden && entry.path().is_file() {
                found.push(entry.path());
            }
        }
        if found.is_empty() {
            bail!(
                "the directory {} holds no files; check --input",
                path.display()
            );
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// The files that a pattern stands for, sorted; `None` for what is no pattern, or a file of that
/// very name. A shell does this itself, unless the pattern is quoted.
fn matching(path: &Path) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let Some(pattern) = path.to_str().filter(|text| text.contains(['*', '?', '['])) else {
        return Ok(None);
    };
    if path.exists() {
        return Ok(None);
    }
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        ..glob::MatchOptions::default()
    };
    let found = glob::glob_with(pattern, options)
        .with_context(|| format!("cannot read the pattern {pattern}; check --input"))?;
    let mut files = Vec::new();
    for file in found {
        let file = file.with_context(|| format!("cannot read what {pattern} stands for"))?;
        if file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!("no file matches {pattern}; check --input");
    }
    Ok(Some(files))
}

/// Makes one edit; whether there was a place for it.
fn change(piece: &mut Piece, edit: &Edit) -> Result<bool, Problem> {
    let wrong =
        |error: &dyn fmt::Display| Problem::new(piece.offset, format_args!("cannot edit: {error}"));
    let message = Message::parse(&piece.bytes).map_err(|error| wrong(&error))?;
    if !edit.concerns(&message) {
        return Ok(false);
    }
    let edited = edit.apply(&piece.bytes).map_err(|error| wrong(&error))?;
    piece.bytes = edited.into();
    Ok(true)
}

/// How an input is called in a text for people.
pub(crate) fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

fn read(path: &Path) -> anyhow::Result<Bytes> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("reading standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| {
            format!(
                "cannot read {}; check the path after --input",
                path.display()
            )
        })?;
    }
    Ok(bytes.into())
}

/// Cuts by what the input begins with.
fn cut(bytes: &Bytes, check: Check) -> Result<Cut, Problem> {
    let mark = if bytes.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    let body = bytes.get(mark..).unwrap_or_default();
    match body
        .iter()
        .find(|byte| !byte.is_ascii_whitespace() || **byte == 0x0B)
    {
        Some(&hl7_mllp::START_BLOCK) => capture::cut(bytes, mark),
        Some(b'{') => ndjson::cut(bytes, mark, check),
        _ => text::cut(bytes, check),
    }
}

/// Reads the header, and refuses what could not be told apart from its neighbours' answers.
fn outgoing(piece: Piece, file: usize, check: Check) -> Result<Outgoing, Problem> {
    let Piece { bytes, offset } = piece;
    if let (Err(error), Check::Whole) = (Message::parse(&bytes), check) {
        return Err(Problem::new(
            offset,
            format_args!("not a message: {}", error.kind),
        ));
    }
    if let Some(at) = memchr::memchr2(hl7_mllp::START_BLOCK, hl7_mllp::END_BLOCK, &bytes) {
        let what = format!(
            "byte {at} of the message is an MLLP framing byte (0B or 1C), which HL7 text never holds"
        );
        return Err(Problem::new(offset, what));
    }
    let header = Header::salvage(&bytes);
    let control_id = header.map_or(0..0, |header| header.control_id().span());
    if control_id.is_empty() && check == Check::Whole {
        let what = "the message has no control id (MSH-10), so no answer can be matched to it; \
                    fill it in, or let --new-control-id do it";
        return Err(Problem::new(offset, what));
    }
    let kind = header.map_or_else(String::new, |header| {
        printable(header.message_type().as_bytes())
    });
    Ok(Outgoing {
        bytes,
        control_id,
        kind,
        file,
        offset,
    })
}

/// The line that holds the byte at `offset`, from 1. Lines end in LF, or in CR where there is no
/// LF at all.
fn line_of(bytes: &[u8], offset: usize) -> usize {
    let end = if memchr(b'\n', bytes).is_some() {
        b'\n'
    } else {
        b'\r'
    };
    1 + memchr_iter(end, bytes.get(..offset).unwrap_or(bytes)).count()
}

#[cfg(test)]
mod tests;
