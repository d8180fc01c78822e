//! `GET /orders/board`: the orders by where they are in their life.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use medsynapse::OrderState;
use medsynapse_store::{OrderQuery, Paging};

use crate::address::Address;
use crate::app::{Frame, Shared};
use crate::error_page::{render, unavailable};
use crate::orders::{OrderRow, state_words};
use crate::reading::read;

/// Most orders of a column.
const CARDS_MAX: u32 = 20;

#[derive(Template)]
#[template(path = "board.html")]
struct BoardPage {
    frame: Frame,
    columns: Vec<Column>,
}

/// The orders in one state, the one registered last first.
struct Column {
    title: &'static str,
    tone: &'static str,
    cards: Vec<OrderRow>,
    /// Where all of them are listed.
    all: String,
    more: bool,
}

pub(crate) async fn board(State(shared): State<Arc<Shared>>) -> Response {
    let found = read(shared.app.broker.store(), |store| {
        let column = |state| {
            let paging = Paging {
                cursor: None,
                limit: CARDS_MAX,
            };
            let query = OrderQuery {
                state: Some(state),
                paging,
                ..OrderQuery::default()
            };
            Ok((state, store.orders(&query)?))
        };
        OrderState::ALL
            .into_iter()
            .map(column)
            .collect::<Result<Vec<_>, _>>()
    });
    let Some(found) = found.await else {
        return unavailable(&shared);
    };
    let clock = shared.app.clock.as_ref();
    let columns = found.into_iter().map(|(state, orders)| {
        let (title, tone) = state_words(state);
        Column {
            title,
            tone,
            cards: orders
                .items
                .iter()
                .map(|record| OrderRow::of(record, clock))
                .collect(),
            all: Address::to("/orders").with("state", state.as_str()).done(),
            more: orders.next.is_some(),
        }
    });
    render(&BoardPage {
        frame: Frame::of(&shared.app),
        columns: columns.collect(),
    })
}
