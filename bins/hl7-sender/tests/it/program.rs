//! Running the binary.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Fails the test with everything that was printed unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.out, self.err
        );
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "no {text:?} in:\n{}", self.err);
        self
    }

    /// The last line of standard output.
    #[track_caller]
    pub(crate) fn ends_with(self, line: &str) -> Self {
        assert_eq!(self.out.lines().last(), Some(line), "stderr:\n{}", self.err);
        self
    }

    /// What a person reads, without what changes from run to run.
    pub(crate) fn stable(&self, port: u16) -> String {
        let text = self.err.replace(&port.to_string(), "PORT");
        let mut out = String::new();
        for line in text.lines() {
            let line = match line.rsplit_once("  (") {
                Some((rest, tail)) if tail.ends_with(')') && tail.contains(" ms") => rest,
                _ => line,
            };
            out.push_str(line);
            out.push('\n');
        }
        out
    }
}

/// The binary, in an environment that says nothing to it.
pub(crate) fn sender() -> Command {
    let mut command = Command::cargo_bin("hl7-sender").unwrap();
    for name in [
        "HL7_SERVER_HOST",
        "HL7_SERVER_PORT",
        "HL7_API_ENDPOINT",
        "HL7_API_KEY",
        "NO_COLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(name);
    }
    command.timeout(std::time::Duration::from_mins(1));
    command
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A directory with files for one test.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A file of `count` messages with the ids M1, M2, …
    pub(crate) fn messages(&self, count: usize) -> PathBuf {
        let messages: Vec<_> = (1..=count).map(message).collect();
        self.write("messages.txt", messages.join("\n"))
    }
}

/// Message `n` as a text file holds it.
pub(crate) fn message(n: usize) -> String {
    format!("MSH|^~\\&|RIS|H|PACS|R|20240301||ORM^O01|M{n}|P|2.3\nPID|1||P{n}||DOE^JANE\n")
}

/// Sends a file to a port of this machine.
pub(crate) fn send(file: &Path, port: u16, more: &[&str]) -> Ran {
    let mut command = sender();
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--input",
    ]);
    run(command.arg(file).args(more))
}
