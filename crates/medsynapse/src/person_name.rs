//! [`PersonName`]: the parts of an XPN.

use core::fmt;

use hl7_message::{Separators, escape};

use crate::render::QUOTES;

/// A person's name, data type XPN: family, given, middle, suffix, prefix.
///
/// Its `Debug` form shows nothing.
///
/// ```
/// use medsynapse::PersonName;
///
/// let name = PersonName::from_xpn("SMITH^JOHN^Q");
/// assert_eq!((name.family.as_str(), name.given.as_str()), ("SMITH", "JOHN"));
/// assert_eq!(name.to_xpn(), "SMITH^JOHN^Q");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonName {
    /// XPN.1
    pub family: String,
    /// XPN.2
    pub given: String,
    /// XPN.3
    pub middle: String,
    /// XPN.4
    pub suffix: String,
    /// XPN.5
    pub prefix: String,
}

impl PersonName {
    /// Reads an XPN under the usual delimiters; components behind the fifth do not belong to the
    /// name as it is shown.
    pub fn from_xpn(text: &str) -> Self {
        let mut parts = text.split('^').map(|part| {
            let leaf = part.split('&').next().unwrap_or_default();
            let data = escape::unescape(leaf.as_bytes(), &Separators::DEFAULT);
            String::from_utf8_lossy(&data).into_owned()
        });
        let mut next = || parts.next().unwrap_or_default();
        Self {
            family: next(),
            given: next(),
            middle: next(),
            suffix: next(),
            prefix: next(),
        }
    }

    /// Writes an XPN under the usual delimiters, without empty components at its end.
    pub fn to_xpn(&self) -> String {
        let parts = [
            &self.family,
            &self.given,
            &self.middle,
            &self.suffix,
            &self.prefix,
        ];
        xpn(parts.map(String::as_str))
    }
}

/// An XPN under the usual delimiters from its decoded components.
pub(crate) fn xpn<'a>(components: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (n, component) in components.into_iter().enumerate() {
        if n > 0 {
            text.push('^');
        }
        text.push_str(&escaped(component));
    }
    text.truncate(text.trim_end_matches('^').len());
    text
}

/// One component of an XPN, as it is written.
pub(crate) fn escaped(component: &str) -> String {
    // Two quotation marks alone would mean: delete.
    if component == "\"\"" {
        return String::from_utf8_lossy(QUOTES).into_owned();
    }
    let escaped = escape::escape(component.as_bytes(), &Separators::DEFAULT);
    String::from_utf8_lossy(&escaped.unwrap_or_default()).into_owned()
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(…)")
    }
}

impl fmt::Display for PersonName {
    /// For people: `SMITH, JOHN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.family)?;
        let rest = [&self.given, &self.middle, &self.suffix];
        let mut first = true;
        for part in rest.into_iter().filter(|part| !part.is_empty()) {
            f.write_str(if first { ", " } else { " " })?;
            f.write_str(part)?;
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_inside_a_part_survive() {
        let name = PersonName {
            family: "O^NEIL & CO".into(),
            ..PersonName::default()
        };
        assert_eq!(name.to_xpn(), r"O\S\NEIL \T\ CO");
        assert_eq!(PersonName::from_xpn(&name.to_xpn()), name);
    }

    #[test]
    fn shown_for_people() {
        assert_eq!(
            PersonName::from_xpn("SMITH^JOHN^Q^JR").to_string(),
            "SMITH, JOHN Q JR"
        );
        assert_eq!(PersonName::from_xpn("SMITH").to_string(), "SMITH");
    }
}
