//! [`Reporter`]: a line for each message, for people or for programs.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::builder::styling::{AnsiColor, Style};
use hl7_cli::WARNING;
use hl7_message::{Ack, Message};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    link::{Failure, Reply},
    outgoing::{Outgoing, printable},
};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();

/// One message after its last try.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) total: Option<u64>,
    pub(crate) message: &'a Outgoing,
    /// The control id it was sent under.
    pub(crate) id: &'a [u8],
    pub(crate) outcome: &'a Result<Reply, Failure>,
    pub(crate) accepted: bool,
    pub(crate) latency: Duration,
    pub(crate) tries: u32,
    /// The run ends here, with a text of its own for people.
    pub(crate) ends_run: bool,
}

/// How much is said about each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Each {
    Nothing,
    Line,
    Json,
}

/// Says what became of each message: lines on standard error, JSON on standard output. Of the
/// content it shows type and control id, and of the answer code and text.
#[derive(Debug)]
pub(crate) struct Reporter {
    pub(crate) each: Each,
    /// The names of the inputs.
    pub(crate) inputs: Vec<PathBuf>,
    /// Show the whole of each answer under its line.
    pub(crate) answers: bool,
    /// Show how far a long run has come.
    pub(crate) progress: bool,
}

impl Reporter {
    pub(crate) fn sent(&self, sent: &Sent<'_>) {
        // A closed pipe is no reason to stop sending.
        let _ = match self.each {
            Each::Nothing => Ok(()),
            Each::Line if sent.ends_run => Ok(()),
            Each::Line => {
                let mut err = anstream::stderr().lock();
                line(sent, &mut err).and_then(|()| match sent.outcome {
                    Ok(reply) if self.answers => answer(reply, &mut err),
                    _ => Ok(()),
                })
            }
            Each::Json => {
                writeln!(io::stdout().lock(), "{}", object(sent, &self.inputs))
            }
        };
    }

    /// A progress bar, where a person watches and nothing else is said; it hides by itself where
    /// standard error is no terminal.
    pub(crate) fn bar(&self, total: Option<u64>) -> ProgressBar {
        let (bar, template) = match total {
            _ if !self.progress => return ProgressBar::hidden(),
            Some(total) => (
                ProgressBar::new(total),
                "{wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {human_pos} messages  {per_sec}  {elapsed}",
            ),
        };
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    /// Says that a message will be tried again.
    pub(crate) fn retrying(&self, id: &[u8], failure: &Failure, wait: Duration) {
        if self.each == Each::Line {
            let id = printable(id);
            let seconds = wait.as_secs_f64();
            let mut err = anstream::stderr().lock();
            let _ = writeln!(
                err,
                "{DIM}{id}: {}; trying again in {seconds:.1} s{DIM:#}",
                failure.text
            );
        }
    }
}

/// Something a person should know, and that stops nothing.
pub(crate) fn warn(text: &str) {
    anstream::eprintln!("{WARNING}warning:{WARNING:#} {text}");
}

fn line(sent: &Sent<'_>, out: &mut dyn Write) -> io::Result<()> {
    let number = match sent.total {
        Some(total) => format!("{}/{total}", sent.number),
        None => sent.number.to_string(),
    };
    let style = if sent.accepted { GOOD } else { BAD };
    let id = printable(sent.id);
    let kind = &sent.message.kind;
    let what = match sent.outcome {
        Ok(reply) => {
            let text = text(reply);
            let gap = if text.is_empty() { "" } else { "  " };
            format!("{style}{}{style:#}{gap}{text}", reply.code)
        }
        Err(failure) => format!("{style}{}{style:#}", failure.text),
    };
    let tries = if sent.tries > 1 {
        format!(", {} tries", sent.tries)
    } else {
        String::new()
    };
    let millis = millis(sent.latency);
    writeln!(
        out,
        "{number}  {kind}  {id}  {what}  {DIM}({millis:.1} ms{tries}){DIM:#}"
    )
}

/// The segments of an answer, one a line.
fn answer(reply: &Reply, out: &mut dyn Write) -> io::Result<()> {
    let lines = reply.answer.split(|byte| matches!(byte, b'\r' | b'\n'));
    for segment in lines.filter(|line| !line.is_empty()) {
        writeln!(out, "    {DIM}{}{DIM:#}", printable(segment))?;
    }
    Ok(())
}

fn object(sent: &Sent<'_>, inputs: &[PathBuf]) -> Value {
    let (ack, text, error, detail) = match sent.outcome {
        Ok(reply) => (Some(reply.code.as_str()), Some(text(reply)), None, None),
        Err(failure) => (None, None, Some(failure.kind.name()), Some(&failure.text)),
    };
    json!({
        "v": 1,
        "record": "message",
        "number": sent.number,
        "total": sent.total,
        "file": inputs.get(sent.message.file).map(|path| path.to_string_lossy()),
        "offset": sent.message.offset,
        "type": sent.message.kind,
        "controlId": String::from_utf8_lossy(sent.id),
        "accepted": sent.accepted,
        "ack": ack,
        "text": text,
        "error": error,
        "detail": detail,
        "ms": rounded(millis(sent.latency)),
        "tries": sent.tries,
    })
}

/// Says that a message could be sent, without sending it.
pub(crate) fn ready(
    each: Each,
    number: usize,
    total: usize,
    message: &Outgoing,
    inputs: &[PathBuf],
) {
    let bytes = message.bytes.len();
    let id = printable(message.control_id());
    let kind = &message.kind;
    let _ = match each {
        Each::Nothing => Ok(()),
        Each::Line => {
            let mut err = anstream::stderr().lock();
            writeln!(
                err,
                "{number}/{total}  {kind}  {id}  {DIM}({bytes} bytes){DIM:#}"
            )
        }
        Each::Json => {
            let object = json!({
                "v": 1,
                "record": "ready",
                "number": number,
                "total": total,
                "file": inputs.get(message.file).map(|path| path.to_string_lossy()),
                "offset": message.offset,
                "type": kind,
                "controlId": String::from_utf8_lossy(message.control_id()),
                "bytes": bytes,
            });
            writeln!(io::stdout().lock(), "{object}")
        }
    };
}

/// `1 message`, `2 messages`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// `1 message was`, `2 messages were`.
pub(crate) fn were(count: u64, noun: &str) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(count, noun))
}

/// MSA-3, fit to be printed.
fn text(reply: &Reply) -> String {
    let Ok(message) = Message::parse(&reply.answer) else {
        return String::new();
    };
    let Ok(ack) = Ack::parse(&message) else {
        return String::new();
    };
    printable(&ack.text)
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// To three places behind the point, for JSON.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hl7_message::AckCode;

    use super::*;
    use crate::link::FailureKind;

    fn message() -> Outgoing {
        let bytes = Bytes::from_static(b"MSH|^~\\&|A||||||ORM^O01|M\x1B1\r");
        Outgoing {
            control_id: 24..27,
            bytes,
            kind: "ORM^O01".into(),
            file: 0,
            offset: 7,
        }
    }

    fn sent<'a>(message: &'a Outgoing, outcome: &'a Result<Reply, Failure>) -> Sent<'a> {
        let latency = Duration::from_micros(12_345);
        let accepted = outcome.is_ok();
        Sent {
            number: 1,
            total: Some(3),
            message,
            id: message.control_id(),
            outcome,
            accepted,
            latency,
            tries: 2,
            ends_run: false,
        }
    }

    fn plain(outcome: &Result<Reply, Failure>) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        line(&sent(&message(), outcome), &mut out).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    fn reply() -> Reply {
        let answer = Bytes::from_static(b"MSH|^~\\&|P\rMSA|AA|M\x1B1|Order \\F\\ registered.\r");
        Reply {
            code: AckCode::ApplicationAccept,
            answer,
        }
    }

    #[test]
    fn a_line_tells_place_type_id_and_answer() {
        insta::assert_snapshot!(
            plain(&Ok(reply())),
            @"1/3  ORM^O01  M�1  AA  Order | registered.  (12.3 ms, 2 tries)"
        );
        let failure = Failure::new(FailureKind::AckTimeout, "no acknowledgement within 10s");
        insta::assert_snapshot!(
            plain(&Err(failure)),
            @"1/3  ORM^O01  M�1  no acknowledgement within 10s  (12.3 ms, 2 tries)"
        );
    }

    #[test]
    fn an_object_tells_the_same() {
        // The order of members is not ours: it depends on what else is built.
        let mut settings = insta::Settings::clone_current();
        settings.set_sort_maps(true);
        let _sorted = settings.bind_to_scope();
        let message = message();
        let outcome = Ok(reply());
        let object = object(&sent(&message, &outcome), &["a.hl7".into()]);
        insta::assert_json_snapshot!(object, @r#"
        {
          "accepted": true,
          "ack": "AA",
          "controlId": "M\u001b1",
          "detail": null,
          "error": null,
          "file": "a.hl7",
          "ms": 12.345,
          "number": 1,
          "offset": 7,
          "record": "message",
          "text": "Order | registered.",
          "total": 3,
          "tries": 2,
          "type": "ORM^O01",
          "v": 1
        }
        "#);
    }
}
