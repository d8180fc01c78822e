//! `GET /worklist`: what a modality sees, and why.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::response::Response;
use medsynapse::{AccessionNumber, PersonName};
use medsynapse_store::StoreError;
use medsynapse_worklist::explain::{Mismatch, Origin};
use medsynapse_worklist::live::Live;
use medsynapse_worklist::scp::FindError;
use medsynapse_worklist::table::Level;
use medsynapse_worklist::{Element, Item, Query, View};
use serde::Deserialize;

use crate::address::{self, Address};
use crate::app::{Frame, Modalities, Shared};
use crate::error_page::{render, unavailable};
use crate::wall::{grouped, readable};

/// Longer text names nothing.
const TEXT_MAX: usize = 64;
/// Most items, and most orders that are not shown, on a page.
const SHOWN_MAX: usize = 100;

#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Asked {
    /// Who asks.
    #[serde(default)]
    calling: String,
    /// The key of the Scheduled Station AE Title.
    #[serde(default)]
    aet: String,
    #[serde(default)]
    modality: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    /// The order that is explained.
    #[serde(default)]
    order: String,
}

#[derive(Template)]
#[template(path = "worklist.html")]
struct WorklistPage {
    frame: Frame,
    asked: Asked,
    /// Where it is served, and under which AE title.
    service: Option<(Option<String>, String)>,
    /// The keys of the query, as a modality writes them.
    keys: Vec<(String, &'static str, String)>,
    seen: Seen,
    /// The order that was asked for.
    why: Option<Why>,
}

/// What the modality is answered, and what it is not.
#[derive(Default)]
struct Seen {
    /// Why it gets no answer at all.
    refused: String,
    items: Vec<ItemRow>,
    total: String,
    more: bool,
    missed: Vec<MissedRow>,
    more_missed: bool,
}

struct ItemRow {
    accession_number: String,
    /// The page that explains it.
    address: String,
    current: bool,
    start: String,
    patient: String,
    patient_id: String,
    description: String,
    modality: String,
    station: String,
    status: String,
}

struct MissedRow {
    accession_number: String,
    address: String,
    current: bool,
    reasons: Vec<String>,
}

/// One order, explained.
struct Why {
    accession_number: String,
    order_address: String,
    /// `None`: there is no such order.
    known: Option<Known>,
}

struct Known {
    reasons: Vec<String>,
    tags: Vec<TagRow>,
}

/// An attribute as the modality gets it.
struct TagRow {
    tag: String,
    vr: String,
    keyword: &'static str,
    level: &'static str,
    value: String,
    place: String,
    rule: &'static str,
    warning: Option<&'static str>,
}

impl Asked {
    fn cleaned(self) -> Self {
        let short = |text: String| text.trim().chars().take(TEXT_MAX).collect();
        Self {
            calling: short(self.calling),
            aet: short(self.aet),
            modality: short(self.modality),
            from: short(self.from),
            to: short(self.to),
            order: short(self.order),
        }
    }

    /// Who asks: a modality asks for its own steps, unless somebody else is named.
    fn caller(&self) -> &str {
        if self.calling.is_empty() {
            &self.aet
        } else {
            &self.calling
        }
    }

    /// The day, or the range of days, as DICOM writes it.
    fn days(&self) -> String {
        let (from, to) = (self.from.replace('-', ""), self.to.replace('-', ""));
        match (from.is_empty(), to.is_empty()) {
            (true, true) => String::new(),
            _ if from == to => from,
            _ => format!("{from}-{to}"),
        }
    }

    fn keys(&self) -> Vec<(Element, String)> {
        let keys = [
            (Element::ScheduledStationAETitle, self.aet.clone()),
            (Element::ScheduledProcedureStepStartDate, self.days()),
            (Element::Modality, self.modality.clone()),
        ];
        keys.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }

    /// The same question with this order explained.
    fn explaining(&self, accession_number: &str) -> String {
        let mut address = Address::to("/worklist")
            .with("calling", &self.calling)
            .with("aet", &self.aet)
            .with("modality", &self.modality)
            .with("from", &self.from)
            .with("to", &self.to)
            .with("order", accession_number)
            .done();
        address.push_str("#why");
        address
    }
}

pub(crate) async fn worklist(
    State(shared): State<Arc<Shared>>,
    asked: Result<Parameters<Asked>, QueryRejection>,
) -> Response {
    let asked = asked
        .map(|Parameters(asked)| asked)
        .unwrap_or_default()
        .cleaned();
    let mut page = WorklistPage {
        frame: Frame::of(&shared.app),
        service: None,
        keys: Vec::new(),
        seen: Seen::default(),
        why: None,
        asked,
    };
    let Some(modalities) = shared.app.modalities.clone() else {
        return render(&page);
    };
    let title = modalities.service.access.ae_title.clone();
    page.service = Some((modalities.address.clone(), title));
    let looked = tokio::task::spawn_blocking(move || {
        fill(&mut page, &modalities)?;
        Ok::<_, StoreError>(page)
    });
    match looked.await {
        Ok(Ok(page)) => render(&page),
        Ok(Err(error)) => {
            tracing::error!(%error, "the worklist cannot be read");
            unavailable(&shared)
        }
        Err(_) => unavailable(&shared),
    }
}

fn fill(page: &mut WorklistPage, modalities: &Modalities) -> Result<(), StoreError> {
    let asked = &page.asked;
    let keys = asked.keys();
    page.keys = keys
        .iter()
        .map(|(element, value)| {
            let row = element.row();
            (row.tag.to_string(), row.keyword, value.clone())
        })
        .collect();
    let view = modalities.service.view(asked.caller());
    if let Some(refused) = turned_away(asked.caller(), modalities) {
        page.seen.refused = refused;
    }
    let keys: Vec<(Element, &str)> = keys.iter().map(|(key, value)| (*key, &**value)).collect();
    let query = match Query::of(&keys, view.options) {
        Ok(query) => query,
        Err(invalid) => {
            page.seen.refused =
                format!("The query fails with A900, identifier does not match: {invalid}.");
            return Ok(());
        }
    };
    if page.seen.refused.is_empty() {
        page.seen = seen(asked, &modalities.live, &query, &view)?;
    }
    if !asked.order.is_empty() {
        page.why = Some(why(&asked.order, &modalities.live, &query, &view)?);
    }
    Ok(())
}

/// Why an AE title is not let in at all.
fn turned_away(calling: &str, modalities: &Modalities) -> Option<String> {
    let allowed = &modalities.service.access.allowed_calling;
    let barred =
        !calling.is_empty() && !allowed.is_empty() && !allowed.iter().any(|title| title == calling);
    barred.then(|| {
        format!(
            "The association of {calling} is rejected: calling AE title not recognized. \
             dicom.allow of the configuration does not name it."
        )
    })
}

fn seen(asked: &Asked, live: &Live, query: &Query, view: &View) -> Result<Seen, StoreError> {
    let missed = live.missed(query, view, SHOWN_MAX + 1)?;
    let more_missed = missed.len() > SHOWN_MAX;
    let missed = missed
        .into_iter()
        .take(SHOWN_MAX)
        .map(|(accession_number, reasons)| MissedRow {
            address: asked.explaining(&accession_number),
            current: accession_number == asked.order,
            accession_number,
            reasons: sentences(&reasons),
        })
        .collect();
    let found = match live.find(query, view) {
        Ok(found) => found,
        Err(FindError::TooMany(too_many)) => {
            return Ok(Seen {
                refused: format!("The query fails with A700, out of resources: {too_many}."),
                missed,
                more_missed,
                ..Seen::default()
            });
        }
        Err(FindError::Unavailable(error)) => {
            return Ok(Seen {
                refused: format!("The query fails with C001, unable to process: {error}."),
                ..Seen::default()
            });
        }
    };
    Ok(Seen {
        refused: String::new(),
        total: grouped(found.items.len().try_into().unwrap_or(u64::MAX)),
        more: found.items.len() > SHOWN_MAX,
        items: found
            .items
            .iter()
            .take(SHOWN_MAX)
            .map(|item| item_row(asked, item))
            .collect(),
        missed,
        more_missed,
    })
}

fn item_row(asked: &Asked, item: &Item) -> ItemRow {
    let text = |element| item.get(element).to_owned();
    let accession_number = text(Element::AccessionNumber);
    let start = format!(
        "{}{}",
        item.get(Element::ScheduledProcedureStepStartDate),
        item.get(Element::ScheduledProcedureStepStartTime)
    );
    ItemRow {
        address: asked.explaining(&accession_number),
        current: accession_number == asked.order,
        accession_number,
        start: readable(&start),
        patient: PersonName::from_xpn(item.get(Element::PatientName)).to_string(),
        patient_id: text(Element::PatientID),
        description: text(Element::ScheduledProcedureStepDescription),
        modality: text(Element::Modality),
        station: text(Element::ScheduledStationAETitle).replace('\\', " "),
        status: text(Element::ScheduledProcedureStepStatus),
    }
}

fn why(order: &str, live: &Live, query: &Query, view: &View) -> Result<Why, StoreError> {
    let accession_number = AccessionNumber::try_from(order).ok();
    let known = match &accession_number {
        None => None,
        Some(accession_number) => live
            .why(query, view, accession_number)?
            .zip(live.origins(accession_number)?)
            .map(|(reasons, origins)| Known {
                reasons: sentences(&reasons),
                tags: origins.into_iter().map(tag_row).collect(),
            }),
    };
    Ok(Why {
        accession_number: order.to_owned(),
        order_address: address::order(order),
        known,
    })
}

fn tag_row(origin: Origin) -> TagRow {
    let row = origin.element.row();
    TagRow {
        tag: row.tag.to_string(),
        vr: row.vr.to_string().to_owned(),
        keyword: row.keyword,
        level: match row.level {
            Level::Root => "",
            Level::Step => "step",
            Level::Protocol => "code",
        },
        value: origin.value,
        place: origin.place,
        rule: origin.rule,
        warning: origin.warning,
    }
}

/// Reasons as people read them: each begins with a capital and ends with a full stop.
fn sentences(mismatches: &[Mismatch]) -> Vec<String> {
    mismatches
        .iter()
        .map(|mismatch| {
            let mut letters = mismatch.reason.chars();
            let first = letters.next().map(char::to_uppercase);
            first
                .into_iter()
                .flatten()
                .chain(letters)
                .chain(['.'])
                .collect()
        })
        .collect()
}
