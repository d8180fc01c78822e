//! The program in a directory of its own.

use std::path::PathBuf;

use assert_cmd::Command;
use hl7_message::{Message, chunks};
use tempfile::TempDir;

pub(crate) struct Program {
    directory: TempDir,
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}

impl Program {
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs it with these arguments, apart by blanks.
    pub(crate) fn run(&self, arguments: &str) -> Run {
        self.run_each(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// The program itself, to start it without waiting for its end.
    pub(crate) fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("hl7-generator"));
        command.current_dir(self.directory.path());
        command
    }

    pub(crate) fn run_each(&self, arguments: &[&str]) -> Run {
        let output = Command::cargo_bin("hl7-generator")
            .unwrap()
            .current_dir(self.directory.path())
            .args(arguments)
            .output()
            .unwrap();
        Run {
            code: output.status.code().unwrap(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it, and it has to succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &str) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments}: {}", run.stderr);
        run
    }

    /// Runs it, and it has to fail with 2 and these words.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &str, words: &str) {
        let run = self.run(arguments);
        assert_eq!(run.code, 2, "{arguments}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{arguments}: {}", run.stderr);
    }
}

/// The messages of the default format, segments ended with CR again.
#[track_caller]
pub(crate) fn messages(text: &str) -> Vec<String> {
    text.split("\n\n")
        .filter(|part| !part.is_empty())
        .map(|part| {
            let mut message = part.trim_end_matches('\n').replace('\n', "\r");
            message.push('\r');
            Message::parse(message.as_bytes()).unwrap();
            message
        })
        .collect()
}

/// MSH-9 of every message.
#[track_caller]
pub(crate) fn types(messages: &[String]) -> Vec<String> {
    messages
        .iter()
        .map(|message| {
            let message = Message::parse(message.as_bytes()).unwrap();
            let (code, event) = (
                message.header().message_code(),
                message.header().trigger_event(),
            );
            format!(
                "{}^{}",
                String::from_utf8_lossy(code),
                String::from_utf8_lossy(event)
            )
        })
        .collect()
}

/// Messages in a stream of CR-terminated segments.
pub(crate) fn count_in_stream(bytes: &[u8]) -> usize {
    chunks(bytes).count()
}
