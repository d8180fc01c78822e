//! Files into messages: [`Reading`].
//!
//! Nothing is dropped in silence: bytes that belong to no message are an error that names the
//! file, the line and the byte.

mod capture;
mod ndjson;
mod stream;
mod text;

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bytes::Bytes;
use hl7_message::{Header, Message};
use medsynapse::synth::Edit;
use memchr::{memchr, memchr_iter};

use crate::outgoing::{Outgoing, printable};
use stream::Pieces;

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

    /// The same, so many bytes further on.
    fn moved(self, by: usize) -> Self {
        Self {
            offset: self.offset + by,
            ..self
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

/// Inputs of more bytes than this, all together, are not held in memory.
const HELD_MAX: u64 = 64 << 20;

/// What to read, and what to do with it.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The files, those of directories one by one.
    pub(crate) files: Vec<PathBuf>,
    edits: Vec<Edit>,
    check: Check,
    held_max: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) messages: u64,
    /// Batch headers and trailers that were seen and are not sent.
    pub(crate) batch_segments: usize,
    /// How many messages each edit has changed.
    pub(crate) edited: Vec<usize>,
}

impl Reading {
    pub(crate) fn new(paths: &[PathBuf], edits: Vec<Edit>, check: Check) -> anyhow::Result<Self> {
        Ok(Self {
            files: expand(paths)?,
            edits,
            check,
            held_max: HELD_MAX,
        })
    }

    /// The same, holding no more than this.
    #[cfg(test)]
    pub(crate) fn holding(self, held_max: u64) -> Self {
        Self { held_max, ..self }
    }

    /// Standard input or another pipe, and nothing else: it can be read once, and may have no end.
    pub(crate) fn is_pipe(&self) -> bool {
        let pipe = |path: &Path| is_standard_input(path) || (path.exists() && !path.is_file());
        matches!(&self.files[..], [path] if pipe(path))
    }

    /// Whether there is more than should be held in memory.
    pub(crate) fn is_large(&self) -> bool {
        let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |data| data.len());
        let all_are_files = self.files.iter().all(|path| path.is_file());
        all_are_files && self.files.iter().map(size).sum::<u64>() > self.held_max
    }

    /// Reads every input to its end, cuts it into messages, and makes the edits.
    pub(crate) fn all(&self) -> anyhow::Result<(Vec<Outgoing>, Found)> {
        let mut messages = Vec::new();
        let mut found = self.nothing();
        for (file, path) in self.files.iter().enumerate() {
            let bytes = read(path)?;
            let at = |problem: Problem| {
                let line = line_of(&bytes, problem.offset);
                let (name, byte, what) = (name(path), problem.offset, problem.what);
                anyhow::anyhow!("{name}, line {line} (byte {byte}): {what}")
            };
            let cut = cut(&bytes, self.check).map_err(at)?;
            if cut.pieces.is_empty() {
                return Err(empty(path));
            }
            found.batch_segments += cut.batch_segments;
            for piece in cut.pieces {
                let message = self.ready(piece, file, &mut found).map_err(at)?;
                messages.push(message);
            }
        }
        self.check_edits(&found)?;
        Ok((messages, found))
    }

    /// Does the same, but hands on each message as soon as it is read, until `take` wants no more;
    /// `before_more` is called whenever more has to be read for the next one.
    pub(crate) fn each(
        &self,
        mut take: impl FnMut(Outgoing) -> ControlFlow<()>,
        before_more: impl Fn(),
    ) -> anyhow::Result<Found> {
        let mut found = self.nothing();
        for (file, path) in self.files.iter().enumerate() {
            let source: Box<dyn Read> = if is_standard_input(path) {
                Box::new(io::stdin().lock())
            } else {
                Box::new(File::open(path).with_context(|| unreadable(path))?)
            };
            let first = found.messages;
            let at = |number: u64, problem: Problem| {
                let (name, byte, what) = (name(path), problem.offset, problem.what);
                let number = number - first + 1;
                anyhow::anyhow!("{name}, message {number} (byte {byte}): {what}")
            };
            let source = Told {
                source,
                before_more: &before_more,
            };
            let mut pieces = Pieces::open(source, self.check).map_err(|p| at(first, p))?;
            loop {
                let number = found.messages;
                let Some(piece) = pieces.next().map_err(|problem| at(number, problem))? else {
                    break;
                };
                let ready = self.ready(piece, file, &mut found);
                if take(ready.map_err(|problem| at(number, problem))?).is_break() {
                    return Ok(found);
                }
            }
            found.batch_segments += pieces.batch_segments;
            if found.messages == first {
                return Err(empty(path));
            }
        }
        self.check_edits(&found)?;
        Ok(found)
    }

    fn nothing(&self) -> Found {
        Found {
            edited: vec![0; self.edits.len()],
            ..Found::default()
        }
    }

    /// The message with its edits.
    fn ready(&self, mut piece: Piece, file: usize, found: &mut Found) -> Result<Outgoing, Problem> {
        for (edit, edited) in self.edits.iter().zip(&mut found.edited) {
            *edited += usize::from(change(&mut piece, edit)?);
        }
        found.messages += 1;
        outgoing(piece, file, self.check)
    }

    fn check_edits(&self, found: &Found) -> anyhow::Result<()> {
        for (edit, edited) in self.edits.iter().zip(&found.edited) {
            if *edited == 0 {
                let (location, segment) = (edit.location(), edit.location().segment_id());
                bail!("--set {location}: no message has this {segment} segment");
            }
        }
        Ok(())
    }
}

/// A source that tells before it is read.
struct Told<'t, R> {
    source: R,
    before_more: &'t dyn Fn(),
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.before_more)();
        self.source.read(buffer)
    }
}

fn empty(path: &Path) -> anyhow::Error {
    let name = name(path);
    anyhow::anyhow!("{name} holds no HL7 message: a message begins with MSH|")
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

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// How an input is called in a text for people.
pub(crate) fn name(path: &Path) -> String {
    if is_standard_input(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

fn unreadable(path: &Path) -> String {
    format!(
        "cannot read {}; check the path after --input",
        path.display()
    )
}

fn read(path: &Path) -> anyhow::Result<Bytes> {
    let mut bytes = Vec::new();
    if is_standard_input(path) {
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("reading standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| unreadable(path))?;
    }
    Ok(bytes.into())
}

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Text files and batches.
    Text,
    /// Frames of MLLP.
    Capture,
    /// One JSON object a line.
    Ndjson,
}

/// What an input is by its beginning, and how long the mark of its encoding is; `None` where there
/// is nothing but blanks.
fn format(bytes: &[u8]) -> Option<(Format, usize)> {
    let mark = if bytes.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    let mut body = bytes.get(mark..).unwrap_or_default().iter();
    let first = body.find(|byte| !byte.is_ascii_whitespace() || **byte == 0x0B)?;
    let format = match first {
        &hl7_mllp::START_BLOCK => Format::Capture,
        b'{' => Format::Ndjson,
        _ => Format::Text,
    };
    Some((format, mark))
}

/// Cuts by what the input begins with.
fn cut(bytes: &Bytes, check: Check) -> Result<Cut, Problem> {
    match format(bytes) {
        Some((Format::Capture, mark)) => capture::cut(bytes, mark),
        Some((Format::Ndjson, mark)) => ndjson::cut(bytes, mark, check),
        Some((Format::Text, _)) | None => text::cut(bytes, check),
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
