//! TLS: both ends prove who they are, certificates change, handshakes have their time.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hl7_mllp::{
    Answer, Client, ClientConfig, ExchangeError, Link, Request, ServerConfig, handler_fn,
    server::CloseReason,
    tls::{
        ServerTls, TlsDialer,
        rustls::{
            self, RootCertStore,
            pki_types::{PrivateKeyDer, ServerName},
            server::WebPkiClientVerifier,
        },
        serve_tls,
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_util::sync::CancellationToken;

use crate::peers::{Hearing, ack, ear, framed, id_of, order};

/// An authority that tests trust.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn issue(
        &self,
        name: &str,
    ) -> (
        Vec<rustls::pki_types::CertificateDer<'static>>,
        PrivateKeyDer<'static>,
    ) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![certificate.der().clone()], key)
    }

    fn server(&self, name: &str) -> rustls::ServerConfig {
        let (chain, key) = self.issue(name);
        rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    fn mutual_server(&self, name: &str) -> rustls::ServerConfig {
        let verifier = WebPkiClientVerifier::builder(self.roots()).build().unwrap();
        let (chain, key) = self.issue(name);
        rustls::ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap()
    }

    fn client(&self) -> rustls::ClientConfig {
        rustls::ClientConfig::builder()
            .with_root_certificates(self.roots())
            .with_no_client_auth()
    }

    fn mutual_client(&self, name: &str) -> rustls::ClientConfig {
        let (chain, key) = self.issue(name);
        rustls::ClientConfig::builder()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(chain, key)
            .unwrap()
    }
}

async fn serving(tls: ServerTls, config: ServerConfig) -> (SocketAddr, Hearing) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler =
        handler_fn(
            |request: Request| async move { Answer::Reply(ack("AA", &id_of(&request.frame))) },
        );
    let (ear, heard) = ear();
    let handler = Arc::new(handler);
    tokio::spawn(serve_tls(
        listener,
        tls,
        handler,
        config,
        ear,
        CancellationToken::new(),
    ));
    (address, heard)
}

fn dialer(address: SocketAddr, name: &'static str, config: rustls::ClientConfig) -> TlsDialer {
    TlsDialer::new(
        address.to_string(),
        ServerName::try_from(name).unwrap(),
        config,
    )
}

#[tokio::test]
async fn frames_travel_over_tls() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.server("ris.example"));
    let (address, _heard) = serving(tls, ServerConfig::default()).await;
    let dialer = dialer(address, "ris.example", authority.client());
    let mut client = Client::connect_tls(&dialer, ClientConfig::default())
        .await
        .unwrap();
    for id in ["1", "2"] {
        assert_eq!(client.exchange(&order(id)).await.unwrap(), ack("AA", id));
    }
    let large = [&order("3")[..], &b"A".repeat(1 << 20)].concat();
    assert_eq!(client.exchange(&large).await.unwrap(), ack("AA", "3"));
    let frames: Vec<_> = (0..100).map(|id| order(&id.to_string())).collect();
    assert!(
        client
            .exchange_many(&frames, 16)
            .await
            .iter()
            .all(Result::is_ok)
    );
}

#[tokio::test]
async fn pain_13_a_certificate_problem_is_permanent_and_says_so() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.server("ris.example"));
    let (address, _heard) = serving(tls, ServerConfig::default()).await;
    let strangers = Authority::new();
    for dialer in [
        dialer(address, "other.example", authority.client()),
        dialer(address, "ris.example", strangers.client()),
    ] {
        let error = Link::through(dialer, ClientConfig::default())
            .submit(&order("1"))
            .await;
        let error = error.unwrap_err();
        assert!(matches!(error, ExchangeError::Handshake(_)), "{error}");
        assert!(error.is_permanent() && !error.was_sent());
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_client_without_its_certificate_gets_no_answer() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.mutual_server("ris.example"));
    let (address, mut heard) = serving(tls, ServerConfig::default()).await;
    let known = dialer(
        address,
        "ris.example",
        authority.mutual_client("modality.example"),
    );
    let mut client = Client::connect_tls(&known, ClientConfig::default())
        .await
        .unwrap();
    assert_eq!(client.exchange(&order("1")).await.unwrap(), ack("AA", "1"));
    client.close().await;
    assert_eq!(heard.closed().await, CloseReason::PeerClosed);

    let unknown = dialer(address, "ris.example", authority.client());
    let mut link = Link::through(unknown, ClientConfig::default());
    let error = link.submit(&order("2")).await.unwrap_err();
    assert!(error.is_permanent(), "{error:?}");
    assert_eq!(heard.closed().await, CloseReason::Handshake);
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.server("old.example"));
    let (address, _heard) = serving(tls.clone(), ServerConfig::default()).await;
    let old = dialer(address, "old.example", authority.client());
    let mut client = Client::connect_tls(&old, ClientConfig::default())
        .await
        .unwrap();
    client.exchange(&order("1")).await.unwrap();

    tls.reload(authority.server("new.example"));
    client.exchange(&order("2")).await.unwrap();
    Client::connect_tls(&old, ClientConfig::default())
        .await
        .unwrap_err();
    let new = dialer(address, "new.example", authority.client());
    let mut client = Client::connect_tls(&new, ClientConfig::default())
        .await
        .unwrap();
    client.exchange(&order("3")).await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_given_up() {
    let authority = Authority::new();
    let config = ServerConfig {
        handshake_deadline: Duration::from_millis(20),
        ..ServerConfig::default()
    };
    let tls = ServerTls::new(authority.server("ris.example"));
    let (address, mut heard) = serving(tls, config).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(heard.closed().await, CloseReason::Handshake);
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_frame_in_the_clear_is_refused() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.server("ris.example"));
    let (address, mut heard) = serving(tls, ServerConfig::default()).await;
    let mut client = Client::connect(address, ClientConfig::default())
        .await
        .unwrap();
    let error = client.exchange(&order("1")).await.unwrap_err();
    assert!(error.was_sent());
    assert_eq!(heard.closed().await, CloseReason::Handshake);
    assert!(!framed(b"").is_empty());
}
