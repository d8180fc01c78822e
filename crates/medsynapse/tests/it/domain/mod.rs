//! Domain JSON, both ways.

mod acknowledgements;
mod convert;
mod errors;
mod fills;
mod golden;
mod laws;
mod published;
mod reading;

use hl7_message::Message;
use medsynapse::domain::{Context, Errors, Explain, Options, Request, from_message, to_message};
use medsynapse::render::Envelope;
use serde_json::Value;

/// Names, control id and time of the golden order.
pub(crate) fn context() -> Context<'static> {
    Context::new(Envelope {
        sending_application: "API_GATEWAY",
        sending_facility: "FACILITY",
        receiving_application: "PACS_APP",
        receiving_facility: "PACS_FACILITY",
        time: "20230614131415".parse().unwrap(),
        control_id: "MSG123",
    })
}

/// The message that JSON asks for, one segment a line.
pub(crate) fn written(json: &Value, context: &Context<'_>) -> Result<(String, Explain), Errors> {
    let request = Request::from_slice(json.to_string().as_bytes())?;
    let (bytes, explain) = to_message(&request, context)?;
    let text = String::from_utf8(bytes).unwrap().replace('\r', "\n");
    Ok((text, explain))
}

/// The domain JSON of a message, written one segment a line.
pub(crate) fn shown(lines: &str) -> Value {
    shown_with(lines, &Options::default())
}

pub(crate) fn shown_with(lines: &str, options: &Options) -> Value {
    let bytes = lines.replace('\n', "\r").into_bytes();
    from_message(&Message::parse(&bytes).unwrap(), options).unwrap()
}

/// Codes and paths of the warnings of an answer.
pub(crate) fn warnings(json: &Value) -> Vec<String> {
    let list = json["warnings"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    list.iter()
        .map(|entry| format!("{} {}", text(entry, "code"), text(entry, "path")))
        .collect()
}

/// The files of the corpus of others; without it a word, and nothing is tested.
#[expect(
    clippy::disallowed_methods,
    reason = "where the corpus is, only the environment knows"
)]
pub(crate) fn corpus_files() -> Option<Vec<(String, Vec<u8>)>> {
    let Ok(root) = std::env::var("HL7_CORPUS") else {
        println!("HL7_CORPUS is not set: skipped");
        return None;
    };
    let manifest = std::path::Path::new(&root).join("manifest.tsv");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    let names = manifest
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next());
    let read = |name: &str| {
        let bytes = std::fs::read(std::path::Path::new(&root).join(name)).unwrap();
        (name.to_owned(), bytes)
    };
    Some(names.map(read).collect())
}
