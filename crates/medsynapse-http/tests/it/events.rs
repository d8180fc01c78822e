//! Events: Server-Sent Events and the WebSocket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::{SinkExt as _, StreamExt as _};
use medsynapse_broker::{Broker, EventKind, ManualClock, Origin};
use medsynapse_http::{ApiKey, ApiKeys, Scope, Scopes};
use medsynapse_store::Transport;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::bed::{Bed, now, order};
use crate::orders::with_mllp;

const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the event stream.
struct Listener(BufReader<TcpStream>);

impl Listener {
    async fn new(bed: &Bed, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(bed.address).await.unwrap();
        let request =
            format!("GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self(BufReader::new(stream));
        // The greeting says that it listens by now.
        while !listener.line().await.starts_with(": listening") {}
        listener
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line));
        assert_ne!(
            read.await.expect("a line").unwrap(),
            0,
            "the stream has ended"
        );
        line.trim_end().to_owned()
    }

    /// Name, id and data of the next event.
    async fn event(&mut self) -> (String, String, Value) {
        let (mut name, mut id, mut data) = (String::new(), String::new(), None);
        loop {
            let line = self.line().await;
            match (line.split_once(": "), data.take()) {
                (Some(("event", text)), _) => text.clone_into(&mut name),
                (Some(("id", text)), read) => {
                    text.clone_into(&mut id);
                    data = read;
                }
                (Some(("data", text)), _) => data = Some(serde_json::from_str(text).unwrap()),
                (None, Some(data)) if line.is_empty() => return (name, id, data),
                (_, read) => data = read,
            }
        }
    }
}

#[tokio::test]
async fn what_happens_is_told_and_can_be_told_again() {
    let bed = Bed::new().await;
    let mut live = Listener::new(&bed, "", "").await;
    bed.send(&order("M1", "A1")).await;
    let (name, first, data) = live.event().await;
    assert_eq!(
        (name.as_str(), &data["messageId"]),
        ("message.received", &1.into())
    );
    assert_eq!(data["id"].to_string(), first);
    let (name, second, data) = live.event().await;
    assert_eq!(
        (name.as_str(), &data["accessionNumber"]),
        ("order.created", &"A1".into())
    );
    assert!(!data.to_string().contains("SMITH") && !data.to_string().contains("PAT789"));

    bed.send(&order("M2", "A2")).await;
    let (_, third, _) = live.event().await;
    // Who was away goes on where it was, however it says so.
    let mut away = Listener::new(&bed, "", &format!("Last-Event-ID: {first}\r\n")).await;
    assert_eq!(away.event().await.1, second);
    assert_eq!(away.event().await.1, third);
    let mut away = Listener::new(&bed, &format!("?lastEventId={second}"), "").await;
    assert_eq!(away.event().await.1, third);
    let mut all = Listener::new(&bed, "?lastEventId=0&types=order.*", "").await;
    assert_eq!(all.event().await.2["accessionNumber"], "A1");
    assert_eq!(all.event().await.2["accessionNumber"], "A2");
    bed.send(&order("M3", "A3")).await;
    assert_eq!(all.event().await.2["accessionNumber"], "A3");
    assert_eq!(bed.get("/api/v1/events?lastEventId=x").await.error().0, 400);
}

async fn receive(broker: &Arc<Broker>, number: u32) {
    let origin = Origin {
        transport: Transport::Http,
        peer: "test".into(),
    };
    let message = order(&format!("M{number}"), &format!("A{number}"));
    broker.receive(message.into(), origin).await.unwrap();
}

#[tokio::test]
async fn a_slow_client_is_told_and_slows_nobody() {
    let mut broker = None;
    let bed = Bed::with(|app| broker = Some(Arc::clone(&app.broker))).await;
    let broker = broker.unwrap();
    receive(&broker, 1).await;
    let mut slow = Listener::new(&bed, "?lastEventId=0", "").await;
    assert_eq!(slow.event().await.0, "message.received");
    let first = slow.event().await.1;
    // Nothing is read while far more happens than fits into any buffer of the network.
    let start = Instant::now();
    for _ in 0..100 {
        for _ in 0..1_000 {
            let peer = "203.0.113.17:50000".to_owned();
            broker.publish(EventKind::ConnectionOpened { peer });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    receive(&broker, 2).await;
    assert!(
        start.elapsed() < PATIENCE,
        "a client that does not read slows a sender"
    );
    let lagged = loop {
        let (name, _, data) = slow.event().await;
        if name == "lagged" {
            break data["lastEventId"].to_string();
        }
        assert_eq!(name, "connection.opened");
    };
    assert_eq!(lagged, first);
    // From there on nothing that is kept is missing.
    let mut again = Listener::new(&bed, &format!("?lastEventId={lagged}"), "").await;
    assert_eq!(again.event().await.2["messageId"], 2);
}

#[tokio::test]
async fn a_client_that_is_seconds_behind_is_told() {
    let clock = Arc::new(ManualClock::at(now()));
    let mut broker = None;
    let own = Arc::clone(&clock);
    let bed = Bed::with(|app| {
        app.clock = own;
        broker = Some(Arc::clone(&app.broker));
    })
    .await;
    let mut slow = Listener::new(&bed, "", "").await;
    // The gateway's clock is six seconds on when it comes to these.
    clock.advance(TimeDelta::seconds(6));
    receive(&broker.unwrap(), 1).await;
    let (name, id, data) = slow.event().await;
    assert_eq!(
        (name.as_str(), id.as_str(), &data["lastEventId"]),
        ("lagged", "0", &0.into())
    );
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn socket(bed: &Bed, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/api/v1/ws", bed.address)
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => Err(reply.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn say(socket: &mut Socket, json: Value) {
    socket.send(Frame::text(json.to_string())).await.unwrap();
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        let frame = tokio::time::timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        if let Frame::Text(text) = frame {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// The reply to a command; events before it are passed over.
async fn reply(socket: &mut Socket, command: Value) -> Value {
    say(socket, command).await;
    loop {
        let heard = hear(socket).await;
        if heard.get("reply").is_some() {
            return heard;
        }
    }
}

#[tokio::test]
async fn a_socket_tells_events_and_obeys() {
    let bed = with_mllp(|_| {}).await;
    let mut socket = socket(&bed, &[]).await.unwrap();
    let pong = reply(&mut socket, json!({"id": 1, "command": "ping"})).await;
    assert_eq!(pong, json!({"reply": 1, "ok": true}));
    let made = json!({"id": "o", "command": "order", "order": {
        "accessionNumber": "A1", "patient": {"id": "P1", "name": "DOE", "gender": "F"},
        "study": {"description": "CT HEAD"},
    }});
    let made = reply(&mut socket, made).await;
    assert_eq!(
        (&made["reply"], &made["ok"]),
        (&"o".into(), &true.into()),
        "{made}"
    );
    assert_eq!(made["result"]["ack"]["code"], "AA");
    let message = String::from_utf8(order("M2", "A2")).unwrap();
    let sent = reply(
        &mut socket,
        json!({"id": 2, "command": "send", "message": message}),
    )
    .await;
    assert_eq!(sent["result"]["ack"]["code"], "AA");

    let subscribed =
        json!({"id": 3, "command": "subscribe", "types": ["order.*"], "lastEventId": 0});
    assert_eq!(reply(&mut socket, subscribed).await["ok"], true);
    let first = hear(&mut socket).await;
    assert_eq!(
        (&first["event"]["type"], &first["event"]["accessionNumber"]),
        (&"order.created".into(), &"A1".into())
    );
    assert_eq!(hear(&mut socket).await["event"]["accessionNumber"], "A2");

    for (wrong, status) in [
        (json!({"id": 4, "command": "dance"}), 400),
        (json!({"id": 4, "command": "order"}), 400),
        (json!({"id": 4, "command": "order", "order": {}}), 422),
        (json!({"id": 4, "command": "send"}), 422),
        (
            json!({"id": 4, "command": "subscribe", "lastEventId": -1}),
            400,
        ),
    ] {
        let told = reply(&mut socket, wrong.clone()).await;
        assert_eq!(
            (&told["ok"], &told["problem"]["status"]),
            (&false.into(), &status.into()),
            "{wrong}"
        );
    }
    for garbage in ["", "{", "[]", "{\"x\": 1}"] {
        socket.send(Frame::text(garbage)).await.unwrap();
        assert_eq!(
            hear(&mut socket).await["problem"]["status"],
            400,
            "{garbage}"
        );
    }
}

#[tokio::test]
async fn a_socket_is_not_for_pages_of_others_nor_for_any_key() {
    let key = |scope: Scope| ApiKey {
        id: scope.as_str().into(),
        digest: Sha256::digest(scope.as_str()).into(),
        scopes: Scopes::of([scope]),
        ends_at: None,
    };
    let bed =
        Bed::with(|app| app.api_keys = ApiKeys::of([key(Scope::Read), key(Scope::Send)])).await;
    assert_eq!(socket(&bed, &[]).await.unwrap_err(), 401);
    assert_eq!(
        socket(&bed, &[("x-api-key", "send")]).await.unwrap_err(),
        403
    );
    let evil = [("x-api-key", "read"), ("origin", "https://evil.test")];
    assert_eq!(socket(&bed, &evil).await.unwrap_err(), 403);
    let own = [("x-api-key", "read"), ("origin", "http://localhost:5000")];
    let mut reading = socket(&bed, &own).await.unwrap();
    let told = reply(
        &mut reading,
        json!({"id": 1, "command": "send", "message": "MSH"}),
    )
    .await;
    assert_eq!(told["problem"]["code"], "insufficient_scope");
    assert_eq!(bed.get("/api/v1/ws").await.status, 401);
}

#[tokio::test]
async fn who_listens_is_let_go_when_the_server_goes_down() {
    let (going_down, told) = tokio::sync::watch::channel(false);
    let bed = Bed::with(|app| app.stop = told).await;
    let mut listener = Listener::new(&bed, "", "").await;
    let mut socket = socket(&bed, &[]).await.unwrap();
    going_down.send_replace(true);
    let closing = async {
        while !matches!(
            socket.next().await,
            None | Some(Ok(Frame::Close(_)) | Err(_))
        ) {}
    };
    tokio::time::timeout(PATIENCE, closing).await.unwrap();
    let mut rest = String::new();
    let reading = tokio::io::AsyncReadExt::read_to_string(&mut listener.0, &mut rest);
    // The last chunk of the body; the connection itself may stay.
    let _ = tokio::time::timeout(Duration::from_secs(2), reading).await;
}
