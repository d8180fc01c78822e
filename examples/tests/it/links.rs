//! Examples that listen: started on a free port, talked to by the others, ended.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use hl7_corpus::orm_new;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::run;

/// A program that listens; it ends with the test.
struct Listening {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Listening {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().into();
        Self {
            child,
            output,
            address,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn server() -> Listening {
    Listening::start(env!("CARGO_BIN_EXE_mllp_server"), &["127.0.0.1:0"])
}

fn client(address: &str, message: &[u8]) -> (bool, String, String) {
    run(env!("CARGO_BIN_EXE_mllp_client"), &[address], message)
}

#[test]
fn mllp_server() {
    let mut server = server();
    let (good, out, error) = client(&server.address, orm_new.bytes);
    assert!(good, "{error}");
    assert!(out.ends_with("MSA|AA|CORPUS0001|Thank you.\n"), "{out}");
    let wrong = b"MSH|^~\\&|A|B|C|D|||ORM^O01|X1|P|9.9\r";
    let (_, out, _) = client(&server.address, wrong);
    assert!(
        out.ends_with("MSA|AR|X1|Version (MSH-12) not supported\n"),
        "{out}"
    );
    drop(server.child.stdin.take());
    let mut rest = String::new();
    server.output.read_to_string(&mut rest).unwrap();
    assert!(
        rest.starts_with("2 connections (0 refused, 0 cut off), 2 frames, 2 answers"),
        "{rest}"
    );
}

#[test]
fn mllp_proxy() {
    let server = server();
    let mut proxy = Listening::start(
        env!("CARGO_BIN_EXE_mllp_proxy"),
        &["127.0.0.1:0", &server.address],
    );
    for _ in 0..2 {
        let (good, out, error) = client(&proxy.address, orm_new.bytes);
        assert!(
            good && out.ends_with("MSA|AA|CORPUS0001|Thank you.\n"),
            "{error}"
        );
        assert_eq!(proxy.line(), "\"CORPUS0001\" Accepted\n");
    }
    drop(server);
    let (good, _, error) = client(&proxy.address, orm_new.bytes);
    assert!(!good && error.contains("closed the connection"), "{error}");
    assert_eq!(
        proxy.line(),
        "\"CORPUS0001\" the peer refused the connection\n"
    );
}

/// An authority and two certificates by it, as files.
fn certificates(folder: &Path) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = authority.self_signed(&authority_key).unwrap();
    std::fs::write(folder.join("ca.pem"), own.pem()).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([format!("{name}.example")]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[test]
fn mllp_tls_pair() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let server = Listening::start(
        env!("CARGO_BIN_EXE_mllp_tls_server"),
        &[
            "127.0.0.1:0",
            &file("server.pem"),
            &file("server.key"),
            &file("ca.pem"),
        ],
    );
    let send = |name: &str| {
        let files = [file("client.pem"), file("client.key"), file("ca.pem")];
        let [certificate, key, authority] = &files;
        run(
            env!("CARGO_BIN_EXE_mllp_tls_client"),
            &[&server.address, name, certificate, key, authority],
            orm_new.bytes,
        )
    };
    let (good, out, error) = send("server.example");
    assert!(good && out == "Accepted\n", "{error}");
    let (good, _, error) = send("other.example");
    assert!(!good && error.contains("TLS handshake failed"), "{error}");
}
