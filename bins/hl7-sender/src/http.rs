//! Sending by HTTP: JSON with the message in base64, the acknowledgement in the JSON answer.

use std::{error::Error, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::SecondsFormat;
use hl7_mllp::tls::rustls::ClientConfig;
use reqwest::{
    Client, StatusCode, Url,
    header::{HeaderMap, HeaderValue},
    redirect::Policy,
};
use serde_json::{Value, json};

use crate::{
    clock,
    link::{Failure, FailureKind, Reply},
    outgoing::{Outgoing, printable},
};

/// An HTTP endpoint that takes messages.
#[derive(Debug)]
pub(crate) struct Target {
    endpoint: Url,
    client: Client,
    timeout: Duration,
}

impl Target {
    pub(crate) fn new(
        endpoint: &str,
        api_key: Option<&str>,
        tls: Option<Arc<ClientConfig>>,
        timeout: Duration,
        keep_alive: bool,
    ) -> anyhow::Result<Self> {
        let endpoint: Url = endpoint.parse().with_context(|| {
            format!("--endpoint {endpoint} is no URL; write http://host:port/path")
        })?;
        if !matches!(endpoint.scheme(), "http" | "https") || !endpoint.has_host() {
            bail!("--endpoint {endpoint} is no HTTP address; write http://host:port/path");
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = api_key {
            let mut value = HeaderValue::from_str(key)
                .ok()
                .context("the API key holds characters that no HTTP header can carry")?;
            value.set_sensitive(true);
            headers.insert("x-api-key", value);
        }
        let mut client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("hl7-sender/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(timeout)
            .timeout(timeout);
        if let Some(tls) = tls {
            client = client.tls_backend_preconfigured(Arc::unwrap_or_clone(tls));
        }
        if is_this_machine(&endpoint) {
            client = client.no_proxy();
        }
        if !keep_alive {
            client = client.pool_max_idle_per_host(0);
        }
        let client = client.build().context("preparing the HTTP client")?;
        Ok(Self {
            endpoint,
            client,
            timeout,
        })
    }

    /// The URL, without a password that may stand in it.
    pub(crate) fn address(&self) -> String {
        let mut shown = self.endpoint.clone();
        let _ = shown.set_password(None);
        shown.into()
    }

    pub(crate) async fn exchange(
        &self,
        message: &Outgoing,
        bytes: &[u8],
        id: &[u8],
    ) -> Result<Reply, Failure> {
        let body = json!({
            "message": STANDARD.encode(bytes),
            "messageType": message.code(),
            "sendTime": clock::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        });
        let response = self
            .client
            .post(self.endpoint.clone())
            .json(&body)
            .send()
            .await;
        let response = response.map_err(|error| self.failure(&error))?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| self.failure(&error))?;
        read(status, &body, id)
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        let (peer, wait) = (self.address(), self.timeout);
        if error.is_timeout() {
            return if error.is_connect() {
                Failure::new(
                    FailureKind::ConnectTimeout,
                    format!("no connection to {peer} within {wait:?}"),
                )
            } else {
                Failure::new(
                    FailureKind::AckTimeout,
                    format!("no answer within {wait:?}"),
                )
            };
        }
        let root = root(error);
        let cause = root.to_string();
        let refused = root
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
        if refused {
            let text = format!("connection to {peer} refused: nothing listens there");
            return Failure::new(FailureKind::Refused, text);
        }
        if !error.is_connect() {
            let text = format!("the connection failed before the answer: {cause}");
            return Failure::new(FailureKind::Closed, text);
        }
        let lower = format!("{error:?}").to_ascii_lowercase();
        let kind = if lower.contains("certificate") || lower.contains("tls") {
            FailureKind::Tls
        } else if lower.contains("dns") || lower.contains("lookup") {
            FailureKind::NameNotFound
        } else {
            FailureKind::Connect
        };
        Failure::new(kind, format!("no connection to {peer}: {cause}"))
    }
}

/// What an HTTP answer says about the message that was sent.
fn read(status: StatusCode, body: &[u8], id: &[u8]) -> Result<Reply, Failure> {
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let text = format!(
            "the receiver refused the API key (HTTP {})",
            status.as_u16()
        );
        return Err(Failure::new(FailureKind::Unauthorized, text));
    }
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(text) = json.get("acknowledgment").and_then(Value::as_str) {
        return Reply::read(Bytes::copy_from_slice(text.as_bytes()), id);
    }
    let reason = json
        .get("error")
        .and_then(Value::as_str)
        .map_or_else(String::new, |text| {
            let short: String = text.chars().take(200).collect();
            format!(": {}", printable(short.as_bytes()))
        });
    let code = status.as_u16();
    if matches!(code, 400 | 413 | 415 | 422 | 429) {
        let text = format!("the receiver refused the request (HTTP {code}){reason}");
        return Err(Failure::new(FailureKind::RequestRefused, text));
    }
    let text = format!("the answer holds no acknowledgment (HTTP {code}){reason}");
    Err(Failure::new(FailureKind::NoAck, text))
}

/// The innermost cause.
fn root<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// A proxy has no business between two programs of one machine.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use hl7_message::AckCode;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<AckCode, FailureKind> {
        let status = StatusCode::from_u16(status).unwrap();
        read(status, body.as_bytes(), b"42")
            .map(|reply| reply.code)
            .map_err(|error| error.kind)
    }

    fn ack(code: &str, id: &str) -> String {
        json!({ "acknowledgment": format!("MSH|^~\\&|P\rMSA|{code}|{id}|text\r") }).to_string()
    }

    #[test]
    fn the_acknowledgement_counts_whatever_the_status() {
        assert_eq!(
            answer(200, &ack("AA", "42")),
            Ok(AckCode::ApplicationAccept)
        );
        assert_eq!(
            answer(422, &ack("AR", "42")),
            Ok(AckCode::ApplicationReject)
        );
        assert_eq!(answer(503, &ack("AE", "42")), Ok(AckCode::ApplicationError));
        assert_eq!(answer(422, &ack("AR", "")), Ok(AckCode::ApplicationReject));
    }

    #[test]
    fn every_other_answer_is_a_failure_of_its_kind() {
        assert_eq!(answer(200, &ack("AA", "43")), Err(FailureKind::WrongId));
        assert_eq!(answer(200, &ack("AA", "")), Err(FailureKind::WrongId));
        assert_eq!(answer(200, &ack("??", "42")), Err(FailureKind::NoAck));
        assert_eq!(
            answer(200, "{\"acknowledgment\":\"hello\"}"),
            Err(FailureKind::NoAck)
        );
        assert_eq!(answer(200, "{}"), Err(FailureKind::NoAck));
        assert_eq!(answer(404, "<html>"), Err(FailureKind::NoAck));
        assert_eq!(answer(401, "{}"), Err(FailureKind::Unauthorized));
        assert_eq!(
            answer(400, "{\"error\":\"No message provided\"}"),
            Err(FailureKind::RequestRefused)
        );
    }

    #[test]
    fn passwords_in_urls_are_not_shown() {
        let wait = Duration::from_secs(1);
        let target = Target::new("http://user:secret@host/api", None, None, wait, false).unwrap();
        assert_eq!(target.address(), "http://user@host/api");
        assert!(Target::new("ftp://host", None, None, wait, false).is_err());
        assert!(Target::new("host:3000", None, None, wait, false).is_err());
    }
}
