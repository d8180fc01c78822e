//! [`Shape`]: what a statement of the writer is made of, and [`Statements`], prepared on a
//! connection.
//!
//! What a batch reads of narrow rows is one statement of several `SELECT`s, and what it writes is
//! one statement of several `INSERT`s and `UPDATE`s: each that goes by itself wakes both ends of
//! the connection once more, which costs as much as a few rows do.

use std::cell::RefCell;
use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Statement};

use super::ask::{self, Ask, Table};
use super::put::{self, Put};
use super::sql::{LOCK_KEYS, TURN};
use crate::error::StoreError;

/// Most statements that are kept; what batches of one hospital want are a dozen.
const KEPT_MAX: usize = 256;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    /// Reads narrow rows; a bit for each [`Ask`].
    Asks(u32),
    /// Reads the rows of a table.
    Table(Table),
    /// Writes, and ends the turn; a bit for each [`Put`].
    Puts(u32),
    /// Locks keys.
    Keys,
    /// Takes a turn.
    Turn,
}

impl Shape {
    fn text(self) -> String {
        match self {
            Self::Asks(asks) => ask::text(asks),
            Self::Table(table) => table.text(),
            Self::Puts(puts) => put::text(puts),
            Self::Keys => LOCK_KEYS.into(),
            Self::Turn => TURN.into(),
        }
    }
}

/// What the first batches will want: orders that are new, changed, reported and cancelled.
const FIRST: [Shape; 8] = {
    const NEW: u32 = Ask::Known.bit() | Ask::Patients.bit();
    const PUT: u32 = Put::Messages.bit();
    [
        Shape::Keys,
        Shape::Turn,
        Shape::Asks(NEW | Ask::Cancelled.bit()),
        Shape::Asks(NEW),
        Shape::Table(Table::Orders),
        Shape::Puts(PUT | Put::Orders.bit() | Put::Patients.bit()),
        Shape::Puts(PUT | Put::Orders.bit() | Put::Patients.bit() | Put::Changes.bit()),
        Shape::Puts(PUT),
    ]
};

/// The statements of a connection.
#[derive(Default)]
pub(super) struct Statements(RefCell<HashMap<Shape, Statement>>);

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, StoreError> {
        let this = Self::default();
        this.ready(client, &FIRST).await?;
        Ok(this)
    }

    /// The statements of these shapes, in order.
    pub(super) async fn ready(
        &self,
        client: &Client,
        shapes: &[Shape],
    ) -> Result<Vec<Statement>, StoreError> {
        try_join_all(shapes.iter().map(async |shape| {
            if let Some(statement) = self.0.borrow().get(shape) {
                return Ok(statement.clone());
            }
            let statement = client.prepare(&shape.text()).await?;
            let mut kept = self.0.borrow_mut();
            if kept.len() >= KEPT_MAX {
                // They are closed when the last who uses one has done so.
                kept.clear();
            }
            kept.insert(*shape, statement.clone());
            Ok(statement)
        }))
        .await
    }
}
