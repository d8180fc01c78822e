//! What can be asked of the message log.

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
