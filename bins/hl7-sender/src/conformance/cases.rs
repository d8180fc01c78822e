//! The list of cases, in the order in which they are run and numbered.

mod envelope;
mod framing;
mod orders;
mod patients;
mod reports;
mod resent;

use super::case::Case;

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    let groups: [&'static [Case]; 6] = [
        framing::CASES,
        envelope::CASES,
        orders::CASES,
        reports::CASES,
        patients::CASES,
        resent::CASES,
    ];
    groups.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::conformance::{case::Step, sheet::Maker};

    #[test]
    fn numbers_are_unique_and_every_case_does_something() {
        let mut numbers = BTreeSet::new();
        let mut maker = Maker::new("QQQQQQ", "20300102030405");
        for case in all() {
            assert!(numbers.insert(case.number), "{} twice", case.number);
            let steps = (case.steps)(&mut maker);
            assert!(!steps.is_empty(), "{}", case.number);
            assert!(case.rule.ends_with('.'), "{}", case.rule);
            assert_ne!(steps.first(), Some(&Step::Again), "{}", case.number);
        }
        assert!(numbers.len() >= 60, "{}", numbers.len());
    }
}
