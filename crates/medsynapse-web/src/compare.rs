//! [`Compared`]: two messages, field by field.

use std::collections::HashMap;

use hl7_message::Message;
use medsynapse::Mapping;

use crate::text::Piece;
use crate::tree::tree;

/// Most differences that are shown.
const SHOWN_MAX: usize = 500;

/// How one message differs from another.
pub(crate) struct Compared {
    /// The number of the other one.
    pub(crate) with: i64,
    pub(crate) rows: Vec<Difference>,
    /// How many fields are the same.
    pub(crate) same: usize,
    pub(crate) more: usize,
}

/// A leaf that is not the same in both; empty where it is not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) path: String,
    pub(crate) name: &'static str,
    pub(crate) here: String,
    pub(crate) there: String,
}

/// A leaf: its path, its name, its value.
type Leaf = (String, &'static str, String);

/// The leaves of a message in its order.
fn leaves(message: &[u8]) -> Vec<Leaf> {
    let Ok(message) = Message::parse(message) else {
        return Vec::new();
    };
    // What the broker takes a field for is not shown here: any mapping will do.
    let (branches, _) = tree(&message, &mut [], Mapping::default());
    let rows = branches.into_iter().flat_map(|branch| branch.rows);
    rows.filter(|leaf| !leaf.missing && (leaf.null || !leaf.value.is_empty()))
        .map(|leaf| {
            let value = if leaf.null {
                "\"\"".to_owned()
            } else {
                text_of(&leaf.value)
            };
            (leaf.path, leaf.name, value)
        })
        .collect()
}

fn text_of(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

/// Compares two messages. Segments of one name are taken by their number.
pub(crate) fn compare(here: &[u8], there: &[u8], with: i64) -> Compared {
    let (here, there) = (leaves(here), leaves(there));
    let mut others: HashMap<&str, &Leaf> =
        there.iter().map(|leaf| (leaf.0.as_str(), leaf)).collect();
    let mut rows = Vec::new();
    let mut same = 0;
    for (path, name, value) in &here {
        let other = others
            .remove(path.as_str())
            .map_or("", |leaf| leaf.2.as_str());
        if other == value {
            same += 1;
        } else {
            rows.push(Difference {
                path: path.clone(),
                name,
                here: value.clone(),
                there: other.to_owned(),
            });
        }
    }
    // What stands in the other one alone comes last, in its order.
    let alone = there
        .iter()
        .filter(|leaf| others.contains_key(leaf.0.as_str()));
    rows.extend(alone.map(|(path, name, value)| Difference {
        path: path.clone(),
        name,
        here: String::new(),
        there: value.clone(),
    }));
    let more = rows.len().saturating_sub(SHOWN_MAX);
    rows.truncate(SHOWN_MAX);
    Compared {
        with,
        rows,
        same,
        more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_compared_by_their_place() {
        let head = "MSH|^~\\&|A|B|C|D|2023||ORM^O01|1|P|2.3\r";
        let here = format!("{head}PID|1||P1||SMITH^JOHN\r");
        let there = format!("{head}PID|1||P1||SMITH^JANE\rPV1|1|O\r");
        let found = compare(here.as_bytes(), there.as_bytes(), 2);
        let rows: Vec<_> = found
            .rows
            .iter()
            .map(|row| (row.path.as_str(), row.here.as_str(), row.there.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                ("PID-5.2", "JOHN", "JANE"),
                ("PV1-1", "", "1"),
                ("PV1-2", "", "O")
            ]
        );
        assert!(found.same > 8);
        let none = compare(here.as_bytes(), here.as_bytes(), 1);
        assert!(none.rows.is_empty() && none.same == found.same + 1);
    }

    #[test]
    fn what_is_no_message_differs_in_everything() {
        let found = compare(b"x", b"MSH|^~\\&|A\r", 1);
        assert_eq!(found.same, 0);
        assert!(!found.rows.is_empty());
    }
}
