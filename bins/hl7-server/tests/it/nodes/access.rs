//! Keys, answers and the audit trail of servers that share a database.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use medsynapse_store::testing::Cluster;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{PATIENCE, Server, command, run};

/// A subcommand over a database, from a machine that has no server.
fn tool(url: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hl7-server"));
    command
        .env_clear()
        .args(arguments)
        .args(["--database", url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    run(command)
}

pub(super) fn done(url: &str, arguments: &[&str]) -> String {
    let (code, out, error) = tool(url, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {error}");
    out.trim().to_owned()
}

async fn answer(url: String, key: &str) -> (u16, String) {
    let asking = reqwest::Client::new().get(url).header("x-api-key", key);
    let answer = asking.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

pub(super) async fn status(server: &Server, path: &str, key: &str) -> u16 {
    answer(format!("{}{path}", server.rest), key).await.0
}

pub(super) async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !check().await {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Entries of the trail, from the first, as a server tells them.
pub(super) async fn trail(server: &Server, key: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!("{}/api/v1/audit?limit=200{cursor}", server.rest);
        let (status, text) = answer(url, key).await;
        assert_eq!(status, 200, "{text}");
        let page: Value = serde_json::from_str(&text).unwrap();
        items.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else {
            items.reverse();
            return items;
        };
        cursor = format!("&cursor={next}");
    }
}

struct Pair {
    url: String,
    directory: TempDir,
    one: Server,
    two: Server,
}

impl Pair {
    fn start(cluster: &Cluster) -> Self {
        let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
        let start = |name| Server::start(&directory.path().join(name), &["--database", &url]);
        let (one, two) = (start("one"), start("two"));
        Self {
            url,
            directory,
            one,
            two,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_opens_every_server_until_it_is_taken_back() {
    let Some(cluster) = Cluster::or_skip("a_key_opens_every_server_until_it_is_taken_back") else {
        return;
    };
    let Pair {
        url,
        one,
        two,
        directory,
    } = Pair::start(&cluster);
    let path = "/api/hl7/types";
    assert_eq!(status(&one, path, "none").await, 200);
    let secret = done(&url, &["keys", "add", "ris", "--scopes", "read"]);
    for server in [&one, &two] {
        until("the key closes", async || {
            status(server, path, "none").await == 401
        })
        .await;
        assert_eq!(status(server, path, &secret).await, 200);
    }
    let listed = done(&url, &["keys", "list", "--json"]);
    assert!(!listed.contains(&secret));
    let key: Value = serde_json::from_str(&listed).unwrap();
    let id = key["id"].as_str().unwrap();
    done(&url, &["keys", "revoke", id]);
    for server in [&one, &two] {
        until("it is taken back", async || {
            status(server, path, &secret).await == 401
        })
        .await;
    }
    done(&url, &["keys", "purge"]);
    for server in [&one, &two] {
        until("they are open again", async || {
            status(server, path, "none").await == 200
        })
        .await;
    }
    // Nothing of it lies with a server.
    for name in ["one", "two"] {
        for file in ["access.db", "audit.key"] {
            assert!(!directory.path().join(name).join(file).exists(), "{file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_to_two_servers_at_once_is_carried_out_once() {
    const PAIRS: usize = 200;
    let Some(cluster) =
        Cluster::or_skip("a_request_that_comes_to_two_servers_at_once_is_carried_out_once")
    else {
        return;
    };
    let group = Pair::start(&cluster);
    let client = reqwest::Client::new();
    let post = async |server: &Server, key: &str, body: &Value| {
        let asking = client.post(format!("{}/api/orders", server.rest));
        let asking = asking.header("idempotency-key", key).json(body);
        let answer = asking.send().await.unwrap();
        let again = answer.headers().contains_key("idempotent-replayed");
        let location = answer.headers().get("location").cloned();
        let status = answer.status().as_u16();
        (again, (status, location, answer.text().await.unwrap()))
    };
    for number in 0..PAIRS {
        let body = json!({"order": {
            "patient": {"id": format!("P{number}"), "name": "DOE", "gender": "F"},
            "study": {"description": "CT HEAD"},
        }});
        let key = format!("pair-{number}");
        let (one, two) = tokio::join!(post(&group.one, &key, &body), post(&group.two, &key, &body));
        assert_eq!(one.1.0, 201, "{}", one.1.2);
        assert_eq!(one.1, two.1, "they are answered alike");
        assert!(one.0 != two.0, "one of them is the first");
        // And again, whoever is asked.
        let server = if number % 2 == 0 {
            &group.one
        } else {
            &group.two
        };
        assert_eq!(post(server, &key, &body).await, (true, one.1));
        let other = post(server, &key, &json!({})).await;
        assert_eq!(other.1.0, 422, "of another request");
    }
    for server in [&group.one, &group.two] {
        let stored = server.get("/api/hl7/messages").await;
        assert_eq!(stored["totalCount"], PAIRS, "{stored}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_of_two_servers_is_one() {
    const REQUESTS: usize = 150;
    let Some(cluster) = Cluster::or_skip("the_trail_of_two_servers_is_one") else {
        return;
    };
    let Pair { url, one, two, .. } = Pair::start(&cluster);
    let ask = async |server: &Server, name: &str| {
        for number in 0..REQUESTS {
            status(server, &format!("/api/v1/orders/{name}{number}"), "").await;
        }
    };
    tokio::join!(
        ask(&one, "L"),
        ask(&two, "R"),
        ask(&one, "l"),
        ask(&two, "r")
    );
    let count = async |server: &Server| {
        let items = trail(server, "").await;
        let orders = items.iter().filter(|item| item["target"] != "");
        orders.count()
    };
    until("all of it is written", async || {
        count(&one).await == 4 * REQUESTS
    })
    .await;
    let whole = done(&url, &["audit", "verify"]);
    assert!(whole.contains("is whole"), "{whole}");
    let (left, right) = (trail(&one, "").await, trail(&two, "").await);
    assert_eq!(
        left[..4 * REQUESTS],
        right[..4 * REQUESTS],
        "they tell the same"
    );
    for name in ["L", "R", "l", "r"] {
        let of = |item: &&Value| item["target"].as_str().unwrap().starts_with(name);
        let targets = left.iter().filter(of).map(|item| item["target"].clone());
        let expected = (0..REQUESTS).map(|number| Value::from(format!("{name}{number}")));
        assert!(targets.eq(expected), "{name} is in order");
    }
    // Somebody with the database in hand.
    for change in [
        "DROP TRIGGER trail_is_append_only ON trail",
        "UPDATE trail SET outcome = 200 WHERE n = 17",
    ] {
        cluster.run(&url, change).unwrap();
    }
    let (code, _, error) = tool(&url, &["audit", "verify"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("entry 17"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_keys_open_while_the_database_is_away() {
    // One of its own: others must not lose theirs.
    let Ok(cluster) = Cluster::start() else {
        assert!(Cluster::or_skip("known_keys_open_while_the_database_is_away").is_none());
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let secret = done(&url, &["keys", "add", "all", "--scopes", "admin"]);
    let server = Server::start(directory.path(), &["--database", &url]);
    let metrics = "/api/v1/metrics";
    assert_eq!(status(&server, metrics, &secret).await, 200);
    cluster.down("QUIT");
    assert_eq!(status(&server, "/api/v1/health/live", "").await, 200);
    assert_eq!(status(&server, metrics, "wrong").await, 401);
    let mut asked = 2;
    for _ in 0..20 {
        assert_eq!(status(&server, metrics, &secret).await, 200);
        asked += 1;
    }
    let post = async || {
        let asking = reqwest::Client::new()
            .post(format!("{}/api/v1/parse", server.rest))
            .header("x-api-key", &secret)
            .header("idempotency-key", "k")
            .json(&json!({"message": "MSH|^~\\&|A|B|C|D|20230614||ACK|X|P|2.3\rMSA|AA|1\r"}));
        let answer = asking.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (code, problem) = post().await;
    assert_eq!((code, &problem["code"]), (503, &"store_unavailable".into()));
    asked += 1;
    cluster.up().unwrap();
    assert_eq!(post().await.0, 200, "the same key once more");
    // What was asked meanwhile is written down.
    until("the trail is caught up", async || {
        let items = trail(&server, &secret).await;
        let of = |item: &&Value| item["action"] != "GET /api/v1/audit";
        items.iter().filter(of).count() == asked + 1
    })
    .await;
    let whole = done(&url, &["audit", "verify"]);
    assert!(whole.contains("is whole"), "{whole}");
    // Keys are seen again, too.
    let id = done(&url, &["keys", "list"]);
    done(&url, &["keys", "revoke", id.split(' ').next().unwrap()]);
    until("it is taken back", async || {
        status(&server, metrics, &secret).await == 401
    })
    .await;
}

fn configured(directory: &Path, name: &str, url: &str, secret: &Path) -> String {
    let path = directory.join(format!("{name}.toml"));
    let text = format!(
        "[database]\nurl = \"{url}\"\naudit_key_file = \"{}\"\n",
        secret.display()
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn secret_file(directory: &Path, name: &str, byte: u8) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, [byte; 32]).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_with_different_secrets_do_not_write_one_trail() {
    let Some(cluster) = Cluster::or_skip("servers_with_different_secrets") else {
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let place = directory.path();
    let one = secret_file(place, "one.key", 1);
    let two = secret_file(place, "two.key", 2);
    let config = configured(place, "one", &url, &one);
    let server = Server::start(&place.join("data"), &["--config", &config]);
    server.get("/api/hl7/types").await;
    drop(server);
    let said = |arguments: &[&str]| {
        let mut command = command(&place.join("other"));
        command.args(arguments);
        let (code, out, error) = run(command);
        (code, out + &error)
    };
    let other = configured(place, "two", &url, &two);
    for arguments in [
        &["--config", &other][..],
        &["--database", &url],
        &["audit", "verify", "--config", &other],
        &["audit", "verify", "--database", &url],
    ] {
        let (code, told) = said(arguments);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("database.audit_key_file"), "{told}");
    }
    let (code, told) = said(&["audit", "verify", "--config", &config]);
    assert_eq!(code, Some(0), "{told}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&one, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (code, told) = said(&["check-config", "--config", &config]);
        assert_eq!(code, Some(2));
        assert!(told.contains("chmod 600"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_others_reach_needs_a_key_in_the_database() {
    let Some(cluster) = Cluster::or_skip("a_server_that_others_reach_needs_a_key") else {
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let check = || {
        let mut command = command(directory.path());
        command.args(["check-config", "--database", &url, "--rest", "0.0.0.0:0"]);
        run(command)
    };
    let (code, _, error) = check();
    assert_eq!(code, Some(2));
    assert!(error.contains("keys add"), "{error}");
    done(&url, &["keys", "add", "desk"]);
    let (code, _, error) = check();
    assert_eq!(code, Some(0), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_trail_move_over() {
    let Some(cluster) = Cluster::or_skip("keys_and_trail_move_over") else {
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let data = directory.path();
    let mut add = command(data);
    add.args(["keys", "add", "desk", "--scopes", "admin"]);
    let (_, secret, _) = run(add);
    let secret = secret.trim();
    let server = Server::start(data, &[]);
    for _ in 0..5 {
        assert_eq!(status(&server, "/api/hl7/types", secret).await, 200);
        assert_eq!(status(&server, "/api/hl7/types", "wrong").await, 401);
    }
    until("it is written", async || {
        trail(&server, secret).await.len() >= 10
    })
    .await;
    server.signal("TERM");
    assert!(server.ended().success());
    // Whoever has keys in a file and none in the database is not left open.
    let mut lost = command(data);
    lost.args(["--database", &cluster.fresh().unwrap()]);
    let (code, _, error) = run(lost);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("access.db") && error.contains("hl7-server copy"),
        "{error}"
    );

    let copy = |more: &[&str]| {
        let mut copy = command(TempDir::new().unwrap().path());
        let from = format!("sqlite:{}", data.display());
        copy.args(["copy", "--from", &from, "--to", &url])
            .args(more);
        run(copy)
    };
    let other = configured(data, "other", &url, &secret_file(data, "other.key", 1));
    let (code, _, error) = copy(&["--config", &other]);
    assert_eq!(code, Some(1));
    assert!(error.contains("database.audit_key_file"), "{error}");
    let (code, _, error) = copy(&[]);
    assert_eq!(code, Some(0), "{error}");
    for told in ["api_keys: 1 rows", "The audit trail is whole there"] {
        assert!(error.contains(told), "{error}");
    }
    let other = directory.path().join("elsewhere");
    let server = Server::start(&other, &["--database", &url]);
    assert_eq!(status(&server, "/api/hl7/types", secret).await, 200);
    assert_eq!(status(&server, "/api/hl7/types", "wrong").await, 401);
    until("it goes on", async || {
        trail(&server, secret).await.len() >= 13
    })
    .await;
    let whole = done(&url, &["audit", "verify"]);
    assert!(whole.contains("is whole"), "{whole}");
}
