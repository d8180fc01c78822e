//! Names of people who do not exist: [`Culture`], [`PersonName`] and [`Sex`].

use hl7_message::Charset;

use super::cultures::{ASCII, BEYOND_ASCII};
use super::dice::Dice;

/// Administrative sex, table 0001.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sex {
    Female,
    Male,
    Other,
    Unknown,
}

impl Sex {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Female => "F",
            Self::Male => "M",
            Self::Other => "O",
            Self::Unknown => "U",
        }
    }
}

/// Names that go together.
#[derive(Debug)]
pub(super) struct Culture {
    pub(super) families: &'static [&'static str],
    pub(super) female: &'static [&'static str],
    pub(super) male: &'static [&'static str],
}

/// A name in parts that are all constants: as small as a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct PersonName {
    culture: &'static Culture,
    family: &'static str,
    /// The second half of a double name.
    joined: Option<&'static str>,
    given: &'static str,
    middle: Option<&'static str>,
    suffix: &'static str,
}

impl PersonName {
    /// Writes the XPN.
    pub(super) fn write_to(&self, out: &mut String) {
        out.push_str(self.family);
        if let Some(joined) = self.joined {
            out.push('-');
            out.push_str(joined);
        }
        out.push('^');
        out.push_str(self.given);
        if self.middle.is_some() || !self.suffix.is_empty() {
            out.push('^');
            out.push_str(self.middle.unwrap_or_default());
        }
        if !self.suffix.is_empty() {
            out.push('^');
            out.push_str(self.suffix);
        }
    }

    /// The name after a wedding, a correction or a closer look at the passport.
    pub(super) fn changed(mut self, sex: Sex, dice: &mut Dice) -> Self {
        match dice.below(4) {
            0 if self.joined.is_none() => {
                self.joined = other(self.culture.families, self.family, dice);
            }
            1 if self.middle.is_none() => {
                self.middle = other(self.culture.given(sex, dice), self.given, dice);
            }
            2 => {
                if let Some(given) = other(self.culture.given(sex, dice), self.given, dice) {
                    self.given = given;
                }
            }
            _ => {
                if let Some(family) = other(self.culture.families, self.family, dice) {
                    self.family = family;
                    self.joined = None;
                }
            }
        }
        self
    }
}

/// Another one of a table.
fn other(
    table: &'static [&'static str],
    than: &'static str,
    dice: &mut Dice,
) -> Option<&'static str> {
    let others = || table.iter().filter(|&&word| word != than);
    let count = u32::try_from(others().count()).unwrap_or(u32::MAX);
    others().nth(dice.below(count) as usize).copied()
}

impl Culture {
    fn given(&self, sex: Sex, dice: &mut Dice) -> &'static [&'static str] {
        let female = match sex {
            Sex::Female => true,
            Sex::Male => false,
            Sex::Other | Sex::Unknown => dice.chance(50),
        };
        if female { self.female } else { self.male }
    }

    /// The cultures whose every name can be written in this character set. In one that has more
    /// than ASCII, those that need it come twice as often as the others.
    pub(super) fn in_charset(charset: Charset) -> Vec<&'static Self> {
        let writable = |culture: &&Self| {
            let mut names = culture
                .families
                .iter()
                .chain(culture.female)
                .chain(culture.male);
            names.all(|name| charset.encode(name).is_ok())
        };
        let plain = ASCII.iter().filter(writable);
        let special: Vec<_> = BEYOND_ASCII.iter().filter(writable).collect();
        let often = if special.is_empty() {
            0
        } else {
            2 * ASCII.len() / special.len()
        };
        let special = special
            .iter()
            .flat_map(|&culture| core::iter::repeat_n(culture, often));
        plain.chain(special).collect()
    }

    pub(super) fn person(&'static self, sex: Sex, dice: &mut Dice) -> PersonName {
        let given = self.given(sex, dice);
        PersonName {
            culture: self,
            family: dice.word(self.families),
            joined: if dice.chance(4) {
                Some(dice.word(self.families))
            } else {
                None
            },
            given: dice.word(given),
            middle: if dice.chance(30) {
                Some(dice.word(given))
            } else {
                None
            },
            suffix: if sex == Sex::Male && dice.chance(2) {
                "JR"
            } else {
                ""
            },
        }
    }

    /// A family name alone, as physicians are named in orders.
    pub(super) fn physician(&self, dice: &mut Dice) -> &'static str {
        dice.word(self.families)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_names(cultures: &[&'static Culture]) -> Vec<&'static str> {
        cultures
            .iter()
            .flat_map(|culture| [culture.families, culture.female, culture.male])
            .flatten()
            .copied()
            .collect()
    }

    #[test]
    fn ascii_is_the_rule() {
        let cultures = Culture::in_charset(Charset::ASCII);
        assert_eq!(cultures.len(), ASCII.len());
        assert!(all_names(&cultures).iter().all(|name| name.is_ascii()));
    }

    #[test]
    fn a_character_set_brings_the_names_that_it_can_write() {
        for (charset, has, has_not) in [
            ("8859/1", "NÚÑEZ", "山田"),
            ("8859/2", "DVOŘÁK", "NÚÑEZ"),
            ("8859/5", "СОКОЛОВ", "ΒΛΑΧΟΣ"),
            ("8859/7", "ΒΛΑΧΟΣ", "СОКОЛОВ"),
            ("8859/9", "ŞAHİN", "DVOŘÁK"),
        ] {
            let charset = Charset::from_msh18(charset.as_bytes()).unwrap();
            let names = all_names(&Culture::in_charset(charset));
            assert!(
                names.contains(&has) && !names.contains(&has_not),
                "{charset}"
            );
            assert!(names.iter().all(|name| charset.encode(name).is_ok()));
        }
        let all = Culture::in_charset(Charset::UTF_8);
        assert!(
            BEYOND_ASCII
                .iter()
                .all(|culture| all.iter().any(|&c| core::ptr::eq(c, culture)))
        );
    }

    #[test]
    fn names_are_free_of_delimiters() {
        for name in all_names(&Culture::in_charset(Charset::UTF_8)) {
            assert!(!name.contains(['|', '^', '~', '\\', '&']) && !name.contains(char::is_control));
        }
    }

    #[test]
    fn a_changed_name_is_another() {
        let mut dice = Dice::new(1);
        let xpn = |name: &PersonName| {
            let mut text = String::new();
            name.write_to(&mut text);
            text
        };
        let mut changed = 0;
        for _ in 0..100 {
            let name = dice.pick(ASCII).person(Sex::Female, &mut dice);
            changed += usize::from(xpn(&name) != xpn(&name.changed(Sex::Female, &mut dice)));
        }
        assert_eq!(changed, 100);
    }
}
