//! `GET /generate`: messages of a believable department, to look at and to send.

use std::fmt::Write as _;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::TimeDelta;
use hl7_message::Message;
use medsynapse::synth::{Conformance, Counts, Generated, Kind, Options, Scenario, Synth};
use serde::Deserialize;

use crate::app::{Frame, Shared};
use crate::editor::{self, MESSAGES_MAX};
use crate::error_page::render;
use crate::line::{Line, lines};
use crate::words;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) count: String,
    #[serde(default)]
    pub(crate) scenario: String,
    #[serde(default)]
    pub(crate) profile: String,
    #[serde(default)]
    pub(crate) seed: String,
    #[serde(default)]
    pub(crate) at: String,
}

/// What is to be made: the choices of the page, each within its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// As `hl7-generator --types` calls it.
    pub(crate) kind: &'static str,
    pub(crate) count: usize,
    pub(crate) scenario: &'static str,
    pub(crate) profile: &'static str,
    pub(crate) seed: Option<u64>,
}

pub(crate) const KINDS: [(&str, &str); 5] = [
    ("all", "All four"),
    ("orm", "Orders (ORM^O01)"),
    ("oru", "Reports (ORU^R01)"),
    ("adt_a08", "Patient updates (ADT^A08)"),
    ("adt_a40", "Patient merges (ADT^A40)"),
];
const SCENARIOS: [(&str, &str); 2] = [("workflow", "One story"), ("independent", "Each alone")];
const PROFILES: [(&str, &str); 3] = [
    ("conformant", "As the statement has it"),
    ("edge-cases", "Odd, and accepted"),
    ("violations", "Each breaks one rule"),
];

fn choice(given: &str, of: &[(&'static str, &'static str)]) -> &'static str {
    let found = of.iter().find(|(name, _)| name.eq_ignore_ascii_case(given));
    found.or(of.first()).map_or("", |(name, _)| *name)
}

impl Order {
    pub(crate) fn of(asked: &Asked) -> Self {
        let kind = choice(&asked.kind, &KINDS);
        let kinds = if kind == "all" { 4 } else { 1 };
        let count = asked.count.parse().unwrap_or(5_usize);
        Self {
            kind,
            count: count.clamp(1, MESSAGES_MAX / kinds),
            scenario: choice(&asked.scenario, &SCENARIOS),
            profile: choice(&asked.profile, &PROFILES),
            seed: asked.seed.parse().ok(),
        }
    }

    fn address(&self, at: usize) -> String {
        let mut address = format!(
            "/generate?type={}&count={}&scenario={}&profile={}",
            self.kind, self.count, self.scenario, self.profile
        );
        if let Some(seed) = self.seed {
            let _ = write!(address, "&seed={seed}");
        }
        if at > 1 {
            let _ = write!(address, "&at={at}");
        }
        address
    }

    /// The command line that makes the same kind of messages.
    fn command(&self) -> String {
        let mut command = format!("hl7-generator --types {} --count {}", self.kind, self.count);
        if let Some(seed) = self.seed {
            let _ = write!(command, " --seed {seed}");
        }
        for (option, value) in [("scenario", self.scenario), ("profile", self.profile)] {
            if !matches!(value, "workflow" | "conformant") {
                let _ = write!(command, " --{option} {value}");
            }
        }
        command
    }

    /// Makes them; the same seed on the same day gives the same ones.
    pub(crate) fn make(&self, shared: &Shared, seed: u64) -> Vec<Generated> {
        let kinds: Vec<Kind> = match self.kind {
            "orm" => vec![Kind::Order],
            "oru" => vec![Kind::Report],
            "adt_a08" => vec![Kind::PatientUpdate],
            "adt_a40" => vec![Kind::PatientMerge],
            _ => Kind::MESSAGES.to_vec(),
        };
        let options = Options {
            scenario: match self.scenario {
                "independent" => Scenario::Independent,
                _ => Scenario::Workflow,
            },
            conformance: match self.profile {
                "edge-cases" => Conformance::EdgeCases,
                "violations" => Conformance::Violations,
                _ => Conformance::Conformant,
            },
            ..Options::default()
        };
        // The day begins at seven: a page that is loaded again shows the same messages.
        let clock = shared.app.clock.as_ref();
        let now = clock.now();
        let wall = now.with_timezone(&clock.offset(now));
        let since_midnight = wall.time() - chrono::NaiveTime::MIN;
        let start = clock.timestamp(now - since_midnight + TimeDelta::hours(7));
        let count = u64::try_from(self.count).unwrap_or(1);
        let mut synth = Synth::new(seed, &start, options);
        synth.story(Counts::each(&kinds, count)).collect()
    }
}

#[derive(Template)]
#[template(path = "generate.html")]
struct GeneratePage {
    frame: Frame,
    order: Order,
    seed: u64,
    kinds: &'static [(&'static str, &'static str)],
    scenarios: &'static [(&'static str, &'static str)],
    profiles: &'static [(&'static str, &'static str)],
    made: Option<Made>,
    command: String,
    count_max: usize,
}

/// One of the messages, and all of them.
struct Made {
    at: usize,
    of: usize,
    about: &'static str,
    type_code: String,
    rule: &'static str,
    expected: String,
    lines: Vec<Line>,
    text: String,
    all: String,
    newer: Option<String>,
    older: Option<String>,
}

pub(crate) async fn generate(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let mut order = Order::of(&asked);
    let Some(seed) = order.seed else {
        if asked.kind.is_empty() && asked.count.is_empty() {
            return render(&page(&shared, order, None));
        }
        // The seed goes into the address, so that the page can be shared and loaded again.
        order.seed = Some(fresh_seed(&shared));
        return Redirect::to(&order.address(1)).into_response();
    };
    let all = order.make(&shared, seed);
    let at = asked
        .at
        .parse()
        .unwrap_or(1_usize)
        .clamp(1, all.len().max(1));
    let made = made(&order, &all, at);
    render(&page(&shared, order, made))
}

/// A seed that was not used before: the moment.
pub(crate) fn fresh_seed(shared: &Shared) -> u64 {
    u64::try_from(shared.app.clock.now().timestamp_micros()).unwrap_or(1) % 1_000_000_000
}

fn made(order: &Order, all: &[Generated], at: usize) -> Option<Made> {
    let one = all.get(at - 1)?;
    let text = editor::text(&one.bytes);
    let message = Message::parse(&one.bytes).ok();
    let header = |path: &str| {
        let place = path.parse().ok();
        let raw = message
            .as_ref()
            .zip(place)
            .and_then(|(message, at)| message.raw(at));
        String::from_utf8_lossy(raw.unwrap_or_default()).into_owned()
    };
    let (code, event) = (header("MSH-9.1"), header("MSH-9.2"));
    let said = one.expected.text.as_deref().unwrap_or_default();
    Some(Made {
        at,
        of: all.len(),
        about: words::of(&code, &event, said).words,
        type_code: words::type_code(&code, &event),
        rule: if order.profile == "conformant" {
            ""
        } else {
            one.expected.rule
        },
        expected: match &one.expected.text {
            Some(text) => format!("{} {text}", one.expected.code),
            None => one.expected.code.to_string(),
        },
        lines: lines(&one.bytes).0,
        all: all
            .iter()
            .map(|one| editor::text(&one.bytes) + "\n")
            .collect(),
        text,
        newer: (at > 1).then(|| order.address(at - 1)),
        older: (at < all.len()).then(|| order.address(at + 1)),
    })
}

fn page(shared: &Shared, order: Order, made: Option<Made>) -> GeneratePage {
    GeneratePage {
        frame: Frame::of(&shared.app),
        seed: order.seed.unwrap_or_default(),
        command: order.command(),
        kinds: &KINDS,
        scenarios: &SCENARIOS,
        profiles: &PROFILES,
        made,
        count_max: MESSAGES_MAX,
        order,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_choices_become_possible_ones() {
        let asked = Asked {
            kind: "XYZ".into(),
            count: "1000000".into(),
            profile: "VIOLATIONS".into(),
            seed: "-1".into(),
            ..Asked::default()
        };
        let order = Order::of(&asked);
        assert_eq!((order.kind, order.count), ("all", MESSAGES_MAX / 4));
        assert_eq!((order.profile, order.seed), ("violations", None));
    }

    #[test]
    fn the_command_line_says_the_same() {
        let order = Order {
            kind: "orm",
            count: 3,
            scenario: "independent",
            profile: "conformant",
            seed: Some(7),
        };
        assert_eq!(
            order.command(),
            "hl7-generator --types orm --count 3 --seed 7 --scenario independent"
        );
        assert_eq!(
            order.address(2),
            "/generate?type=orm&count=3&scenario=independent&profile=conformant&seed=7&at=2"
        );
    }
}
