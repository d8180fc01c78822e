//! Text as a part of an address.

use std::fmt::Write as _;

/// Appends `text`, everything but letters, digits and a few marks as `%XX`.
pub(crate) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The address of the page of an order.
pub(crate) fn order(accession_number: &str) -> String {
    let mut address = String::from("/orders/");
    encode(accession_number, &mut address);
    address
}
