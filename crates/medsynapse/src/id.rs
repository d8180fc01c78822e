//! The names by which the department knows things.

use core::fmt;

use uuid::Uuid;

/// Text that cannot name anything: it is empty, or holds a control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is not empty and holds no control characters")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;

            /// Padding around the text does not count.
            fn try_from(text: &str) -> Result<Self, InvalidId> {
                let text = text.trim();
                if text.is_empty() || text.chars().any(char::is_control) {
                    return Err(InvalidId);
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id! {
    /// The placer order number, OBR-2.1: names an order through its whole life and is never altered.
    ///
    /// As a DICOM value (0008,0050) it is an SH of at most 16 characters; the
    /// [`Profile`](crate::Profile) checks that where messages come in.
    #[derive(Debug)]
    AccessionNumber
}

id! {
    /// The patient id, PID-3.1. Its `Debug` form shows nothing: it names a person.
    PatientId
}

impl fmt::Debug for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientId(…)")
    }
}

/// The Study Instance UID, ZDS-1.1, DICOM (0020,000D).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StudyInstanceUid(Box<str>);

impl StudyInstanceUid {
    /// The UID of an order whose message brought none: `2.25.` and the UUID (version 5) of the
    /// sending facility and the accession number, so it is the same after a resend or a rebuild.
    ///
    /// Source: DICOM PS3.5 annex B.2.
    ///
    /// ```
    /// use medsynapse::{AccessionNumber, StudyInstanceUid};
    ///
    /// let order = AccessionNumber::try_from("ACC1")?;
    /// let uid = StudyInstanceUid::derived("HOSPITAL", &order);
    /// assert!(uid.as_str().starts_with("2.25."));
    /// assert_eq!(uid, StudyInstanceUid::derived("HOSPITAL", &order));
    /// assert_ne!(uid, StudyInstanceUid::derived("CLINIC", &order));
    /// # Ok::<(), medsynapse::InvalidId>(())
    /// ```
    pub fn derived(facility: &str, accession_number: &AccessionNumber) -> Self {
        let root = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"medsynapse.study-instance-uid");
        let name = format!("{facility}\0{accession_number}");
        let uuid = Uuid::new_v5(&root, name.as_bytes());
        Self(format!("2.25.{}", uuid.as_u128()).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is a UID: digits and dots, no empty part, no leading zero, at most 64 long.
    ///
    /// Source: DICOM PS3.5 section 9.1.
    pub fn is_valid(text: &str) -> bool {
        text.len() <= 64
            && text.split('.').count() > 1
            && text.split('.').all(|part| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_digit())
                    && (part.len() == 1 || !part.starts_with('0'))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_does_not_count_and_nothing_is_no_name() {
        assert_eq!(
            AccessionNumber::try_from(" ACC1 ").unwrap().as_str(),
            "ACC1"
        );
        assert_eq!(AccessionNumber::try_from("  "), Err(InvalidId));
        assert_eq!(AccessionNumber::try_from("A\rB"), Err(InvalidId));
    }

    #[test]
    fn derived_uids_are_uids() {
        for n in 0..50 {
            let order = AccessionNumber::try_from(format!("A{n}").as_str()).unwrap();
            assert!(StudyInstanceUid::is_valid(
                StudyInstanceUid::derived("F", &order).as_str()
            ));
        }
        for text in ["", "1", "1..2", "1.02", "1.2a", "a", "1.2."] {
            assert!(!StudyInstanceUid::is_valid(text), "{text}");
        }
    }
}
