//! Domain JSON: from messages, and to messages.

use hl7_message::Message;
use medsynapse::domain::{
    Context, Fill, Form, Options, Request, convert, from_message, round_trip, to_message, validate,
};
use medsynapse::render::Envelope;
use medsynapse::{Profile, interpret};
use serde_json::json;

use crate::Target;

/// The ways in of this module.
pub const TARGETS: [Target; 1] = [("domain", domain)];

/// Bytes as a message: it is shown with a warning for what has no member, an accepted one comes
/// back to the same value. Bytes as JSON: refused with places, or a message as the standard
/// writes it in which no text has become a segment.
pub fn domain(data: &[u8]) {
    let context = Context::new(Envelope {
        sending_application: "API",
        sending_facility: "FACILITY",
        receiving_application: "PACS_APP",
        receiving_facility: "PACS_FACILITY",
        time: "20230614131415".parse().expect("a time stamp"),
        control_id: "1",
    });
    let issues = validate(data, &Profile::default()).issues;
    for issue in &issues {
        let end = issue.byte_offset.unwrap_or(0) + issue.length.unwrap_or(0);
        assert!(end <= data.len());
    }
    if let Ok(message) = Message::parse(data) {
        let light = round_trip(data, &context);
        assert!(light.raw);
        let accepted = interpret(&message, &Profile::default()).outcome.is_ok();
        assert!(!accepted || light.domain == Some(true));
        let text = json!({ "message": String::from_utf8_lossy(data) });
        if let Ok(converted) = convert(&text, &context, &Options::default()) {
            let forms = converted.to_json();
            assert!(forms.get("raw").is_some_and(serde_json::Value::is_object));
        }
    }
    match Request::from_slice(data) {
        Err(errors) => assert!(!errors.problems().is_empty()),
        Ok(request) => written(&request, &context),
    }
}

fn written(request: &Request, context: &Context<'_>) {
    for fill in [Fill::Missing, Fill::Nothing] {
        let context = Context { fill, ..*context };
        let (bytes, _) = match to_message(request, &context) {
            Ok(written) => written,
            Err(errors) => {
                assert!(fill == Fill::Missing && !errors.problems().is_empty());
                continue;
            }
        };
        let message = Message::parse_strict(&bytes).expect("what is written is HL7");
        let mut names: Vec<_> = message.segments().map(|s| s.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), message.segment_count());
        assert_eq!(Form::of(&message), Some(request.form()));
        let json = from_message(&message, &Options::default()).expect("it has a form");
        if fill == Fill::Nothing {
            let again = Request::from_value(&json).expect("what was shown can be read");
            let (again, _) = to_message(&again, &context).expect("and written");
            assert_eq!(again, bytes);
        }
    }
}
