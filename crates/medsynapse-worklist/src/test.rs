//! [`Test`]: one key of a query against one stored value, PS3.4 section C.2.2.2.

use crate::charset;
use crate::moment::{DateRange, TimeRange};
use crate::table::Matching;

/// What a value must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    /// One of these patterns; case counts.
    Text(Vec<Pattern>),
    /// This name, component group by component group.
    Name(NamePattern),
    /// One of these UIDs.
    Uid(Vec<String>),
    /// This day, or a day in this range.
    Date(DateRange),
    /// This time, or a time in this range.
    Time(TimeRange),
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidKey(pub(crate) &'static str);

impl Test {
    /// Reads a key; `None` where it is universal.
    pub(crate) fn read(
        matching: Matching,
        key: &str,
        fuzzy: bool,
    ) -> Result<Option<Self>, InvalidKey> {
        let key = trim(key);
        if key.is_empty() || key == "*" {
            return Ok(None);
        }
        Ok(Some(match matching {
            Matching::Never => return Ok(None),
            Matching::Text if key.contains('\\') => {
                return Err(InvalidKey("one value is allowed, not several"));
            }
            Matching::Name if key.contains('\\') => {
                return Err(InvalidKey("one name is allowed, not several"));
            }
            Matching::Text => Self::Text(vec![Pattern::new(key)]),
            Matching::AnyOf => {
                let patterns: Vec<_> = key
                    .split('\\')
                    .map(trim)
                    .filter(|one| !one.is_empty())
                    .map(Pattern::new)
                    .collect();
                if patterns.is_empty() || patterns.iter().any(Pattern::is_universal) {
                    return Ok(None);
                }
                Self::Text(patterns)
            }
            Matching::Name => match NamePattern::new(key, fuzzy) {
                Some(pattern) => Self::Name(pattern),
                None => return Ok(None),
            },
            Matching::Uid => {
                let uids: Vec<String> = key.split('\\').map(|uid| trim(uid).to_owned()).collect();
                let digits = |uid: &String| {
                    !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                };
                if !uids.iter().all(digits) {
                    return Err(InvalidKey("not a UID"));
                }
                Self::Uid(uids)
            }
            Matching::Date => Self::Date(DateRange::parse(key).ok_or(InvalidKey("not a date"))?),
            Matching::Time => Self::Time(TimeRange::parse(key).ok_or(InvalidKey("not a time"))?),
        }))
    }

    /// Whether a stored value is so; one that is not there never is.
    pub(crate) fn matches(&self, value: &str) -> bool {
        if value.is_empty() {
            return false;
        }
        match self {
            Self::Text(patterns) => value
                .split('\\')
                .any(|one| patterns.iter().any(|pattern| pattern.matches(one))),
            Self::Name(pattern) => pattern.matches(value),
            Self::Uid(uids) => uids.iter().any(|uid| uid == value),
            Self::Date(range) => range.contains(value),
            Self::Time(range) => range.contains(value),
        }
    }

    /// The plain values it wants, where it has no wildcards.
    pub(crate) fn exact(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(patterns) => patterns.iter().map(Pattern::exact).collect(),
            Self::Uid(uids) => Some(uids.iter().map(String::as_str).collect()),
            Self::Name(_) | Self::Date(_) | Self::Time(_) => None,
        }
    }
}

/// Text without the padding that DICOM allows.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\0'])
}

/// A text with wildcards: `*` stands for any run of characters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: Box<str>,
    characters: Box<[char]>,
    wild: bool,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let wild = text.contains(['*', '?']);
        let mut characters: Vec<char> = Vec::new();
        if wild {
            characters.extend(text.chars());
            // A run of stars says what one says.
            characters.dedup_by(|a, b| *a == '*' && *b == '*');
        }
        Self {
            text: text.into(),
            characters: characters.into(),
            wild,
        }
    }

    pub(crate) fn is_universal(&self) -> bool {
        &*self.text == "*"
    }

    fn exact(&self) -> Option<&str> {
        (!self.wild).then_some(&*self.text)
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        if !self.wild {
            return *self.text == *value;
        }
        wildcard(&self.characters, value)
    }
}

/// Whether `value` is of the form of `pattern`: goes back to the last star alone, so it takes at
/// most the product of both lengths.
fn wildcard(pattern: &[char], value: &str) -> bool {
    let (mut p, mut rest) = (0, value.chars());
    let mut star: Option<(usize, core::str::Chars<'_>)> = None;
    loop {
        let mut next = rest.clone();
        match (pattern.get(p), next.next()) {
            (Some('*'), _) => {
                star = Some((p + 1, rest.clone()));
                p += 1;
            }
            (Some('?'), Some(_)) => {
                p += 1;
                rest = next;
            }
            (Some(want), Some(have)) if *want == have => {
                p += 1;
                rest = next;
            }
            (None, None) => return true,
            _ => {
                let Some((after, from)) = &mut star else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                p = *after;
                rest = from.clone();
            }
        }
    }
}

/// A person's name with wildcards, a pattern for each component group that says anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamePattern {
    /// For each way to read letters, a pattern a group.
    ways: Vec<(Letters, Vec<Option<Pattern>>)>,
}

/// What of letters counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// Accents do.
    Exact,
    /// They do not: ü is u.
    Base,
    /// They are written out: ü is ue.
    Written,
}

impl NamePattern {
    /// Reads a key; `None` where it says nothing.
    fn new(key: &str, fuzzy: bool) -> Option<Self> {
        let ways: &[Letters] = if fuzzy {
            &[Letters::Base, Letters::Written]
        } else {
            &[Letters::Exact]
        };
        let patterns = |letters: Letters| -> Vec<Option<Pattern>> {
            key.split('=')
                .map(|group| {
                    let group = fold(group, letters);
                    (!group.is_empty() && group != "*").then(|| Pattern::new(&group))
                })
                .collect()
        };
        let ways: Vec<_> = ways.iter().map(|way| (*way, patterns(*way))).collect();
        let says = ways
            .iter()
            .any(|(_, groups)| groups.iter().any(Option::is_some));
        says.then_some(Self { ways })
    }

    fn matches(&self, value: &str) -> bool {
        self.ways.iter().any(|(letters, groups)| {
            let mut stored = value.split('=');
            groups.iter().all(|pattern| {
                let group = stored.next().unwrap_or_default();
                let Some(pattern) = pattern else { return true };
                let group = fold(group, *letters);
                !group.is_empty() && name_matches(pattern, &group)
            })
        })
    }

    /// What the first group begins with, in lower case, where it has no wildcard there.
    pub(crate) fn prefix(&self) -> Option<String> {
        let [(Letters::Exact, groups)] = self.ways.as_slice() else {
            return None;
        };
        let pattern = groups.first()?.as_ref()?;
        let prefix: String = pattern
            .text
            .chars()
            .take_while(|c| !matches!(c, '*' | '?' | '^'))
            .collect();
        (!prefix.is_empty()).then_some(prefix)
    }
}

/// Carets at the end of a name do not count: `SMITH^*` finds SMITH as well.
fn name_matches(pattern: &Pattern, group: &str) -> bool {
    if pattern.matches(group) {
        return true;
    }
    if !pattern.wild {
        return false;
    }
    let carets = |text: &str| text.bytes().filter(|b| *b == b'^').count();
    let more = carets(&pattern.text).saturating_sub(carets(group));
    let mut padded = group.to_owned();
    (0..more.min(4)).any(|_| {
        padded.push('^');
        pattern.matches(&padded)
    })
}

/// A component group as it is compared: in one case, without carets and blanks at its end.
fn fold(group: &str, letters: Letters) -> String {
    let group = group
        .trim_end_matches(['^', ' ', '\0'])
        .trim_start_matches(' ');
    if group.is_ascii() {
        return group.to_ascii_lowercase();
    }
    match letters {
        Letters::Exact => group.to_lowercase(),
        Letters::Base => charset::plain_text(group, true).to_lowercase(),
        Letters::Written => charset::plain_text(group, false).to_lowercase(),
    }
}

/// The lower case by which names are found.
pub(crate) fn name_key(name: &str) -> String {
    fold(name.split('=').next().unwrap_or_default(), Letters::Exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(matching: Matching, key: &str, value: &str, expected: bool) {
        let test = Test::read(matching, key, false).unwrap();
        let found = test.is_none_or(|test| test.matches(value));
        assert_eq!(found, expected, "{key} on {value}");
    }

    #[test]
    fn wildcards() {
        for (pattern, value, expected) in [
            ("A*", "ABC", true),
            ("*C", "ABC", true),
            ("*B*", "ABC", true),
            ("A?C", "ABC", true),
            ("A?C", "AÄC", true),
            ("A?", "A", false),
            ("?", "ß", true),
            ("**", "", false),
            ("A.C", "ABC", false),
            ("[A]*", "[A]B", true),
            ("*AB*AB*", "ABAAB", true),
            ("a*b*c*d", "abcbcd", true),
            ("a*b*c*e", "abcbcd", false),
        ] {
            check(Matching::Text, pattern, value, expected);
        }
    }

    #[test]
    fn names() {
        for (key, value, expected) in [
            ("smith^john", "SMITH^JOHN", true),
            ("SMITH", "SMITH^JOHN", false),
            ("SMITH^JOHN^^^", "SMITH^JOHN", true),
            ("SMITH^*", "SMITH", true),
            ("SMITH????", "SMITH", false),
            ("müller*", "MÜLLER^EVA", true),
            ("muller*", "MÜLLER^EVA", false),
            ("=X", "SMITH", false),
            ("SMITH=", "SMITH", true),
            ("SMITH*=*", "SMITH^J", true),
            ("^^^", "SMITH", true),
        ] {
            check(Matching::Name, key, value, expected);
        }
        for key in ["muller*", "mueller*", "MÜLLER*"] {
            let fuzzy = Test::read(Matching::Name, key, true).unwrap().unwrap();
            assert!(fuzzy.matches("MÜLLER^EVA"), "{key}");
        }
    }

    #[test]
    fn an_absent_value_fails_every_key_but_the_universal_ones() {
        check(Matching::Text, "", "", true);
        check(Matching::Text, "*", "", true);
        check(Matching::Text, " \0", "", true);
        check(Matching::Text, "?*", "", false);
        check(Matching::AnyOf, "CT\\*", "", true);
    }

    #[test]
    fn invalid_keys_are_told() {
        assert!(Test::read(Matching::Text, "A\\B", false).is_err());
        assert!(Test::read(Matching::Uid, "1.2.*", false).is_err());
        assert!(Test::read(Matching::Date, "yesterday", false).is_err());
        assert!(Test::read(Matching::Time, "25", false).is_err());
    }
}
