//! Keys, certificates, address lists and the audit trail of a running server.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::server::{PATIENCE, Server, command, run};

/// Runs a subcommand over a data directory.
fn tool(data_dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hl7-server"));
    command
        .env_clear()
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    run(command)
}

async fn status(server: &Server, key: &str) -> u16 {
    let client = reqwest::Client::new();
    let asking = client.get(format!("{}/api/hl7/types", server.rest));
    asking
        .header("x-api-key", key)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !check().await {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn keys_are_added_and_taken_back_while_the_server_runs() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let server = Server::start(data, &[]);
    assert_eq!(status(&server, "none").await, 200);

    let (code, secret, told) = tool(data, &["keys", "add", "ris", "--scopes", "read"]);
    assert_eq!(code, Some(0), "{told}");
    let secret = secret.trim();
    assert_eq!(secret.len(), "msk_".len() + 43);
    assert!(!told.contains(secret));
    until("the key closes", async || {
        status(&server, "none").await == 401
    })
    .await;
    assert_eq!(status(&server, secret).await, 200);

    let (_, listed, _) = tool(data, &["keys", "list", "--json"]);
    let key: serde_json::Value = serde_json::from_str(listed.trim()).unwrap();
    assert_eq!(
        (&key["name"], &key["scopes"][0]),
        (&"ris".into(), &"read".into())
    );
    assert!(!listed.contains(secret));
    for file in ["access.db", "access.db-wal"] {
        let bytes = std::fs::read(data.join(file)).unwrap_or_default();
        assert!(
            !bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes()),
            "{file}"
        );
    }

    let id = key["id"].as_str().unwrap();
    assert_eq!(tool(data, &["keys", "revoke", id]).0, Some(0));
    until("the key is taken back", async || {
        status(&server, secret).await == 401
    })
    .await;
    assert_eq!(tool(data, &["keys", "revoke", id]).0, Some(1));
    // With no key in use the server stays closed, until its owner says otherwise.
    assert_eq!(status(&server, "none").await, 401);
    assert_eq!(tool(data, &["keys", "purge"]).0, Some(0));
    until("the server is open again", async || {
        status(&server, "none").await == 200
    })
    .await;

    for arguments in [
        ["keys", "add", "x", "--scopes", "everything"],
        ["keys", "add", "x", "--expires", "soon"],
        ["keys", "add", "x", "--expires", "0d"],
    ] {
        assert_eq!(tool(data, &arguments).0, Some(2), "{arguments:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_kept_of_keys_and_of_the_trail_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    server.get("/api/hl7/types").await;
    for file in ["access.db", "access.db-wal", "access.db-shm", "audit.key"] {
        let mode = std::fs::metadata(directory.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_trail_is_verified_and_a_changed_entry_is_found() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    assert_eq!(tool(data, &["audit", "verify"]).0, Some(1));
    let server = Server::start(data, &[]);
    for _ in 0..5 {
        server.get("/api/hl7/types").await;
    }
    server.signal("TERM");
    assert!(server.ended().success());
    let (code, said, error) = tool(data, &["audit", "verify"]);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(said, "The audit trail is whole: 5 entries.\n");

    let database = rusqlite::Connection::open(data.join("access.db")).unwrap();
    let change = "UPDATE trail SET outcome = 401 WHERE n = 3";
    assert!(database.execute(change, []).is_err());
    database
        .execute("DROP TRIGGER trail_is_never_changed", [])
        .unwrap();
    database.execute(change, []).unwrap();
    drop(database);
    let (code, _, error) = tool(data, &["audit", "verify"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("broken at entry 3"), "{error}");
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(parameters, key).unwrap())
    }

    /// A certificate and its key, in PEM.
    fn sign(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let parameters = CertificateParams::new(names).unwrap();
        let issuer: &Issuer<'_, KeyPair> = &self.0;
        (
            parameters.signed_by(&key, issuer).unwrap().pem(),
            key.serialize_pem(),
        )
    }

    fn client(&self, identity: Option<(String, String)>) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.0.pem().as_bytes()).unwrap();
        let mut builder = reqwest::Client::builder()
            .tls_certs_only([root])
            .pool_max_idle_per_host(0);
        if let Some((certificate, key)) = identity {
            let pem = format!("{certificate}{key}");
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }
}

#[tokio::test]
async fn mutual_tls_and_a_certificate_that_is_exchanged() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (first, clients) = (Authority::new(), Authority::new());
    let write = |(certificate, key): (String, String)| {
        std::fs::write(path("cert.pem"), certificate).unwrap();
        std::fs::write(path("key.pem"), key).unwrap();
    };
    write(first.sign());
    std::fs::write(path("clients.pem"), clients.0.pem()).unwrap();
    let shown = |name: &str| path(name).display().to_string();
    let (cert, key, ca) = (shown("cert.pem"), shown("key.pem"), shown("clients.pem"));
    let tls = format!("cert = '{cert}'\nkey = '{key}'\nclient_ca = '{ca}'\n");
    std::fs::write(
        path("broker.toml"),
        format!("[rest.tls]\n{tls}[mllp.tls]\n{tls}"),
    )
    .unwrap();
    let config = shown("broker.toml");
    let server = Server::start(&path("data"), &["--config", &config]);
    let url = server.rest.replace("http://", "https://") + "/api/v1/health/live";

    let known = clients.sign();
    let asked = |client: reqwest::Client| {
        let url = url.clone();
        async move {
            client
                .get(url)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
        }
    };
    assert!(asked(first.client(Some(known.clone()))).await);
    assert!(!asked(first.client(None)).await);
    assert!(!asked(first.client(Some(first.sign()))).await);
    assert!(
        reqwest::get(url.replace("https://", "http://"))
            .await
            .is_err()
    );

    let second = Authority::new();
    write(second.sign());
    until("the new certificate", async || {
        asked(second.client(Some(known.clone()))).await
    })
    .await;
    assert!(!asked(first.client(Some(known.clone()))).await);
    // A file that is half written is no certificate: the old one stays.
    std::fs::write(path("cert.pem"), "-----BEGIN CERTIFICATE-----\nMII").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(asked(second.client(Some(known.clone()))).await);
}

/// The gateway sends to this broker and the health check asks it, whatever its certificate says.
#[tokio::test]
async fn a_server_with_tls_alone_can_speak_to_itself() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let authority = Authority::new();
    let (certificate, key) = authority.sign();
    std::fs::write(path("cert.pem"), certificate).unwrap();
    std::fs::write(path("key.pem"), key).unwrap();
    std::fs::write(path("ca.pem"), authority.0.pem()).unwrap();
    let shown = |name: &str| path(name).display().to_string();
    let (cert, key, ca) = (shown("cert.pem"), shown("key.pem"), shown("ca.pem"));
    let tls = format!("cert = '{cert}'\nkey = '{key}'\n");
    let text = format!("[rest.tls]\n{tls}[mllp.tls]\n{tls}client_ca = '{ca}'\n");
    std::fs::write(path("broker.toml"), text).unwrap();
    let config = shown("broker.toml");
    let server = Server::start(&path("data"), &["--config", &config]);
    let rest = server.rest.replace("http://", "https://");
    let order = serde_json::json!({"order": {
        "accessionNumber": "CT-1001",
        "patient": {"id": "P1", "name": "SMITH, JOHN", "gender": "M", "dateOfBirth": "19800101"},
        "study": {"description": "CT CHEST", "priority": "ROUTINE"},
    }});
    let answer = authority
        .client(None)
        .post(format!("{rest}/api/orders"))
        .json(&order)
        .send()
        .await
        .unwrap();
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 201, "{body}");

    let port = rest.rsplit_once(':').unwrap().1;
    let rest = format!("127.0.0.1:{port}");
    let (code, _, error) = tool(
        &path("data"),
        &["--config", &config, "--rest", &rest, "healthcheck"],
    );
    assert_eq!(code, Some(0), "{error}");
    // Another certificate on the port is another server.
    std::fs::write(path("cert.pem"), Authority::new().sign().0).unwrap();
    let (code, _, error) = tool(
        &path("data"),
        &["--config", &config, "--rest", &rest, "healthcheck"],
    );
    assert_eq!(code, Some(1));
    assert!(error.contains("another certificate"), "{error}");
}

#[tokio::test]
async fn addresses_that_are_not_listed_are_not_answered() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("broker.toml");
    std::fs::write(&config, "[rest]\nallow = ['10.0.0.0/8']\n").unwrap();
    let config = config.display().to_string();
    let server = Server::start(&directory.path().join("data"), &["--config", &config]);
    assert!(
        reqwest::get(format!("{}/api/v1/health/live", server.rest))
            .await
            .is_err()
    );
    assert_eq!(reqwest::get(&server.web).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_bind_that_others_can_reach_needs_a_key_and_the_pages_ask_for_it() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    for flag in ["--rest", "--web"] {
        let (code, _, error) = tool(data, &[flag, "0.0.0.0:0"]);
        assert_eq!(code, Some(2));
        assert!(
            error.contains("keys add") && error.contains("--insecure"),
            "{error}"
        );
    }
    let (_, secret, _) = tool(data, &["keys", "add", "desk", "--scopes", "read"]);
    let server = Server::start_at(data, "0.0.0.0:0", &[]);
    let web = server.web.replace("0.0.0.0", "127.0.0.1");
    let client = reqwest::Client::new();
    let answer = client.get(&web).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(
        answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic")
    );
    let answer = client
        .get(&web)
        .basic_auth("me", Some(secret.trim()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    // Keys that are gone leave it closed.
    let (_, listed, _) = tool(data, &["keys", "list", "--json"]);
    let key: serde_json::Value = serde_json::from_str(listed.trim()).unwrap();
    tool(data, &["keys", "revoke", key["id"].as_str().unwrap()]);
    tool(data, &["keys", "purge"]);
    let rest = server.rest.replace("0.0.0.0", "127.0.0.1") + "/api/hl7/types";
    until("closed", async || {
        client
            .get(&web)
            .basic_auth("me", Some(secret.trim()))
            .send()
            .await
            .unwrap()
            .status()
            == 401
    })
    .await;
    assert_eq!(client.get(&rest).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn on_this_machine_too_the_pages_ask_for_a_key_as_soon_as_there_is_one() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let server = Server::start(data, &[]);
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let page = async |path: &str| {
        let asked = browser.get(format!("{}{path}", server.web));
        asked.header("accept", "text/html").send().await.unwrap()
    };
    let open = page("/orders").await;
    assert_eq!(open.status(), 200);
    assert!(!open.text().await.unwrap().contains("Log out"));
    assert_eq!(page("/login").await.status(), 303);
    let (_, secret, _) = tool(data, &["keys", "add", "desk", "--scopes", "read"]);
    until("closed", async || page("/orders").await.status() == 303).await;
    assert_eq!(
        page("/orders").await.headers()["location"],
        "/login?next=%2Forders"
    );
    assert_eq!(page("/login").await.status(), 200);
    let counts = format!("{}/api/message-types", server.web);
    assert_eq!(browser.get(&counts).send().await.unwrap().status(), 401);
    let by_key = browser.get(&counts).header("x-api-key", secret.trim());
    assert_eq!(by_key.send().await.unwrap().status(), 200);
    // A server that starts with keys is closed from the first request on.
    drop(server);
    let server = Server::start(data, &[]);
    let asked = browser.get(&server.web).header("accept", "text/html");
    assert_eq!(asked.send().await.unwrap().status(), 303);
}

#[tokio::test]
async fn a_browser_logs_in_once_and_shows_no_key_again() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let (_, secret, _) = tool(data, &["keys", "add", "desk", "--scopes", "read"]);
    let server = Server::start_at(data, "0.0.0.0:0", &[]);
    let web = server.web.replace("0.0.0.0", "127.0.0.1");
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let page = |path: &str| {
        browser
            .get(format!("{web}{path}"))
            .header("accept", "text/html")
    };
    let answer = page("/orders?q=a%20b").send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(
        answer.headers()["location"],
        "/login?next=%2Forders%3Fq%3Da%2520b"
    );
    assert_eq!(page("/login").send().await.unwrap().status(), 200);
    assert_eq!(
        page("/assets/style.css").send().await.unwrap().status(),
        200
    );
    let enter = async |key: &str| {
        let form = format!("key={key}&next=%2Forders");
        let kind = "application/x-www-form-urlencoded";
        let login = browser
            .post(format!("{web}/login"))
            .header("content-type", kind);
        login.body(form).send().await.unwrap()
    };
    assert_eq!(enter("guess").await.status(), 401);
    let answer = enter(secret.trim()).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/orders");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(secret.trim()));
    let pair = cookie.split(';').next().unwrap().to_owned();
    let answer = page("/orders")
        .header("cookie", &pair)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!answer.text().await.unwrap().contains(secret.trim()));
    // Nobody else's page acts for the browser.
    let act = |origin: &str| {
        let send = browser.post(format!("{web}/logout"));
        send.header("cookie", &pair).header("origin", origin).send()
    };
    let status = act("https://evil.example").await.unwrap().status();
    assert_eq!(status, 403);
    // A key that is taken back ends the session that it opened.
    let (_, listed, _) = tool(data, &["keys", "list", "--json"]);
    let key: serde_json::Value = serde_json::from_str(listed.trim()).unwrap();
    tool(data, &["keys", "revoke", key["id"].as_str().unwrap()]);
    until("closed", async || {
        let answer = page("/orders")
            .header("cookie", &pair)
            .send()
            .await
            .unwrap();
        answer.status() == 303
    })
    .await;
}

#[test]
fn the_document_of_the_api_is_printed() {
    let directory = TempDir::new().unwrap();
    let (code, text, _) = tool(directory.path(), &["openapi"]);
    assert_eq!(code, Some(0));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

/// A proxy on the same machine reaches 127.0.0.1 for everybody.
#[test]
fn a_name_for_others_without_a_key_is_warned_about() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("broker.toml");
    let toml = "[rest]\nallowed_hosts = [\"broker.example.org\"]\n";
    let warned = |toml: &str| {
        std::fs::write(&file, toml).unwrap();
        let mut child = command(&directory.path().join("data"))
            .arg("--config")
            .arg(&file)
            .spawn()
            .unwrap();
        // The banner is the last that is said at the start.
        let lines: Vec<String> = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.contains("Ctrl-C"))
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        lines
            .iter()
            .any(|line| line.contains("no key is asked for"))
    };
    assert!(warned(toml));
    assert!(!warned(&format!("{toml}api_keys = [\"0123456789\"]\n")));
    assert!(!warned(""));
}
