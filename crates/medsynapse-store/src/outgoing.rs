//! [`Outgoing`]: to whom what is told, decided with the settings of the moment.

use std::sync::Arc;

use hl7_message::{Charset, Timestamp};
use medsynapse::{ReportFormat, StudyStatus};

/// What an action needs to write messages: passed in, so that the store owns neither settings
/// nor a clock nor control ids.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The settings.
    pub settings: Arc<OutgoingSettings>,
    /// MSH-7.
    pub time: Timestamp,
    /// Message Control IDs that nobody had before: two for each destination are enough.
    pub control_ids: Vec<String>,
}

/// Who tells, and who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingSettings {
    /// MSH-3
    pub application: String,
    /// MSH-4
    pub facility: String,
    /// What an order is written in whose MSH-18 is empty.
    pub default_charset: DefaultCharset,
    /// Each gets its own messages, in its own order.
    pub destinations: Vec<Destination>,
}

/// A character set with UTF-8 as the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultCharset(pub Charset);

impl Default for DefaultCharset {
    fn default() -> Self {
        Self(Charset::UTF_8)
    }
}

/// A receiver of study status and reports, and what it wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name: the one key by which its queue is found again.
    pub name: String,
    /// Which of I, R, F, P it gets; empty for all.
    pub statuses: Vec<StudyStatus>,
    /// Which modalities it hears of; empty for all.
    pub modalities: Vec<String>,
    /// Orders from which MSH-4 it hears of; empty for all.
    pub sending_facilities: Vec<String>,
    /// Orders from which MSH-3 it hears of; empty for all.
    pub sending_applications: Vec<String>,
    /// How reports are written.
    pub format: ReportFormat,
    /// MSH-5; `None` for MSH-3 of the order's own message.
    pub receiving_application: Option<String>,
    /// MSH-6; `None` for MSH-4 of the order's own message.
    pub receiving_facility: Option<String>,
}

impl Destination {
    /// One that hears everything, as plain text.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            statuses: Vec::new(),
            modalities: Vec::new(),
            sending_facilities: Vec::new(),
            sending_applications: Vec::new(),
            format: ReportFormat::Text,
            receiving_application: None,
            receiving_facility: None,
        }
    }

    /// Whether it wants to hear this.
    pub fn wants(&self, status: StudyStatus, of: &Source<'_>) -> bool {
        let among = |list: &[String], value: &str| {
            list.is_empty() || list.iter().any(|wanted| wanted == value)
        };
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && among(&self.modalities, of.modality)
            && among(&self.sending_facilities, of.sending_facility)
            && among(&self.sending_applications, of.sending_application)
    }
}

/// What of an order decides who hears of it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// OBR-24.1
    pub modality: &'a str,
    /// MSH-3 of the order's own message.
    pub sending_application: &'a str,
    /// MSH-4 of the order's own message.
    pub sending_facility: &'a str,
}
