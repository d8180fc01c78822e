//! OBX-11 in words.

/// The codes that have a word, and the word.
const WORDS: [(&str, &str); 4] = [
    ("I", "COMPLETED"),
    ("R", "READ"),
    ("F", "FINAL"),
    ("P", "PRINTED"),
];

/// Table 0085 beside those.
const OTHERS: [&str; 8] = ["C", "D", "N", "O", "S", "U", "W", "X"];

/// The code of a word or of a code.
pub(super) fn code(text: &str) -> Option<&'static str> {
    let words = WORDS.into_iter();
    words
        .into_iter()
        .find(|(code, word)| text == *code || text == *word)
        .map(|(code, _)| code)
        .or_else(|| OTHERS.into_iter().find(|code| *code == text))
}

/// The word of a code; the code alone where it has none.
pub(super) fn word(code: &str) -> Option<(&'static str, bool)> {
    let word = WORDS.into_iter().find(|(known, _)| *known == code);
    match word {
        Some((_, word)) => Some((word, true)),
        None => OTHERS
            .into_iter()
            .find(|known| *known == code)
            .map(|code| (code, false)),
    }
}
