//! TLS, and what happens to those who do not speak it.

use std::sync::Arc;

use medsynapse_worklist::scp::{Occurrence, ScpConfig, Services};
use medsynapse_worklist::scu::{Modality, Offer};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::bed::{Bed, board, identifier};

#[tokio::test]
async fn the_worklist_over_tls() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut config = ScpConfig::new("MEDSYNAPSE", Services::Worklist);
    config.tls = Some(Arc::new(server));
    let bed = Bed::with(board(), config).await;

    let offer = Offer::modality("CT1", "MEDSYNAPSE");
    assert!(Modality::connect(bed.address, &offer).await.is_err());
    bed.hears(|heard| matches!(heard, Occurrence::Garbage { what, .. } if what.contains("TLS")))
        .await;

    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(bed.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
        .unwrap();
    let mut modality = Modality::open(stream, &offer).await.unwrap();
    let answers = modality.find(&identifier("SPS.Modality=CT")).await.unwrap();
    assert!(!answers.items.is_empty());
    modality.release().await.unwrap();
    bed.end().await;
}
