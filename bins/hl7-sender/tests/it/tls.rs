//! TLS and mutual TLS, and what goes wrong with them.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
};

use hl7_mllp::tls::rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::{
    listen::Listening,
    program::{Files, Ran, send},
};

/// An authority, and certificates for `localhost` and for the sender, as PEM files.
pub(crate) struct Certificates {
    files: Files,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let files = Files::new();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        files.write("ca.pem", authority.pem());
        for name in ["localhost", "sender"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            files.write(&format!("{name}.pem"), certificate.pem());
            files.write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { files }
    }

    /// What a server called `localhost` shows.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::from_pem_file(self.path("localhost.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("localhost.key")).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = builder
            .with_no_client_auth()
            .with_single_cert(vec![chain], key);
        Arc::new(config.unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.files.path().join(name).to_str().unwrap().to_owned()
    }

    fn listen(&self, more: &[&str]) -> Listening {
        let (cert, key) = (self.path("localhost.pem"), self.path("localhost.key"));
        Listening::new(&[&["--tls", "--cert", &cert, "--key", &key], more].concat())
    }

    fn send(&self, port: u16, more: &[&str]) -> Ran {
        send(&self.files.messages(1), port, more)
    }
}

#[test]
fn messages_go_over_tls() {
    let certificates = Certificates::new();
    let listening = certificates.listen(&["--count", "1"]);
    let ca = certificates.path("ca.pem");
    certificates
        .send(
            listening.port,
            &["--tls", "--ca", &ca, "--sni", "localhost"],
        )
        .exits(0)
        .says("AA  Received.");
    assert_eq!(listening.ended().0, 0);
}

#[test]
fn a_certificate_of_another_name_or_authority_is_5() {
    let certificates = Certificates::new();
    let listening = certificates.listen(&[]);
    let ca = certificates.path("ca.pem");
    certificates
        .send(
            listening.port,
            &["--tls", "--ca", &ca, "--sni", "elsewhere"],
        )
        .exits(5)
        .says("--sni");
    let stranger = Certificates::new();
    let ca = stranger.path("ca.pem");
    certificates
        .send(
            listening.port,
            &["--tls", "--ca", &ca, "--sni", "localhost"],
        )
        .exits(5)
        .says("TLS handshake");
}

#[test]
fn a_receiver_without_tls_is_5() {
    let certificates = Certificates::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 welcome\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let ca = certificates.path("ca.pem");
    certificates
        .send(port, &["--tls", "--ca", &ca, "--sni", "localhost"])
        .exits(5)
        .says("TLS handshake");
}

#[test]
fn a_sender_without_a_certificate_is_5_where_one_is_demanded() {
    let certificates = Certificates::new();
    let ca = certificates.path("ca.pem");
    let listening = certificates.listen(&["--ca", &ca]);
    let trust = ["--tls", "--ca", &ca, "--sni", "localhost"];
    certificates.send(listening.port, &trust).exits(5);
    let (cert, key) = (
        certificates.path("sender.pem"),
        certificates.path("sender.key"),
    );
    let shown = [&trust[..], &["--cert", &cert, "--key", &key]].concat();
    certificates.send(listening.port, &shown).exits(0);
}

#[test]
fn files_that_hold_no_certificates_are_2() {
    let certificates = Certificates::new();
    let (ca, key) = (certificates.path("ca.pem"), certificates.path("sender.key"));
    certificates
        .send(1, &["--tls", "--ca", "/none.pem"])
        .exits(2)
        .says("check --ca");
    certificates
        .send(1, &["--tls", "--ca", &key])
        .exits(2)
        .says("no certificate");
    certificates.send(1, &["--ca", &ca]).exits(2).says("--tls");
    certificates
        .send(1, &["--tls", "--cert", &ca])
        .exits(2)
        .says("--key");
    let swapped = ["--tls", "--ca", &ca, "--cert", &ca, "--key", &key];
    certificates
        .send(1, &swapped)
        .exits(2)
        .says("do not belong together");
}
