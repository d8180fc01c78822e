//! What can be asked.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use medsynapse::{OrderState, ReportStatus};

/// Whether a message came in or went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the broker.
    In,
    /// From the broker.
    Out,
}

impl Direction {
    /// Its name in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// The direction of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::In, Self::Out]
            .into_iter()
            .find(|direction| direction.as_str() == name)
    }
}

/// Which messages come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MessageOrder {
    /// In the order of receipt.
    #[default]
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// Which messages to list. What is `None` does not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageQuery {
    /// Whether it came in or went out.
    pub direction: Option<Direction>,
    /// MSH-9.1, for instance `ORM`.
    pub message_code: Option<String>,
    /// OBR-2.1
    pub accession_number: Option<String>,
    /// PID-3.1
    pub patient_id: Option<String>,
    /// MSH-10
    pub control_id: Option<String>,
    /// MSA-1 of the answer.
    pub ack_code: Option<String>,
    /// Only messages with a larger id.
    pub after: Option<i64>,
    /// Only messages with a smaller id.
    pub before: Option<i64>,
    /// Which come first.
    pub order: MessageOrder,
    /// How many to pass over.
    pub offset: u64,
    /// How many to give at most.
    pub limit: u32,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: u64,
}

/// Which part of a list: what lies beyond a cursor, so that a page costs the same wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Only entries before this one: the `next` of the page before.
    pub cursor: Option<i64>,
    /// How many to give at most.
    pub limit: u32,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            cursor: None,
            limit: 50,
        }
    }
}

/// A page of a list that goes on at a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<T, C = i64> {
    /// The entries. There may be fewer than asked for, even none, and yet more to come: a search
    /// looks at a bounded number of rows at a time.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<C>,
}

/// Which messages to find, newest first; what is `None` does not restrict.
///
/// Filters by type, acknowledgement, control id, accession number, patient, direction and
/// warnings use indexes. The others look at rows, at most `rows_max` of them a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSearch {
    /// Whether it came in or went out.
    pub direction: Option<Direction>,
    /// MSH-9.1
    pub message_code: Option<String>,
    /// MSH-9.2
    pub trigger_event: Option<String>,
    /// MSH-10
    pub control_id: Option<String>,
    /// OBR-2.1
    pub accession_number: Option<String>,
    /// PID-3.1
    pub patient_id: Option<String>,
    /// MSA-1 of the answer.
    pub ack_code: Option<String>,
    /// MSH-3
    pub sending_application: Option<String>,
    /// MSH-4
    pub sending_facility: Option<String>,
    /// The address that it came from, whatever the port; for what went out the destination.
    pub peer: Option<Peer>,
    /// Received at this moment or later.
    pub received_from: Option<DateTime<Utc>>,
    /// Received before this moment.
    pub received_to: Option<DateTime<Utc>>,
    /// With warnings, or without.
    pub has_warnings: Option<bool>,
    /// Bytes that stand in the message somewhere; ASCII letters of either case are the same.
    pub text: Option<String>,
    /// Which part of the list.
    pub paging: Paging,
    /// How many rows a page may look at.
    pub rows_max: u32,
}

impl Default for MessageSearch {
    fn default() -> Self {
        Self {
            direction: None,
            message_code: None,
            trigger_event: None,
            control_id: None,
            accession_number: None,
            patient_id: None,
            ack_code: None,
            sending_application: None,
            sending_facility: None,
            peer: None,
            received_from: None,
            received_to: None,
            has_warnings: None,
            text: None,
            paging: Paging::default(),
            rows_max: 20_000,
        }
    }
}

/// Where a message came from or went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An address, whatever the port.
    Address(IpAddr),
    /// As it is stored: an address with its port, or the name of a destination.
    Exactly(String),
}

/// Which orders to list, the one registered last first; what is `None` does not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderQuery {
    /// Where it is in its life.
    pub state: Option<OrderState>,
    /// How far its report has come.
    pub report_status: Option<ReportStatus>,
    /// PID-3.1
    pub patient_id: Option<String>,
    /// OBR-24.1
    pub modality: Option<String>,
    /// OBR-21.1
    pub station_ae_title: Option<String>,
    /// OBR-36.1 from here on: the first digits of a TS.
    pub scheduled_from: Option<String>,
    /// OBR-36.1 up to here: the first digits of a TS, of which the whole unit counts (`20240301`
    /// is that whole day).
    pub scheduled_to: Option<String>,
    /// Stands in the accession number, the patient's id or name, or the description; ASCII
    /// letters of either case are the same.
    pub text: Option<String>,
    /// Which part of the list.
    pub paging: Paging,
}

/// Which patients to list, by id; what is `None` does not restrict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientQuery {
    /// Stands in the id or the name; ASCII letters of either case are the same.
    pub text: Option<String>,
    /// Also those whose id went to another.
    pub with_merged: bool,
    /// Only patients after this id: the `next` of the page before.
    pub cursor: Option<String>,
    /// How many to give at most.
    pub limit: u32,
}

impl Default for PatientQuery {
    fn default() -> Self {
        Self {
            text: None,
            with_merged: false,
            cursor: None,
            limit: 50,
        }
    }
}

/// Which scheduled steps a worklist is to look at: a coarse filter that indexes answer, ahead of
/// the matching of DICOM. What is empty or `None` does not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepQuery {
    /// OBR-21.1, one of these.
    pub station_ae_titles: Vec<String>,
    /// OBR-24.1, one of these.
    pub modalities: Vec<String>,
    /// OBR-36.1 from here on: the first digits of a TS, for instance `20240301`.
    pub scheduled_from: Option<String>,
    /// OBR-36.1 up to here, the whole unit included.
    pub scheduled_to: Option<String>,
    /// PID-3.1
    pub patient_id: Option<String>,
    /// OBR-2.1
    pub accession_number: Option<String>,
}
