//! `GET /docs/conformance`: what this broker takes and answers, as it is configured.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use medsynapse::Profile;
use medsynapse::map::{MODALITIES, Mapping, ROWS};

use crate::app::{Frame, Shared};
use crate::docs::Book;
use crate::error_page::render;
use crate::names;

#[derive(Template)]
#[template(path = "conformance.html")]
struct ConformancePage {
    frame: Frame,
    book: Book,
    settings: Vec<Setting>,
    fields: Vec<FieldRow>,
    mapping: Mapping,
    responder: String,
    worklist: Option<(String, Option<String>)>,
}

/// A choice that the statement leaves, and how it is made here.
struct Setting {
    what: &'static str,
    here: String,
}

/// An attribute of an order.
struct FieldRow {
    name: &'static str,
    places: String,
    mandatory: bool,
    characters_max: String,
    dicom: String,
    json: &'static str,
}

pub(crate) async fn conformance(State(shared): State<Arc<Shared>>) -> Response {
    let profile = shared.app.broker.profile();
    let responder = &profile.responder;
    render(&ConformancePage {
        book: Book::at("/docs/conformance"),
        settings: settings(profile),
        fields: fields(profile.mapping),
        mapping: profile.mapping,
        responder: format!("{} at {}", responder.application, responder.facility),
        worklist: shared.app.modalities.as_ref().map(|served| {
            let title = served.service.access.ae_title.clone();
            (title, served.address.clone())
        }),
        frame: Frame::of(&shared.app),
    })
}

fn settings(profile: &Profile) -> Vec<Setting> {
    let choice = |what, holds: bool, yes: &str, no: &str| Setting {
        what,
        here: if holds { yes } else { no }.to_owned(),
    };
    vec![
        Setting {
            what: "Profile",
            here: profile.preset.to_string(),
        },
        Setting {
            what: "Field positions",
            here: profile.mapping.to_string(),
        },
        choice(
            "Versions in MSH-12",
            profile.accept_other_versions,
            "2.1 to 2.8, with a warning unless it is 2.3",
            "2.3 alone",
        ),
        choice(
            "Messages on a connection",
            profile.one_message_per_connection,
            "one; the connection is closed after its acknowledgement",
            "as many as come",
        ),
        choice(
            "Connections at a time",
            profile.one_connection,
            "one",
            "many",
        ),
        choice(
            "Reports in rich text (OBX-2 RTF)",
            profile.accept_rich_text,
            "taken",
            "refused with AR",
        ),
        choice(
            "Order control XO",
            profile.accept_change_order,
            "an update of the order",
            "refused with AR",
        ),
        choice(
            "A control ID again, with other content",
            profile.accept_reused_control_id,
            "a new message, with a warning",
            "refused with AR",
        ),
        choice(
            "Values longer than the DICOM value that they become",
            profile.check_lengths,
            "refused with AR",
            "taken",
        ),
        choice(
            "ERR segments with refusals",
            profile.send_err,
            "sent",
            "not sent",
        ),
        Setting {
            what: "Character set where MSH-18 is empty",
            here: profile.default_charset.to_string(),
        },
        Setting {
            what: "Modality codes without a warning",
            here: MODALITIES.join(" "),
        },
    ]
}

fn fields(mapping: Mapping) -> Vec<FieldRow> {
    ROWS.iter()
        .map(|row| {
            let places = row.sources(mapping).iter();
            let places: Vec<String> = places.map(names::place).collect();
            FieldRow {
                name: row.name,
                places: places.join(", else "),
                mandatory: row.is_mandatory(mapping),
                characters_max: row
                    .characters_max
                    .map(|max| max.to_string())
                    .unwrap_or_default(),
                dicom: names::dicom_of(row.attribute).join(", "),
                json: row.json,
            }
        })
        .collect()
}
