//! The character set of a response.

use std::borrow::Cow;

use hl7_message::Charset;

/// What the text of a response is written in, by AE title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResponseCharset {
    /// ASCII without a word about it where that is enough, else UTF-8 (`ISO_IR 192`).
    #[default]
    Auto,
    /// ASCII alone.
    Ascii,
    /// One set, named where text needs it.
    Named(&'static str, Charset),
}

/// DICOM's names, and HL7's for the same sets.
const NAMES: [(&str, &str); 10] = [
    ("ISO_IR 192", "UNICODE UTF-8"),
    ("ISO_IR 100", "8859/1"),
    ("ISO_IR 101", "8859/2"),
    ("ISO_IR 109", "8859/3"),
    ("ISO_IR 110", "8859/4"),
    ("ISO_IR 144", "8859/5"),
    ("ISO_IR 127", "8859/6"),
    ("ISO_IR 126", "8859/7"),
    ("ISO_IR 138", "8859/8"),
    ("GB18030", "GB 18030-2000"),
];

impl ResponseCharset {
    /// The set of that name: `auto`, `ISO_IR 6` for ASCII, or a defined term of (0008,0005).
    ///
    /// ```
    /// use medsynapse_worklist::ResponseCharset;
    ///
    /// assert_eq!(ResponseCharset::from_name("auto"), Some(ResponseCharset::Auto));
    /// assert!(ResponseCharset::from_name("ISO_IR 100").is_some());
    /// assert!(ResponseCharset::from_name("ISO_IR 148").is_none());
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "ISO_IR 6" | "ascii" => Some(Self::Ascii),
            _ => NAMES
                .iter()
                .find(|(dicom, _)| *dicom == name)
                .and_then(|(dicom, hl7)| {
                    let charset = Charset::from_msh18(hl7.as_bytes()).ok()?;
                    Some(Self::Named(dicom, charset))
                }),
        }
    }

    /// Its name in configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ascii => "ISO_IR 6",
            Self::Named(name, _) => name,
        }
    }

    /// The names that there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["auto", "ISO_IR 6"]
            .into_iter()
            .chain(NAMES.map(|(dicom, _)| dicom))
    }

    /// The value of (0008,0005) for text that is not all ASCII.
    pub(crate) const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Auto => Some("ISO_IR 192"),
            Self::Ascii => None,
            Self::Named(name, _) => Some(name),
        }
    }

    /// `text` in characters that the set has: what it lacks is written in other letters.
    pub(crate) fn fit<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.is_ascii() || matches!(self, Self::Auto) {
            return Cow::Borrowed(text);
        }
        let has = |c: char| match self {
            Self::Auto => true,
            Self::Ascii => c.is_ascii(),
            Self::Named(_, charset) => charset.encode(c.encode_utf8(&mut [0; 4])).is_ok(),
        };
        if text.chars().all(has) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if has(c) {
                out.push(c);
            } else {
                out.push_str(plain(c));
            }
        }
        Cow::Owned(out)
    }
}

/// A text without accents, where that is known.
///
/// With `base` a letter stays one letter: ü is u, not ue.
pub(crate) fn plain_text(text: &str, base: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match if c.is_ascii() { "?" } else { plain(c) } {
            "?" => out.push(c),
            plain if base => out.extend(plain.chars().next()),
            plain => out.push_str(plain),
        }
    }
    out
}

/// A letter without its accents, as people write it where they have none.
fn plain(c: char) -> &'static str {
    let find = |pairs: &[(&str, &'static str)]| {
        pairs
            .iter()
            .find(|(from, _)| from.contains(c))
            .map(|(_, to)| *to)
    };
    find(&[
        ("ÀÁÂÃĀĂĄ", "A"),
        ("àáâãāăą", "a"),
        ("ÇĆĈĊČ", "C"),
        ("çćĉċč", "c"),
        ("ĎĐÐ", "D"),
        ("ďđð", "d"),
        ("ÈÉÊËĒĔĖĘĚ", "E"),
        ("èéêëēĕėęě", "e"),
        ("ĜĞĠĢ", "G"),
        ("ĝğġģ", "g"),
        ("ĤĦ", "H"),
        ("ĥħ", "h"),
        ("ÌÍÎÏĨĪĬĮİ", "I"),
        ("ìíîïĩīĭįı", "i"),
        ("Ĵ", "J"),
        ("ĵ", "j"),
        ("Ķ", "K"),
        ("ķ", "k"),
        ("ĹĻĽŁ", "L"),
        ("ĺļľł", "l"),
        ("ÑŃŅŇ", "N"),
        ("ñńņň", "n"),
        ("ÒÓÔÕŌŎŐ", "O"),
        ("òóôõōŏő", "o"),
        ("ŔŖŘ", "R"),
        ("ŕŗř", "r"),
        ("ŚŜŞŠȘ", "S"),
        ("śŝşšș", "s"),
        ("ŢŤŦȚ", "T"),
        ("ţťŧț", "t"),
        ("ÙÚÛŨŪŬŮŰŲ", "U"),
        ("ùúûũūŭůűų", "u"),
        ("Ŵ", "W"),
        ("ŵ", "w"),
        ("ÝŶŸ", "Y"),
        ("ýÿŷ", "y"),
        ("ŹŻŽ", "Z"),
        ("źżž", "z"),
        ("Ä", "Ae"),
        ("ä", "ae"),
        ("Ö", "Oe"),
        ("ö", "oe"),
        ("Ü", "Ue"),
        ("ü", "ue"),
        ("ß", "ss"),
        ("Æ", "AE"),
        ("æ", "ae"),
        ("Œ", "OE"),
        ("œ", "oe"),
        ("Ø", "O"),
        ("ø", "o"),
        ("Å", "A"),
        ("å", "a"),
        ("Þ", "Th"),
        ("þ", "th"),
        ("\u{2018}\u{2019}\u{201A}\u{02BC}", "'"),
        ("\u{201C}\u{201D}\u{201E}", "\""),
        ("\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}", "-"),
        ("\u{00A0}\u{2009}\u{202F}", " "),
        ("€", "EUR"),
        ("…", "..."),
    ])
    .unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(set: &str, text: &str, expected: &str) {
        assert_eq!(ResponseCharset::from_name(set).unwrap().fit(text), expected);
    }

    #[test]
    fn what_a_set_has_stays() {
        check("auto", "Müller 山田", "Müller 山田");
        check("ISO_IR 100", "Müller", "Müller");
        check("ISO_IR 144", "Иванов", "Иванов");
    }

    #[test]
    fn what_it_lacks_is_written_in_other_letters() {
        check("ISO_IR 6", "Müller-Šárka", "Mueller-Sarka");
        check("ISO_IR 100", "Łódź Müller 山", "Lódz Müller ?");
        check("ISO_IR 101", "Łódź", "Łódź");
    }

    #[test]
    fn every_name_is_one_that_the_encoder_knows() {
        for name in ResponseCharset::names() {
            let set = ResponseCharset::from_name(name).unwrap();
            assert_eq!(set.name(), name);
            if let Some(code) = set.code() {
                assert!(dicom_encoding::text::SpecificCharacterSet::from_code(code).is_some());
            }
        }
    }
}
