//! Bytes of a message as text, and which character set they are in.

use std::borrow::Cow;

use hl7_message::{Charset, Message};

/// The character set that a message is shown in.
///
/// The one that MSH-18 names. Where it names none that is known: ASCII if nothing but ASCII
/// occurs, UTF-8 if the whole message is valid as it, else ASCII.
pub(crate) fn charset_of(message: &Message<'_>) -> Charset {
    let named = message.header().character_set().first().as_bytes();
    if let Ok(charset) = Charset::from_msh18(named)
        && !named.trim_ascii().is_empty()
    {
        return charset;
    }
    let bytes = message.as_bytes();
    if !bytes.is_ascii() && core::str::from_utf8(bytes).is_ok() {
        Charset::UTF_8
    } else {
        Charset::ASCII
    }
}

/// The text that `bytes` are in `charset`, where writing it gives the same bytes again.
pub(crate) fn exact(bytes: &[u8], charset: Charset) -> Option<Cow<'_, str>> {
    if bytes.is_ascii() && charset.is_ascii_superset() {
        return core::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    let text = charset.decode(bytes).ok()?;
    // Sets of several bytes a character have more than one way to write some texts.
    (charset.encode(&text).ok()?.as_ref() == bytes).then_some(text)
}

/// The text that `bytes` are in `charset`; what it does not have becomes U+FFFD.
pub(crate) fn lossy(bytes: &[u8], charset: Charset) -> Cow<'_, str> {
    charset
        .decode(bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(bytes))
}
