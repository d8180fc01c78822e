//! What is shown where a page cannot be.

use std::any::Any;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::app::{Frame, Shared};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    title: &'static str,
    text: &'static str,
}

/// A page, or what is shown where it cannot be written.
pub(crate) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(crate) fn error_page(
    shared: &Shared,
    status: StatusCode,
    title: &'static str,
    text: &'static str,
) -> Response {
    let page = ErrorPage {
        frame: Frame::of(&shared.app),
        title,
        text,
    };
    (status, render(&page)).into_response()
}

pub(crate) fn unavailable(shared: &Shared) -> Response {
    let text = "The message store does not answer. The log of the server says why; try again in \
                a moment.";
    error_page(
        shared,
        StatusCode::SERVICE_UNAVAILABLE,
        "The messages cannot be read",
        text,
    )
}

pub(crate) async fn not_found(State(shared): State<Arc<Shared>>) -> Response {
    let text = "There is no page at this address. The list of messages is a good place to go on.";
    error_page(&shared, StatusCode::NOT_FOUND, "No such page", text)
}

pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a page broke off in a panic");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server failed to make this page.",
    )
        .into_response()
}
