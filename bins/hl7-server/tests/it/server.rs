//! One server in a process of its own, on free ports, over a data directory.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hl7_mllp::{Client, ClientConfig};

/// Longest wait for anything; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Any free port.
const FREE: &str = "127.0.0.1:0";

pub(crate) struct Server {
    child: Child,
    pub(crate) mllp: SocketAddr,
    pub(crate) rest: String,
    pub(crate) web: String,
    pub(crate) dicom: String,
    pub(crate) recorder: Option<String>,
}

pub(crate) fn command(data_dir: &Path) -> Command {
    command_through(&[], data_dir)
}

/// The server, started by another program that becomes it: `shell` and, as `$0`, the data
/// directory come before it on the command line.
fn command_through(shell: &[&str], data_dir: &Path) -> Command {
    command_at(shell, data_dir, [FREE; 4])
}

/// The same, with MLLP, REST, web and DICOM at these addresses.
fn command_at(shell: &[&str], data_dir: &Path, [mllp, rest, web, dicom]: [&str; 4]) -> Command {
    let program = env!("CARGO_BIN_EXE_hl7-server");
    let mut command = match shell {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(data_dir).arg(program);
            command
        }
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", path)
        .arg("--data-dir")
        .arg(data_dir)
        .args(["--mllp", mllp, "--rest", rest])
        .args(["--web", web, "--dicom", dicom])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Server {
    pub(crate) fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_through(&[], data_dir, arguments)
    }

    pub(crate) fn start_through(shell: &[&str], data_dir: &Path, arguments: &[&str]) -> Self {
        Self::spawn(command_through(shell, data_dir), arguments)
    }

    /// With REST and web at this address.
    pub(crate) fn start_at(data_dir: &Path, http: &str, arguments: &[&str]) -> Self {
        Self::spawn(
            command_at(&[], data_dir, [FREE, http, http, FREE]),
            arguments,
        )
    }

    /// With MLLP, REST and DICOM at these addresses: where a balancer looks for them.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_on(
        data_dir: &Path,
        [mllp, rest, dicom]: [&str; 3],
        arguments: &[&str],
    ) -> Self {
        let command = command_at(&[], data_dir, [mllp, rest, FREE, dicom]);
        Self::spawn(command, arguments)
    }

    fn spawn(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["--quiet", "--print-ports", "--log", "warn"])
            .args(arguments)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ports: serde_json::Value = serde_json::from_str(&line).expect("a line with the ports");
        let address = |name: &str| ports[name].as_str().unwrap().to_owned();
        Self {
            mllp: address("mllp").parse().unwrap(),
            rest: format!("http://{}", address("rest")),
            web: format!("http://{}", address("web")),
            dicom: address("dicom"),
            recorder: ports["recorder"].as_str().map(str::to_owned),
            child,
        }
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the process to end by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.mllp, ClientConfig::default())
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> serde_json::Value {
        let answer = reqwest::get(format!("{}{path}", self.rest)).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the server to its end and gives exit code, standard output and standard error.
pub(crate) fn run(mut command: Command) -> (Option<i32>, String, String) {
    let mut child = command.spawn().unwrap();
    let mut text = [String::new(), String::new()];
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text[0])
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text[1])
        .unwrap();
    let [out, error] = text;
    (child.wait().unwrap().code(), out, error)
}

/// An order with this control id and accession number.
pub(crate) fn order(number: u32) -> String {
    format!(
        "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|M{number}|P|2.3\r\
         PID|1||P{number}||SMITH^JOHN||19800101|M\rPV1|1|O\rORC|NW\r\
         OBR|1|A{number}||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|RP1||CT1|||CT\
         ||||||||||||20230614132030\r"
    )
}
