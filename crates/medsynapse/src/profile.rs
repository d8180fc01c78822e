//! [`Profile`]: how strictly the broker reads, as two presets of single switches.

use std::collections::BTreeMap;

use hl7_message::{Charset, Header, Responder};

use crate::map::Mapping;

/// A named set of switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// What the conformance statement says, without its two connection limits.
    #[default]
    Medsynapse,
    /// The statement to the letter.
    MedsynapseStrict,
}

impl Preset {
    /// Its name in configuration files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Medsynapse => "medsynapse",
            Self::MedsynapseStrict => "medsynapse-strict",
        }
    }
}

impl core::fmt::Display for Preset {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the broker reads and answers. Start from a [`Preset`] and change single switches.
///
/// ```
/// use medsynapse::{Preset, Profile};
///
/// let lenient = Profile::from(Preset::Medsynapse);
/// assert!(lenient.accept_change_order && !lenient.one_message_per_connection);
/// let strict = Profile::from(Preset::MedsynapseStrict);
/// assert!(!strict.accept_change_order && strict.one_message_per_connection);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a configuration"
)]
pub struct Profile {
    /// The preset that it started from.
    pub preset: Preset,
    /// Whose field positions orders are read by.
    pub mapping: Mapping,
    /// MSH-3 and MSH-4 of messages that are read as [`Mapping::Medsynapse`] all the same: those
    /// that the broker's own gateway makes of JSON.
    pub own_sender: Option<(String, String)>,
    /// The AE title of each modality whose orders name none, under [`Mapping::IheRad4`].
    pub ae_titles: BTreeMap<String, String>,
    /// Read MSH-12 2.1 to 2.8, with a warning unless it is 2.3; else 2.3 alone.
    pub accept_other_versions: bool,
    /// Take reports in rich text (OBX-2 RTF).
    pub accept_rich_text: bool,
    /// Take ORC-1 XO as an update.
    pub accept_change_order: bool,
    /// Take a Message Control ID again that came before with other content.
    pub accept_reused_control_id: bool,
    /// Close a connection after its one acknowledgement.
    pub one_message_per_connection: bool,
    /// Refuse a second connection while one is open.
    pub one_connection: bool,
    /// Refuse values that are longer than the DICOM value they become.
    pub check_lengths: bool,
    /// Send ERR segments with negative acknowledgements.
    pub send_err: bool,
    /// What the text is written in where MSH-18 is empty.
    pub default_charset: Charset,
    /// Who answers.
    pub responder: Responder,
}

impl From<Preset> for Profile {
    fn from(preset: Preset) -> Self {
        let lenient = preset == Preset::Medsynapse;
        Self {
            preset,
            mapping: Mapping::default(),
            own_sender: None,
            ae_titles: BTreeMap::new(),
            accept_other_versions: lenient,
            accept_rich_text: lenient,
            accept_change_order: lenient,
            accept_reused_control_id: lenient,
            one_message_per_connection: !lenient,
            one_connection: !lenient,
            check_lengths: true,
            send_err: false,
            default_charset: Charset::UTF_8,
            responder: Responder {
                application: "PACS_APP".into(),
                facility: "PACS_FACILITY".into(),
                version: "2.3".into(),
                sequence_number: "1".into(),
                country_code: "91".into(),
                padded: true,
            },
        }
    }
}

impl Profile {
    /// The mapping that a message with this header is read by.
    pub fn mapping_of(&self, header: &Header<'_>) -> Mapping {
        let own = self.own_sender.as_ref().is_some_and(|(name, facility)| {
            header.sending_application().as_bytes() == name.as_bytes()
                && header.sending_facility().as_bytes() == facility.as_bytes()
        });
        if own {
            Mapping::Medsynapse
        } else {
            self.mapping
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Preset::default().into()
    }
}
