//! Behind a balancer that says on whose behalf it connects.

use bytes::BytesMut;
use hl7_mllp::{Answer, Handler, Request, ServerConfig, handler_fn, server::Refusal};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::peers::{Heard, framed, on_tcp, order, read_frame};

fn who() -> impl Handler {
    handler_fn(|request: Request| async move { Answer::Reply(request.peer.to_string().into()) })
}

fn behind_a_balancer() -> ServerConfig {
    ServerConfig {
        proxies: vec!["127.0.0.1".parse().unwrap()],
        allow: vec!["203.0.113.0/24".parse().unwrap()],
        connections_per_address_max: 1,
        ..ServerConfig::default()
    }
}

#[tokio::test]
async fn the_handler_hears_who_is_behind_the_balancer() {
    let (address, _running) = on_tcp(who(), behind_a_balancer()).await;
    let mut peers = Vec::new();
    for source in ["203.0.113.7", "203.0.113.8"] {
        let mut peer = TcpStream::connect(address).await.unwrap();
        let header = format!("PROXY TCP4 {source} 10.0.0.1 50000 2575\r\n");
        peer.write_all(&[header.as_bytes(), &framed(&order("1"))].concat())
            .await
            .unwrap();
        let answer = read_frame(&mut peer, &mut BytesMut::new()).await.unwrap();
        assert_eq!(answer, format!("{source}:50000"));
        peers.push(peer);
    }
}

#[tokio::test]
async fn the_allow_list_and_the_caps_are_about_whoever_is_behind() {
    let (address, mut running) = on_tcp(who(), behind_a_balancer()).await;
    let mut kept = Vec::new();
    for (source, heard) in [
        ("203.0.113.7", Heard::Opened(1)),
        ("203.0.113.7", Heard::Refused(Refusal::TooManyFromAddress)),
        ("198.51.100.1", Heard::Refused(Refusal::NotAllowed)),
    ] {
        let mut peer = TcpStream::connect(address).await.unwrap();
        let header = format!("PROXY TCP4 {source} 10.0.0.1 50000 2575\r\n");
        peer.write_all(header.as_bytes()).await.unwrap();
        assert_eq!(running.heard.next().await, heard);
        kept.push(peer);
    }
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(&framed(&order("1"))).await.unwrap();
    assert_eq!(
        running.heard.next().await,
        Heard::Refused(Refusal::NoProxyHeader)
    );
    drop((kept, silent));
    assert_eq!(running.stop().await.refused, 3);
}

#[tokio::test]
async fn a_header_from_anybody_else_is_not_believed() {
    let config = ServerConfig {
        proxies: vec!["10.9.9.9".parse().unwrap()],
        ..ServerConfig::default()
    };
    let (address, _running) = on_tcp(who(), config).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let header = b"PROXY TCP4 203.0.113.7 10.0.0.1 50000 2575\r\n";
    peer.write_all(&[&header[..], &framed(&order("1"))].concat())
        .await
        .unwrap();
    let answer = read_frame(&mut peer, &mut BytesMut::new()).await.unwrap();
    assert_eq!(answer, peer.local_addr().unwrap().to_string());
}
