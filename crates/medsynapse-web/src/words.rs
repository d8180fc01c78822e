//! What a message is about, in words.

use medsynapse::Effect;

/// A message type in words, and the family that its mark has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) words: &'static str,
    pub(crate) family: &'static str,
}

/// What a message of this type is; with the answer, what became of it.
pub(crate) fn of(code: &str, event: &str, ack_text: &str) -> Words {
    let became = |choices: &[(Effect, &'static str)], otherwise| {
        let found = choices.iter().find(|(effect, _)| effect.text() == ack_text);
        found.map_or(otherwise, |(_, words)| *words)
    };
    let (words, family) = match (code, event) {
        ("ORM", _) => {
            let orders = [
                (Effect::OrderRegistered, "New order"),
                (Effect::OrderUpdated, "Order update"),
                (Effect::OrderCancelled, "Order cancelled"),
                (Effect::OrderCompleted, "Order completed"),
            ];
            (became(&orders, "Order"), "order")
        }
        ("ORU", _) => {
            let reports = [
                (Effect::ReportRegistered, "New report"),
                (Effect::ReportUpdated, "Report update"),
            ];
            (became(&reports, "Report"), "report")
        }
        ("ADT", "A08") => ("Patient update", "patient"),
        ("ADT", "A40") => ("Patient merge", "patient"),
        ("ADT", _) => ("Patient event", "patient"),
        ("ACK", _) => ("Acknowledgement", "other"),
        ("", _) => ("Unreadable", "other"),
        _ => ("Other message", "other"),
    };
    Words { words, family }
}

/// The messages of a code, for filters.
pub(crate) fn plural(code: &str) -> &'static str {
    match code {
        "ORM" => "Orders",
        "ORU" => "Reports",
        "ADT" => "Patients",
        "ACK" => "Acknowledgements",
        "" => "Unreadable",
        _ => "Others",
    }
}

/// Where a code stands among the filters.
pub(crate) fn rank(code: &str) -> u8 {
    match code {
        "ORM" => 0,
        "ORU" => 1,
        "ADT" => 2,
        "" => 4,
        _ => 3,
    }
}

/// `ORM^O01`
pub(crate) fn type_code(code: &str, event: &str) -> String {
    if event.is_empty() {
        code.to_owned()
    } else {
        format!("{code}^{event}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_in_words() {
        for (code, event, ack_text, words) in [
            ("ORM", "O01", "Order registered.", "New order"),
            ("ORM", "O01", "Missing OBR-2", "Order"),
            ("ORU", "R01", "Report updated.", "Report update"),
            (
                "ADT",
                "A40",
                "Patient merged, 0 orders moved.",
                "Patient merge",
            ),
            ("", "", "", "Unreadable"),
            ("SIU", "S12", "", "Other message"),
        ] {
            assert_eq!(of(code, event, ack_text).words, words);
        }
    }
}
