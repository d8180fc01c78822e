//! [`Broken`]: what can be made wrong with a message before it is sent.

use hl7_message::Message;
use hl7_mllp::broken::Break;
use medsynapse::synth::{Kind, Synth};

/// What is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The bytes on the wire.
    Wire(Break),
    /// A rule of the broker, which messages of this type can break.
    Rule(Kind, &'static str),
}

/// A part of the menu.
pub(crate) struct Menu {
    pub(crate) title: &'static str,
    /// Value of the form and words.
    pub(crate) entries: Vec<(String, String)>,
}

/// Everything that can be made wrong.
pub(crate) fn menu() -> Vec<Menu> {
    let wire = Break::ALL.map(|how| (Broken::Wire(how).name(), how.about().to_owned()));
    let wire = Menu {
        title: "On the wire",
        entries: wire.into(),
    };
    let kinds = Kind::MESSAGES.map(|kind| Menu {
        title: match kind {
            Kind::Order => "In an order (ORM^O01)",
            Kind::Report => "In a report (ORU^R01)",
            Kind::PatientUpdate => "In a patient update (ADT^A08)",
            Kind::PatientMerge => "In a patient merge (ADT^A40)",
            Kind::Acknowledgement => "In an acknowledgement",
        },
        entries: Synth::rules(kind)
            .map(|rule| (Broken::Rule(kind, rule).name(), words(rule)))
            .collect(),
    });
    std::iter::once(wire).chain(kinds).collect()
}

/// The name of a rule as people say it.
fn words(rule: &str) -> String {
    let mut letters = rule.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let text: String = first.into_iter().chain(letters).collect();
    text.replace('-', " ")
        .replace("ae title", "AE title")
        .replace(" obr", " OBR")
        .replace(" pid", " PID")
        .replace(" pv1", " PV1")
        .replace(" obx", " OBX")
        .replace(" mrg", " MRG")
}

impl Broken {
    /// Its value in the form.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Wire(how) => how.as_str().to_owned(),
            Self::Rule(kind, rule) => format!("{kind}:{rule}"),
        }
    }

    /// Reads the value of a form.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        if let Ok(how) = name.parse() {
            return Some(Self::Wire(how));
        }
        let (kind, rule) = name.split_once(':')?;
        let kind: Kind = kind.parse().ok()?;
        let rule = Synth::rules(kind).find(|known| *known == rule)?;
        Some(Self::Rule(kind, rule))
    }

    /// What it is and what should come of it.
    pub(crate) fn about(self) -> String {
        match self {
            Self::Wire(how) => how.about().to_owned(),
            Self::Rule(_, rule) => format!("{}; AR", words(rule)),
        }
    }

    /// The message as it is sent: a break of the wire comes later. `None`: it is of another type.
    pub(crate) fn apply(self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Wire(_) => Some(message.to_vec()),
            Self::Rule(kind, rule) => {
                let parsed = Message::parse(message).ok()?;
                let header = parsed.header();
                let fits = match (header.message_code(), header.trigger_event()) {
                    (b"ORM", _) => kind == Kind::Order,
                    (b"ORU", _) => kind == Kind::Report,
                    (b"ADT", b"A08") => kind == Kind::PatientUpdate,
                    (b"ADT", b"A40") => kind == Kind::PatientMerge,
                    _ => false,
                };
                fits.then(|| Synth::broken(kind, message, rule)).flatten()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_on_the_menu_is_known_again() {
        let menu = menu();
        assert_eq!(menu.len(), 5);
        for (name, words) in menu.iter().flat_map(|part| &part.entries) {
            let broken = Broken::from_name(name).unwrap();
            assert_eq!(broken.name(), *name);
            assert!(broken.about().starts_with(words), "{words}");
        }
        assert_eq!(Broken::from_name("orm:no-such-rule"), None);
        assert_eq!(Broken::from_name(""), None);
        assert_eq!(words("missing-ae-title"), "Missing AE title");
    }

    #[test]
    fn a_rule_is_broken_in_messages_of_its_type_alone() {
        let order = b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3\rPID|1||7\rORC|NW\r";
        let rule = Broken::from_name("orm:missing-pid").unwrap();
        assert!(
            !rule
                .apply(order)
                .unwrap()
                .windows(4)
                .any(|part| part == b"PID|")
        );
        assert_eq!(Broken::from_name("oru:two-obx").unwrap().apply(order), None);
        assert_eq!(rule.apply(b"nothing"), None);
    }
}
