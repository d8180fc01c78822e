//! [`Output`]: where messages go, and how they are told apart.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use medsynapse::synth::Generated;
use serde_json::json;

use crate::cli::Format;

/// Bytes that are collected before they are written: what a pipe holds. With four times as much a
/// million messages took 2.9 s instead of 2.4 s, for the writer waits in the middle of each write.
const BUFFER_BYTES: usize = 64 * 1024;

/// A writer for messages in one format.
pub(crate) struct Output {
    target: Target,
    format: Format,
    count: u64,
}

enum Target {
    Stream(BufWriter<Box<dyn Write>>),
    Directory(PathBuf),
}

impl Output {
    /// Opens a file, a new directory, or standard output for `-`.
    pub(crate) fn open(path: &Path, format: Format) -> anyhow::Result<Self> {
        let target = if format == Format::Dir {
            Target::Directory(empty_directory(path)?)
        } else {
            Target::Stream(BufWriter::with_capacity(BUFFER_BYTES, writer(path)?))
        };
        Ok(Self {
            target,
            format,
            count: 0,
        })
    }

    /// Writes one message; a million of them are not copied for it.
    pub(crate) fn write(&mut self, generated: &mut Generated) -> io::Result<()> {
        self.count += 1;
        let stream = match &mut self.target {
            Target::Stream(stream) => stream,
            Target::Directory(directory) => {
                let name = format!("{:06}-{}.hl7", self.count, generated.kind);
                return fs::write(directory.join(name), &generated.bytes);
            }
        };
        match self.format {
            Format::BlankLine => {
                if self.count > 1 {
                    stream.write_all(b"\n")?;
                }
                for byte in &mut generated.bytes {
                    *byte = if *byte == b'\r' { b'\n' } else { *byte };
                }
                stream.write_all(&generated.bytes)
            }
            Format::Cr | Format::Dir => stream.write_all(&generated.bytes),
            Format::Mllp => {
                stream.write_all(&[0x0B])?;
                stream.write_all(&generated.bytes)?;
                stream.write_all(&[0x1C, b'\r'])
            }
            Format::Ndjson => {
                let line = json!({
                    "v": 1,
                    "type": generated.kind.as_str(),
                    "controlId": generated.control_id,
                    "accessionNumber": generated.accession_number,
                    "patientId": generated.patient_id,
                    "message": String::from_utf8_lossy(&generated.bytes),
                });
                writeln!(stream, "{line}")
            }
        }
    }

    /// Hands on what is collected.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Stream(stream) => stream.flush(),
            Target::Directory(_) => Ok(()),
        }
    }
}

/// The answers that a broker should give, one JSON object a line.
pub(crate) struct Answers {
    stream: BufWriter<Box<dyn Write>>,
}

impl Answers {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            stream: BufWriter::new(writer(path)?),
        })
    }

    pub(crate) fn write(&mut self, generated: &Generated) -> io::Result<()> {
        let line = json!({
            "v": 1,
            "type": generated.kind.as_str(),
            "controlId": generated.control_id,
            "rule": generated.expected.rule,
            "code": generated.expected.code.as_str(),
            "text": generated.expected.text,
        });
        writeln!(self.stream, "{line}")
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Whether a path means standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn writer(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if is_stdout(path) {
        return Ok(Box::new(io::stdout().lock()));
    }
    let file = File::create(path).with_context(|| {
        format!(
            "cannot write {}: check that its directory exists and is yours, or choose another \
             file with --output",
            path.display()
        )
    })?;
    Ok(Box::new(file))
}

/// A directory without files, made where it is not there.
fn empty_directory(path: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(path).with_context(|| {
        format!(
            "cannot make the directory {}: choose another one with --output",
            path.display()
        )
    })?;
    let mut entries = fs::read_dir(path)
        .with_context(|| format!("cannot read the directory {}", path.display()))?;
    if entries.next().is_some() {
        bail!(
            "the directory {} is not empty: empty it, or choose another one with --output",
            path.display()
        );
    }
    Ok(path.to_path_buf())
}
