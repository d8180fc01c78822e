//! [`Effect`]: what became of a change, and how the answer says it.

use hl7_message::{AckCode, ErrorCondition, Location, loc};

use crate::id::AccessionNumber;

/// What became of a [`Change`](crate::Change) when it met the orders that are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// NW for an accession number that was not known.
    OrderRegistered,
    /// NW or XO for one that was.
    OrderUpdated,
    /// CA.
    OrderCancelled,
    /// CM.
    OrderCompleted,
    /// The first report of a study.
    ReportRegistered,
    /// Another report of a study.
    ReportUpdated,
    /// A08.
    PatientUpdated {
        /// How many orders took the new demographics.
        orders: u64,
    },
    /// A40.
    PatientMerged {
        /// How many orders went to the other id.
        orders: u64,
    },
    /// CA, CM or XO for an accession number that is not known: refused.
    UnknownOrder(AccessionNumber),
    /// A Message Control ID that was used before with other content, where the profile refuses
    /// that.
    ControlIdReused,
}

impl Effect {
    /// MSA-1.
    pub const fn code(&self) -> AckCode {
        match self {
            Self::OrderRegistered
            | Self::OrderUpdated
            | Self::OrderCancelled
            | Self::OrderCompleted
            | Self::ReportRegistered
            | Self::ReportUpdated
            | Self::PatientUpdated { .. }
            | Self::PatientMerged { .. } => AckCode::ApplicationAccept,
            Self::UnknownOrder(_) | Self::ControlIdReused => AckCode::ApplicationReject,
        }
    }

    /// Where and what ERR says, if this is a refusal.
    pub const fn condition(&self) -> Option<(Location, ErrorCondition)> {
        match self {
            Self::UnknownOrder(_) => Some((loc!("OBR-2.1"), ErrorCondition::UnknownKey)),
            Self::ControlIdReused => Some((loc!("MSH-10"), ErrorCondition::DuplicateKey)),
            Self::OrderRegistered
            | Self::OrderUpdated
            | Self::OrderCancelled
            | Self::OrderCompleted
            | Self::ReportRegistered
            | Self::ReportUpdated
            | Self::PatientUpdated { .. }
            | Self::PatientMerged { .. } => None,
        }
    }

    /// Its name in databases.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::OrderRegistered => "order-registered",
            Self::OrderUpdated => "order-updated",
            Self::OrderCancelled => "order-cancelled",
            Self::OrderCompleted => "order-completed",
            Self::ReportRegistered => "report-registered",
            Self::ReportUpdated => "report-updated",
            Self::PatientUpdated { .. } => "patient-updated",
            Self::PatientMerged { .. } => "patient-merged",
            Self::UnknownOrder(_) => "unknown-order",
            Self::ControlIdReused => "control-id-reused",
        }
    }

    /// MSA-3.
    pub fn text(&self) -> String {
        match self {
            Self::OrderRegistered => "Order registered.".into(),
            Self::OrderUpdated => "Order updated.".into(),
            Self::OrderCancelled => "Order cancelled.".into(),
            Self::OrderCompleted => "Order completed.".into(),
            Self::ReportRegistered => "Report registered.".into(),
            Self::ReportUpdated => "Report updated.".into(),
            Self::PatientUpdated { orders } => {
                format!("Patient information updated in {orders} orders.")
            }
            Self::PatientMerged { orders } => format!("Patient merged, {orders} orders moved."),
            Self::UnknownOrder(accession_number) => {
                format!("No order has accession number {accession_number}.")
            }
            Self::ControlIdReused => "MSH-10 was used before with other content.".into(),
        }
    }
}
