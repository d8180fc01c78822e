//! What messages, actions and deliveries do: decided over [`Rows`], whichever database has them.

mod act;
mod changes;
mod enqueue;
pub(crate) mod events;
mod message;
mod plan;
mod procedure;
mod rows;
mod settle;

pub(crate) use rows::{
    ActionRow, ChangeRow, Entry, FirstAction, Known, MessageRow, Moved, OutboxRow, PatientRow,
    ProcedureRow, Rows, Sender, Waiting,
};

use crate::error::StoreError;
use crate::work::{Done, Work};

/// Applies one piece of work.
pub(crate) fn apply(rows: &mut dyn Rows, work: &Work) -> Result<Done, StoreError> {
    match work {
        Work::Message(received) => message::receive(rows, received).map(Done::Message),
        Work::Action(action) => act::act(rows, action).map(Done::Action),
        Work::Delivery(delivery) => settle::settle(rows, delivery).map(Done::Delivery),
    }
}
