//! Encryption at rest, as somebody who runs the broker meets it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::server::{Server, command, order, run};

struct Place {
    directory: TempDir,
    data: PathBuf,
    key: PathBuf,
}

impl Place {
    /// A directory, and a key that the program made.
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let place = Self {
            data: directory.path().join("data"),
            key: directory.path().join("data.key"),
            directory,
        };
        place.new_key(&["--name", "first"]);
        place
    }

    fn new_key(&self, arguments: &[&str]) {
        let mut asked = command(&self.data);
        asked.args(["encryption", "new-key"]).arg(&self.key);
        asked.args(arguments);
        let (code, out, told) = run(asked);
        assert_eq!((code, out.as_str()), (Some(0), ""), "{told}");
        assert!(told.contains("Keep a copy"), "{told}");
        assert!(!told.contains(self.secret().as_str()), "the key is shown");
    }

    /// What must not be shown: the first secret.
    fn secret(&self) -> String {
        let text = std::fs::read_to_string(&self.key).unwrap();
        let line = text.lines().next().unwrap();
        line.split_once(':').unwrap().1.to_owned()
    }

    fn with_key(&self) -> [&str; 2] {
        ["--encryption-key-file", self.key.to_str().unwrap()]
    }

    fn ask(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut asked = command(&self.data);
        asked.args(self.with_key()).args(arguments);
        run(asked)
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let (code, out, told) = self.ask(arguments);
        assert_eq!(code, Some(0), "{told}");
        out + &told
    }

    /// Starts what converts the database, and ends it by force soon after.
    fn killed(&self, what: &str, after: Duration) {
        let mut asked = command(&self.data);
        asked.args(self.with_key()).args(["encryption", what]);
        let mut child = asked.spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Which files of a directory hold a text.
fn holding(directory: &Path, text: &str) -> Vec<PathBuf> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(text.len()).any(|at| at == text.as_bytes())
        })
        .collect()
}

async fn total(server: &Server) -> u64 {
    server.get("/api/hl7/messages").await["totalCount"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn a_new_database_is_encrypted_from_its_first_row_and_opens_with_its_key_alone() {
    let place = Place::new();
    let server = Server::start(&place.data, &place.with_key());
    let mut client = server.client().await;
    for number in 0..5 {
        client.exchange(order(number).as_bytes()).await.unwrap();
    }
    assert_eq!(holding(&place.data, "SMITH"), [] as [PathBuf; 0]);
    server.kill();
    assert_eq!(holding(&place.data, "SMITH"), [] as [PathBuf; 0]);

    let server = Server::start(&place.data, &place.with_key());
    assert_eq!(total(&server).await, 5);
    let orders = server.get("/api/v1/orders?q=smith").await;
    assert_eq!(
        orders["items"].as_array().map(Vec::len),
        Some(5),
        "{orders}"
    );
    drop(server);

    // Without it, or with another one, nothing starts, and nobody can connect.
    let refused = |arguments: &[&str], said: &str| {
        let mut asked = command(&place.data);
        asked.args(["--print-ports", "--quiet"]).args(arguments);
        let (code, out, told) = run(asked);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{told}");
        assert!(told.contains(said), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    };
    refused(&[], "the database is encrypted; name its key file");
    let right = place.key.with_extension("right");
    std::fs::rename(&place.key, &right).unwrap();
    place.new_key(&["--name", "second"]);
    refused(&place.with_key(), "the key first is not among the keys");
    std::fs::remove_file(&place.key).unwrap();
    place.new_key(&["--name", "first"]);
    refused(&place.with_key(), "the key first is not the one");
    std::fs::rename(&right, &place.key).unwrap();

    // The log is replayed with it, and a backup holds no name either and is restored with it.
    let told = place.done(&["replay"]);
    assert!(told.contains("5 entries lead to what is kept"), "{told}");
    let restored = place.directory.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    let file = restored.join("medsynapse.db");
    let told = place.done(&["backup", file.to_str().unwrap()]);
    assert!(told.contains("every one of them checked"), "{told}");
    assert_eq!(holding(&restored, "SMITH"), [] as [PathBuf; 0]);
    let server = Server::start(&restored, &place.with_key());
    assert_eq!(total(&server).await, 5);
}

#[test]
fn a_key_file_is_checked_with_the_configuration() {
    let place = Place::new();
    let told = place.done(&["check-config"]);
    assert!(told.contains("good"), "{told}");
    let shown = place.done(&["--print-config"]);
    assert!(
        shown.contains("[encryption]") && !shown.contains(&place.secret()),
        "{shown}"
    );

    let refused = |keys: Option<&str>, file: bool, said: &str| {
        let mut asked = command(&place.data);
        if file {
            asked.args(place.with_key());
        }
        if let Some(keys) = keys {
            asked.env("HL7_ENCRYPTION_KEYS", keys);
        }
        asked.arg("check-config");
        let (code, _, told) = run(asked);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(said), "{told}");
        assert!(!told.contains(&place.secret()), "{told}");
    };
    refused(Some("a:short"), false, "HL7_ENCRYPTION_KEYS: line 1");
    let line = std::fs::read_to_string(&place.key).unwrap();
    refused(Some(&line), true, "leave one of them out");
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&place.key, mode).unwrap();
        refused(None, true, "chmod 600");
    }
    // From the environment alone.
    let mut asked = command(&place.data);
    asked
        .env("HL7_ENCRYPTION_KEYS", line.trim())
        .arg("check-config");
    assert_eq!(run(asked).0, Some(0));
}

#[tokio::test]
async fn killed_while_it_is_encrypted_or_gets_a_new_key_it_goes_on_and_loses_nothing() {
    let place = Place::new();
    let server = Server::start(&place.data, &["--demo", "1500"]);
    let mut client = server.client().await;
    client.exchange(order(1).as_bytes()).await.unwrap();
    let messages = total(&server).await;
    // A server that runs is not encrypted under its feet.
    let (code, _, told) = place.ask(&["encryption", "encrypt"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("stop the broker first"), "{told}");
    server.kill();
    assert!(!holding(&place.data, "SMITH").is_empty());
    // A plain database is not served as if it were encrypted.
    let mut asked = command(&place.data);
    asked.args(place.with_key());
    let (code, _, told) = run(asked);
    assert_eq!(code, Some(1));
    assert!(told.contains("encryption encrypt"), "{told}");

    for after in [15, 40, 80, 160, 320] {
        place.killed("encrypt", Duration::from_millis(after));
    }
    place.done(&["encryption", "encrypt"]);
    let told = place.done(&["encryption", "status"]);
    assert_eq!(told, "encrypted\nkey first\n");
    assert_eq!(holding(&place.data, "SMITH"), [] as [PathBuf; 0]);
    place.done(&["replay"]);

    place.new_key(&["--first", "--name", "second"]);
    for after in [15, 40, 80, 160, 320] {
        place.killed("rekey", Duration::from_millis(after));
        // It is served in between.
        let server = Server::start(&place.data, &place.with_key());
        assert_eq!(total(&server).await, messages);
    }
    place.done(&["encryption", "rekey"]);
    let told = place.done(&["encryption", "status"]);
    assert_eq!(told, "encrypted\nkey second\n");
    // The old key can go.
    let text = std::fs::read_to_string(&place.key).unwrap();
    std::fs::write(&place.key, text.lines().next().unwrap()).unwrap();
    let server = Server::start(&place.data, &place.with_key());
    assert_eq!(total(&server).await, messages);
    let trail = place.done(&["audit", "verify"]);
    assert!(trail.contains("whole"), "{trail}");
    drop(server);
    place.done(&["replay"]);
    place.done(&["encryption", "decrypt"]);
    let server = Server::start(&place.data, &[]);
    assert_eq!(total(&server).await, messages);
}
