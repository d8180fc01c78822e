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

/// The address of the page of a patient.
pub(crate) fn patient(id: &str) -> String {
    let mut address = String::from("/patients/");
    encode(id, &mut address);
    address
}

/// An address with parameters; empty ones are left out.
pub(crate) struct Address(String);

impl Address {
    pub(crate) fn to(path: &str) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.0.push(if self.0.contains('?') { '&' } else { '?' });
            self.0.push_str(name);
            self.0.push('=');
            encode(value, &mut self.0);
        }
        self
    }

    pub(crate) fn done(self) -> String {
        self.0
    }
}
