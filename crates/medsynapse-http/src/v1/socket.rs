//! `GET /api/v1/ws`: the events over a WebSocket, and commands with replies.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use medsynapse::domain::{self, Fill, convert};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::events::{Feed, Next, PATIENCE, Places, Types, shown};
use crate::access::{Caller, Scope};
use crate::app::App;
use crate::new_order::{Known, Shown, ordered};
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::tools::sent;

/// Most commands of one client that are carried out at a time.
const COMMANDS_MAX: usize = 8;
/// How often a client is asked whether it is still there.
const ASK_EVERY: Duration = Duration::from_secs(20);

/// The same events as `/api/v1/events`, and the commands `send`, `order`, `subscribe`, `ping`.
///
/// A command is `{"id", "command", …}` and its reply `{"reply": id, "ok", …}`.
#[utoipa::path(get, path = "/api/v1/ws", tag = "events", security(("apiKey" = ["read"])),
    responses((status = 101, description = "A WebSocket")))]
pub(crate) async fn socket(
    State(app): State<Arc<App>>,
    Extension(places): Extension<Places>,
    Extension(caller): Extension<Caller>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| {
        let text = "This route is a WebSocket; connect with a client for it";
        Problem::new(ProblemCode::UpgradeRequired, text)
    })?;
    let place = places.take()?;
    let feed = Feed::after(Arc::clone(&app), None, Types::default()).await?;
    let bytes_max = app.limits.json_bytes_max();
    let upgrade = upgrade
        .max_message_size(bytes_max)
        .max_frame_size(bytes_max);
    Ok(upgrade.on_upgrade(move |socket| {
        let client = Client {
            socket,
            feed,
            app,
            caller,
            running: FuturesUnordered::new(),
            silent: 0,
        };
        client.serve(place)
    }))
}

/// What a client asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Command {
    #[serde(default)]
    id: Value,
    #[serde(rename = "command")]
    name: String,
    /// Of `subscribe`.
    types: Option<Vec<String>>,
    last_event_id: Option<i64>,
    /// Of `send`: one form of a message.
    message: Option<Value>,
    raw: Option<Value>,
    domain: Option<Value>,
    /// Of `order`.
    order: Option<Value>,
}

struct Client {
    socket: WebSocket,
    feed: Feed,
    app: Arc<App>,
    caller: Caller,
    running: FuturesUnordered<BoxFuture<'static, Value>>,
    /// How many times it was asked whether it is there without an answer.
    silent: u8,
}

/// The end of a conversation.
struct Ended;

impl Client {
    async fn serve(mut self, place: OwnedSemaphorePermit) {
        let mut ask = tokio::time::interval(ASK_EVERY);
        ask.tick().await;
        loop {
            let going_on = tokio::select! {
                next = self.feed.next() => self.tell(next).await,
                Some(reply) = self.running.next() => self.say(&reply).await,
                frame = self.socket.recv() => match frame {
                    Some(Ok(frame)) => self.hear(frame).await,
                    Some(Err(_)) | None => Err(Ended),
                },
                _ = ask.tick() => self.ask().await,
            };
            if going_on.is_err() {
                break;
            }
        }
        drop(place);
    }

    async fn send(&mut self, frame: Frame) -> Result<(), Ended> {
        match tokio::time::timeout(PATIENCE, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            // A client that takes nothing for so long cannot be told so: the link is given up.
            Ok(Err(_)) | Err(_) => Err(Ended),
        }
    }

    async fn say(&mut self, json: &Value) -> Result<(), Ended> {
        self.send(Frame::Text(json.to_string().into())).await
    }

    async fn tell(&mut self, next: Next) -> Result<(), Ended> {
        let (code, reason) = match next {
            Next::Event(event) => return self.say(&json!({ "event": shown(&event) })).await,
            Next::Lagged => {
                let last = self.feed.last;
                self.say(&json!({ "lagged": { "lastEventId": last } }))
                    .await?;
                (close_code::AGAIN, "lagged")
            }
            Next::End => (close_code::AWAY, "the server goes down"),
        };
        let close = CloseFrame {
            code,
            reason: reason.into(),
        };
        self.send(Frame::Close(Some(close))).await?;
        Err(Ended)
    }

    async fn ask(&mut self) -> Result<(), Ended> {
        self.silent += 1;
        if self.silent > 2 {
            return Err(Ended);
        }
        self.send(Frame::Ping(bytes::Bytes::new())).await
    }

    async fn hear(&mut self, frame: Frame) -> Result<(), Ended> {
        self.silent = 0;
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Close(_) => return Err(Ended),
            Frame::Ping(_) | Frame::Pong(_) => return Ok(()),
            Frame::Binary(_) => {
                let problem = wrong("Send commands as text");
                return self.say(&refused(&Value::Null, &problem)).await;
            }
        };
        let Ok(command) = serde_json::from_str::<Command>(&text) else {
            let text = "A command is {\"id\", \"command\": send, order, subscribe or ping, …}";
            return self.say(&refused(&Value::Null, &wrong(text))).await;
        };
        if command.id.to_string().len() > 200 {
            return self
                .say(&refused(&Value::Null, &wrong("The id is too long")))
                .await;
        }
        let id = command.id.clone();
        match self.obey(command) {
            Ok(Some(reply)) => self.say(&reply).await,
            Ok(None) => Ok(()),
            Err(problem) => self.say(&refused(&id, &problem)).await,
        }
    }

    /// Does what a command says; what takes time is answered later.
    fn obey(&mut self, command: Command) -> Result<Option<Value>, Problem> {
        let id = command.id;
        match command.name.as_str() {
            "ping" => Ok(Some(json!({ "reply": id, "ok": true }))),
            "subscribe" => {
                let types = command.types.unwrap_or_default();
                self.feed.types = Types::of(types.iter().map(String::as_str));
                if let Some(last) = command.last_event_id {
                    if last < 0 {
                        return Err(wrong("lastEventId is the id of an event"));
                    }
                    self.feed.rewind(last);
                }
                Ok(Some(
                    json!({ "reply": id, "ok": true, "lastEventId": self.feed.last }),
                ))
            }
            "send" | "order" if !self.caller.scopes.allow(Scope::Send) => Err(Problem::new(
                ProblemCode::InsufficientScope,
                "This key or token may not do that: it needs the scope send",
            )),
            "send" | "order" if self.running.len() >= COMMANDS_MAX => Err(Problem::new(
                ProblemCode::TooManyCommands,
                "Wait for the replies to the commands before",
            )),
            "send" => {
                let forms = [
                    ("message", command.message),
                    ("raw", command.raw),
                    ("domain", command.domain),
                ];
                let entry = forms
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)));
                let entry = Value::Object(entry.collect());
                let app = Arc::clone(&self.app);
                self.run(id, async move { send(&app, &entry).await });
                Ok(None)
            }
            "order" => {
                let order = command.order.ok_or_else(|| wrong("order needs an order"))?;
                let app = Arc::clone(&self.app);
                self.run(id, async move {
                    let request = domain::Request::from_value(&json!({ "order": order }))?;
                    let options = Shown::default().options(&app)?;
                    Ok(ordered(&app, &request, &options).await?.0)
                });
                Ok(None)
            }
            _ => Err(wrong(
                "Unknown command; there are send, order, subscribe and ping",
            )),
        }
    }

    fn run(
        &mut self,
        id: Value,
        work: impl Future<Output = Result<Value, Problem>> + Send + 'static,
    ) {
        self.running.push(Box::pin(async move {
            match work.await {
                Ok(result) => json!({ "reply": id, "ok": true, "result": result }),
                Err(problem) => refused(&id, &problem),
            }
        }));
    }
}

async fn send(app: &App, entry: &Value) -> Result<Value, Problem> {
    let options = Shown::default().options(app)?;
    let asked = entry
        .get("domain")
        .map(domain::Request::from_value)
        .and_then(Result::ok);
    let known = Known::of(app, asked.as_ref()).await?;
    let converted = known.within(app, |context| {
        convert(
            entry,
            &domain::Context {
                fill: Fill::Missing,
                ..*context
            },
            &options,
        )
    })?;
    sent(app, &converted.bytes).await
}

fn wrong(text: &'static str) -> Problem {
    Problem::new(ProblemCode::InvalidCommand, text)
}

fn refused(id: &Value, problem: &Problem) -> Value {
    json!({ "reply": id, "ok": false, "problem": problem.to_json() })
}
