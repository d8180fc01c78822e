//! `GET` and `POST /login`, `POST /logout`: who may see the pages where there are keys.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use medsynapse_http::{Login, LoginError};
use serde::Deserialize;

use crate::app::{Frame, Shared};
use crate::error_page::{not_found, render};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    next: String,
    refused: String,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    next: String,
}

/// What the form holds. Not `Debug`: it is a secret.
#[derive(Default, Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    key: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn form(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let next = asked.map(|Query(asked)| asked.next).unwrap_or_default();
    if !shared.app.login.as_ref().is_some_and(Login::is_wanted) {
        // Nobody has to log in here.
        return Redirect::to(own(&next)).into_response();
    }
    page(&shared, &next, String::new())
}

fn page(shared: &Shared, next: &str, refused: String) -> Response {
    let frame = Frame {
        login: false,
        ..Frame::of(&shared.app)
    };
    render(&LoginPage {
        frame,
        next: own(next).to_owned(),
        refused,
    })
}

/// An address of these pages; anything else is the first page.
fn own(address: &str) -> &str {
    let mut letters = address.chars();
    let local = letters.next() == Some('/')
        && !matches!(letters.next(), Some('/' | '\\'))
        && !address.chars().any(char::is_control);
    if local { address } else { "/" }
}

pub(crate) async fn enter(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    form: Result<Form<Given>, FormRejection>,
) -> Response {
    let Some(login) = &shared.app.login else {
        return not_found(State(shared)).await;
    };
    let Form(given) = form.unwrap_or_default();
    let address = peer.map_or(
        IpAddr::from([0, 0, 0, 0]),
        |Extension(ConnectInfo(peer))| peer.ip(),
    );
    let now = shared.app.clock.now();
    match login.enter(given.key.trim().as_bytes(), address, now) {
        Ok((caller, cookie)) => {
            let mut response = Redirect::to(own(&given.next)).into_response();
            response.extensions_mut().insert(caller);
            with_cookie(response, &cookie)
        }
        Err(error) => {
            let text = error.to_string();
            let mut letters = text.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            let text: String = first.into_iter().chain(letters).chain(['.']).collect();
            let mut response = page(&shared, &given.next, text);
            *response.status_mut() = match error {
                LoginError::Wrong => StatusCode::UNAUTHORIZED,
                LoginError::TooMany(wait) => {
                    let wait = HeaderValue::from(wait.as_secs());
                    response.headers_mut().insert(RETRY_AFTER, wait);
                    StatusCode::TOO_MANY_REQUESTS
                }
                LoginError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            };
            response
        }
    }
}

pub(crate) async fn leave(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let Some(login) = &shared.app.login else {
        return not_found(State(shared)).await;
    };
    let cookie = login.leave(&headers);
    with_cookie(Redirect::to("/login").into_response(), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::own;

    #[test]
    fn a_login_leads_to_pages_of_its_own() {
        for address in ["/", "/orders?q=x", "/messages/1"] {
            assert_eq!(own(address), address);
        }
        for address in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "x",
            "/\n/x",
        ] {
            assert_eq!(own(address), "/", "{address}");
        }
    }
}
