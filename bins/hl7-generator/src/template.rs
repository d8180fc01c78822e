//! [`Template`]: messages in a shape that the person wrote, with the values of generated ones.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use hl7_message::{Location, Message};
use medsynapse::synth::Generated;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, context};

/// A text with `{{ field("PID-5.1") }}`, `{{ control_id }}` and the like, in the syntax of Jinja.
///
/// Values are put in as they are written in the generated message: escaped already.
pub(crate) struct Template {
    environment: Environment<'static>,
}

const NAME: &str = "template";

impl Template {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| {
            format!(
                "cannot read the template {}: name a text file in UTF-8",
                path.display()
            )
        })?;
        Self::new(text).with_context(|| format!("in the template {}", path.display()))
    }

    fn new(text: String) -> anyhow::Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_template_owned(NAME, text).map_err(told)?;
        Ok(Self { environment })
    }

    /// The message that the template makes of a generated one; `number` counts from 1.
    pub(crate) fn apply(&self, generated: &Generated, number: u64) -> anyhow::Result<Vec<u8>> {
        let bytes: Arc<[u8]> = generated.bytes.as_slice().into();
        let field = Value::from_function(move |place: &str| field(&bytes, place));
        let text = self
            .environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    number,
                    type => generated.kind.as_str(),
                    control_id => generated.control_id.as_str(),
                    accession_number => generated.accession_number.clone(),
                    patient_id => generated.patient_id.clone(),
                    field,
                })
            })
            .map_err(told)?;
        let mut message = Vec::with_capacity(text.len());
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            message.extend_from_slice(line.trim_start().as_bytes());
            message.push(b'\r');
        }
        if let Err(error) = Message::parse(&message) {
            bail!("the template gives no HL7 message ({error}): begin it with an MSH segment");
        }
        Ok(message)
    }
}

/// What stands at a place of the message, as it is written; nothing where there is nothing.
fn field(bytes: &[u8], place: &str) -> Result<String, Error> {
    let wrong =
        |error: &dyn std::fmt::Display| Error::new(ErrorKind::InvalidOperation, error.to_string());
    let location: Location = place.parse().map_err(|error| wrong(&error))?;
    let message = Message::parse(bytes).map_err(|error| wrong(&error))?;
    let raw = message.raw(location).unwrap_or_default();
    Ok(String::from_utf8_lossy(raw).into_owned())
}

/// The reason and the line, in one line.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn told(error: Error) -> anyhow::Error {
    let detail = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => anyhow::anyhow!("line {line}: {detail}"),
        None => anyhow::anyhow!("{detail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medsynapse::synth::{Counts, Kind, Options, Synth};

    fn generated() -> Generated {
        let start = "20260105070000".parse().unwrap();
        let mut synth = Synth::new(1, &start, Options::default());
        synth.story(Counts::each(&[Kind::Order], 1)).next().unwrap()
    }

    #[track_caller]
    fn refused(text: &str, words: &str) {
        let template = Template::new(text.to_owned());
        let error = template
            .and_then(|template| template.apply(&generated(), 1))
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn values_go_where_the_template_wants_them() {
        let template = "MSH|^~\\&|A|B|||{{ field('MSH-7') }}||ORM^O01|{{ control_id }}|P|2.3\n\
                        PID|{{ number }}||{{ patient_id }}||{{ field('PID-5.1') }}\n\n\
                        {% if type == 'orm' %}ORC|NW{% endif %}\n";
        let generated = generated();
        let made = Template::new(template.to_owned())
            .unwrap()
            .apply(&generated, 7)
            .unwrap();
        let message = Message::parse(&made).unwrap();
        let source = Message::parse(&generated.bytes).unwrap();
        for place in ["MSH-7", "MSH-10", "PID-3", "PID-5.1"] {
            let place = place.parse().unwrap();
            assert_eq!(message.raw(place), source.raw(place));
        }
        assert!(made.windows(6).any(|bytes| bytes == b"PID|7|"));
        assert!(made.ends_with(b"\rORC|NW\r"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        refused("MSH|^~\\&|\n{{ nonsense }}", "line 2");
        refused("MSH|^~\\&|{{ field('pid-5') }}", "not a location");
        refused("MSH|^~\\&|{% if %}", "line 1");
        refused("PID|1", "begin it with an MSH segment");
    }
}
