use std::collections::{BTreeMap, BTreeSet};

use hl7_message::{AckCode, Charset, Message};
use proptest::prelude::*;

use super::*;
use crate::{Attribute, Change, Effect, OrderControl, Preset, Profile, interpret};

/// The rules of the broker about what is known, written down a second time.
#[derive(Default)]
struct Broker {
    /// Accession number to patient id.
    orders: BTreeMap<String, String>,
    reports: BTreeSet<String>,
    control_ids: BTreeSet<String>,
    /// Patient ids that were merged away.
    gone: BTreeSet<String>,
    /// Accession numbers that were cancelled.
    cancelled: BTreeSet<String>,
}

impl Broker {
    #[track_caller]
    fn take(&mut self, generated: &Generated, profile: &Profile) -> Effect {
        assert!(
            self.control_ids.insert(generated.control_id.clone()),
            "a control id twice"
        );
        let message = Message::parse(&generated.bytes).unwrap();
        assert_eq!(
            message.header().control_id().as_bytes(),
            generated.control_id.as_bytes()
        );
        let interpretation = interpret(&message, profile);
        if generated.expected.rule == "conformant" {
            assert_eq!(interpretation.warnings, []);
        }
        let change = interpretation
            .outcome
            .unwrap_or_else(|refusal| panic!("{generated:?}: {refusal}"));
        let effect = self.apply(change);
        assert_eq!(effect.code(), generated.expected.code);
        if let Some(text) = &generated.expected.text {
            assert_eq!(effect.text(), *text);
        }
        effect
    }

    fn apply(&mut self, change: Change) -> Effect {
        let is_used =
            |gone: &BTreeSet<String>, id: &str| assert!(!gone.contains(id), "an id that went");
        match change {
            Change::RegisterOrder(order) => {
                is_used(&self.gone, order.patient_id.as_str());
                let key = order.accession_number.as_str().to_owned();
                assert!(
                    !self.cancelled.contains(&key),
                    "an order that was cancelled"
                );
                let known = self.orders.contains_key(&key);
                if !known && order.control == OrderControl::Change {
                    return Effect::UnknownOrder(order.accession_number);
                }
                self.orders
                    .insert(key, order.patient_id.as_str().to_owned());
                if known {
                    Effect::OrderUpdated
                } else {
                    Effect::OrderRegistered
                }
            }
            Change::CancelOrder(order) => match self.orders.remove(order.as_str()) {
                Some(_) => {
                    self.cancelled.insert(order.as_str().to_owned());
                    Effect::OrderCancelled
                }
                None => Effect::UnknownOrder(order),
            },
            Change::CompleteOrder(order) if self.orders.contains_key(order.as_str()) => {
                Effect::OrderCompleted
            }
            Change::CompleteOrder(order) => Effect::UnknownOrder(order),
            Change::StoreReport(report) => {
                is_used(&self.gone, report.patient_id.as_str());
                let key = report.accession_number.as_str();
                assert!(
                    !self.cancelled.contains(key),
                    "a report on an order that was cancelled"
                );
                if let Some(patient) = self.orders.get(key) {
                    assert_eq!(patient, report.patient_id.as_str());
                }
                if self.reports.insert(key.to_owned()) {
                    Effect::ReportRegistered
                } else {
                    Effect::ReportUpdated
                }
            }
            Change::UpdatePatient(update) => {
                is_used(&self.gone, update.patient_id.as_str());
                Effect::PatientUpdated {
                    orders: self.orders_of(update.patient_id.as_str()),
                }
            }
            Change::MergePatient(merge) => {
                let (from, into) = (merge.from.as_str(), merge.into.as_str());
                is_used(&self.gone, from);
                is_used(&self.gone, into);
                let orders = self.orders_of(from);
                for patient in self.orders.values_mut().filter(|patient| *patient == from) {
                    into.clone_into(patient);
                }
                self.gone.insert(from.to_owned());
                Effect::PatientMerged { orders }
            }
        }
    }

    fn orders_of(&self, patient: &str) -> u64 {
        self.orders.values().filter(|id| *id == patient).count() as u64
    }
}

fn start() -> Timestamp {
    "20260105070000".parse().unwrap()
}

fn run(seed: u64, options: Options, counts: Counts) -> Vec<Generated> {
    Synth::new(seed, &start(), options).story(counts).collect()
}

#[track_caller]
fn all_accepted(seed: u64, options: &Options, counts: Counts) -> BTreeMap<String, u32> {
    let preset = if options.strict {
        Preset::MedsynapseStrict
    } else {
        Preset::Medsynapse
    };
    let profile = preset.into();
    let mut broker = Broker::default();
    let mut effects = BTreeMap::new();
    let mut synth = Synth::new(seed, &start(), options.clone());
    let mut made = Counts::default();
    for generated in synth.story(counts) {
        made = made.with(generated.kind, made.of(generated.kind) + 1);
        if generated.kind == Kind::Acknowledgement {
            continue;
        }
        let effect = broker.take(&generated, &profile);
        let known = options.scenario == Scenario::Workflow && counts.of(Kind::Order) > 0;
        match effect {
            Effect::PatientUpdated { orders } | Effect::PatientMerged { orders } if known => {
                assert!(orders > 0, "seed {seed}: {generated:?} speaks of nobody");
            }
            _ => {}
        }
        let text = effect
            .text()
            .chars()
            .filter(|c| !c.is_ascii_digit())
            .collect();
        *effects.entry(text).or_insert(0) += 1;
    }
    assert_eq!(made, counts);
    effects
}

#[test]
fn a_broker_takes_every_message_of_many_runs() {
    for seed in 0..60 {
        all_accepted(seed, &Options::default(), Counts::each(&Kind::MESSAGES, 5));
    }
    for seed in 0..6 {
        let counts = Counts::of_a_day(&Kind::ALL, 3000);
        all_accepted(1 << 40 | seed, &Options::default(), counts);
    }
}

#[test]
fn a_long_day_has_everything_that_happens() {
    let effects = all_accepted(
        3,
        &Options::default(),
        Counts::of_a_day(&Kind::MESSAGES, 4000),
    );
    for text in [
        "Order registered.",
        "Order updated.",
        "Order cancelled.",
        "Order completed.",
        "Report registered.",
        "Report updated.",
        "Patient information updated in  orders.",
        "Patient merged,  orders moved.",
    ] {
        assert!(
            effects.get(text).copied().unwrap_or(0) > 20,
            "{text}: {effects:?}"
        );
    }
}

#[test]
fn the_strict_broker_takes_every_message_too() {
    let options = Options {
        strict: true,
        ..Options::default()
    };
    all_accepted(5, &options, Counts::of_a_day(&Kind::MESSAGES, 2000));
}

#[test]
fn what_is_ordered_fits_the_patient_and_the_station() {
    let counts = Counts::of_a_day(&[Kind::Order], 4000);
    let mut modalities = BTreeSet::new();
    for generated in run(21, Options::default(), counts) {
        let message = Message::parse(&generated.bytes).unwrap();
        let Change::RegisterOrder(order) =
            interpret(&message, &Profile::default()).outcome.unwrap()
        else {
            continue;
        };
        let text = |attribute| order.patches.text(attribute).unwrap_or_default().to_owned();
        let modality = text(Attribute::Modality);
        let station = text(Attribute::ScheduledStationAeTitle);
        let stations = department::stations(&modality);
        assert!(
            stations.iter().any(|known| known.ae_title == station),
            "{station}"
        );
        let step = text(Attribute::ScheduledProcedureStepId);
        let procedure = procedures::PROCEDURES
            .iter()
            .find(|known| known.code == step)
            .unwrap();
        let sex = text(Attribute::PatientSex);
        match procedure.who {
            procedures::Who::Anyone => {}
            procedures::Who::Women => assert_eq!(sex, "F"),
            procedures::Who::Men => assert_eq!(sex, "M"),
        }
        if let Some(year) = text(Attribute::PatientBirthDate).get(..4) {
            let age = 2026 - year.parse::<u32>().unwrap();
            let (first, last) = procedure.ages;
            assert!((first..=last + 2).contains(&age), "{step} at {age}");
        }
        modalities.insert(modality);
    }
    assert_eq!(modalities.len(), crate::map::MODALITIES.len());
}

#[test]
fn reports_have_lines_and_delimiters() {
    let counts = Counts::of_a_day(&[Kind::Order, Kind::Report], 1500);
    let mut characters = BTreeSet::new();
    for generated in run(22, Options::default(), counts) {
        let message = Message::parse(&generated.bytes).unwrap();
        let outcome = interpret(&message, &Profile::default()).outcome;
        if let Ok(Change::StoreReport(report)) = outcome {
            let text = report.text;
            assert!(
                text.lines().count() > 8 && text.contains("\nIMPRESSION\n"),
                "{text}"
            );
            characters.extend(text.chars());
        }
    }
    for delimiter in ['|', '^', '&', '~', '\\'] {
        assert!(characters.contains(&delimiter), "{delimiter}");
    }
}

#[test]
fn messages_that_stand_alone_are_taken() {
    let options = Options {
        scenario: Scenario::Independent,
        ..Options::default()
    };
    let effects = all_accepted(5, &options, Counts::each(&Kind::ALL, 200));
    assert_eq!(effects.get("Order registered."), Some(&200));
    assert_eq!(effects.get("Report registered."), Some(&200));
}

#[test]
fn odd_messages_are_taken() {
    for strict in [false, true] {
        let options = Options {
            conformance: Conformance::EdgeCases,
            strict,
            ..Options::default()
        };
        let counts = Counts::each(&Kind::MESSAGES, 100);
        all_accepted(1, &options, counts);
        if !strict {
            let made = run(1, options, counts);
            for rule in edge_cases::rules() {
                assert!(
                    made.iter().any(|generated| generated.expected.rule == rule),
                    "{rule}"
                );
            }
        }
    }
}

#[test]
fn each_violation_gets_the_answer_that_its_rule_asks_for() {
    let options = Options {
        conformance: Conformance::Violations,
        ..Options::default()
    };
    let mut found = BTreeSet::new();
    for generated in run(1, options, Counts::each(&Kind::MESSAGES, 40)) {
        let refusal = match Message::parse(&generated.bytes) {
            Err(_) => None,
            Ok(message) => match interpret(&message, &Profile::default()).outcome {
                Err(rejection) => Some(rejection.text),
                Ok(change) => {
                    let effect = Broker::default().apply(change);
                    assert_eq!(effect.code(), AckCode::ApplicationReject, "{generated:?}");
                    Some(effect.text())
                }
            },
        };
        assert_eq!(generated.expected.code, AckCode::ApplicationReject);
        if let Some(text) = &generated.expected.text {
            assert_eq!(refusal.as_deref(), Some(&**text), "{generated:?}");
        }
        found.insert(generated.expected.rule);
    }
    assert!(
        Kind::MESSAGES
            .into_iter()
            .flat_map(Synth::rules)
            .all(|rule| found.contains(rule))
    );
}

#[test]
fn character_sets_are_written_as_they_say() {
    for name in [
        "8859/1",
        "8859/2",
        "8859/5",
        "8859/7",
        "8859/9",
        "UNICODE UTF-8",
    ] {
        let charset = Charset::from_msh18(name.as_bytes()).unwrap();
        let options = Options {
            charset,
            ..Options::default()
        };
        let counts = Counts::of_a_day(&Kind::MESSAGES, 300);
        all_accepted(8, &options, counts);
        let messages = run(8, options, counts);
        let special: Vec<_> = messages.iter().filter(|m| !m.bytes.is_ascii()).collect();
        assert!(special.len() > 60, "{name}: {}", special.len());
        for generated in special {
            let message = Message::parse(&generated.bytes).unwrap();
            assert_eq!(message.header().character_set().as_bytes(), name.as_bytes());
        }
    }
    let ascii = run(8, Options::default(), Counts::each(&Kind::ALL, 100));
    assert!(ascii.iter().all(|generated| generated.bytes.is_ascii()));
}

#[test]
fn a_story_goes_on_where_it_stopped() {
    let mut synth = Synth::new(11, &start(), Options::default());
    let mut broker = Broker::default();
    for counts in [
        Counts::default().with(Kind::Order, 10),
        Counts::default().with(Kind::Report, 3),
        Counts::default().with(Kind::PatientMerge, 2),
        Counts::each(&Kind::MESSAGES, 20),
    ] {
        for generated in synth.story(counts) {
            broker.take(&generated, &Profile::default());
        }
    }
}

#[test]
fn times_go_forward_and_keep_their_offset() {
    let start = "20260105070000+0530".parse().unwrap();
    let mut synth = Synth::new(4, &start, Options::default());
    let mut last = String::new();
    for generated in synth.story(Counts::each(&Kind::ALL, 40)) {
        let message = Message::parse(&generated.bytes).unwrap();
        let time = String::from_utf8(message.header().date_time().as_bytes().to_vec()).unwrap();
        assert!(
            time.ends_with("+0530") && time >= last,
            "{time} after {last}"
        );
        last = time;
    }
}

#[test]
fn ids_of_two_seeds_do_not_meet() {
    let ids = |seed| -> BTreeSet<String> {
        let messages = run(seed, Options::default(), Counts::each(&Kind::MESSAGES, 50));
        messages
            .into_iter()
            .flat_map(|m| [Some(m.control_id), m.accession_number, m.patient_id])
            .flatten()
            .collect()
    };
    assert!(ids(1).is_disjoint(&ids(2)));
}

/// Messages of a seed are part of what users rely on: this picture changes with intent alone.
#[test]
fn the_bytes_of_a_seed_never_change() {
    let mut text = String::new();
    for generated in run(42, Options::default(), Counts::each(&Kind::ALL, 3)) {
        text += &String::from_utf8(generated.bytes)
            .unwrap()
            .replace('\r', "\n");
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn debug_shows_no_person() {
    let messages = run(1, Options::default(), Counts::each(&Kind::MESSAGES, 2));
    for generated in messages {
        let shown = format!("{generated:?}");
        assert!(!shown.contains(generated.patient_id.as_deref().unwrap()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_mix_of_any_seed_is_taken(
        seed in any::<u64>(),
        counts in proptest::array::uniform5(0_u64..25),
        strict in any::<bool>(),
        scenario in prop_oneof![Just(Scenario::Workflow), Just(Scenario::Independent)],
    ) {
        let options = Options { scenario, strict, ..Options::default() };
        let counts = Kind::ALL
            .into_iter()
            .zip(counts)
            .fold(Counts::default(), |all, (kind, count)| all.with(kind, count));
        all_accepted(seed, &options, counts);
        prop_assert_eq!(run(seed, options.clone(), counts), run(seed, options, counts));
    }
}
