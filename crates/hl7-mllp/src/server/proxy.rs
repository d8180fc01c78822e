//! The PROXY protocol: who is behind the balancer that connects.

use std::{io, net::SocketAddr};

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// A header of version 1 is never shorter than this, one of version 2 is longer by a byte.
const SHORTEST: usize = 15;
/// What a header of version 1 may come to, by its specification.
const TEXT_BYTES_MAX: usize = 107;
/// What a header of version 2 may come to here; addresses and the usual extensions take a tenth.
const BINARY_BYTES_MAX: usize = 4096;
const BINARY_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads the header, not one byte more, and returns who connected to the balancer; `None` where it
/// connected on its own behalf, to see whether somebody is there.
pub(super) async fn read_source<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0; SHORTEST];
    stream.read_exact(&mut header).await?;
    if header.starts_with(BINARY_SIGNATURE) {
        header.push(stream.read_u8().await?);
        let length = match header.as_slice() {
            [.., high, low] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        };
        if length > BINARY_BYTES_MAX {
            return Err(malformed());
        }
        let fixed = header.len();
        header.resize(fixed + length, 0);
        stream
            .read_exact(header.get_mut(fixed..).unwrap_or_default())
            .await?;
    } else if header.starts_with(b"PROXY ") {
        while !header.ends_with(b"\r\n") {
            if header.len() >= TEXT_BYTES_MAX {
                return Err(malformed());
            }
            header.push(stream.read_u8().await?);
        }
    } else {
        return Err(malformed());
    }
    source(&header)
}

/// Who is named by a whole header.
fn source(header: &[u8]) -> io::Result<Option<SocketAddr>> {
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    let (parsed, _) = ProxyHeader::parse(header, config).map_err(|_| malformed())?;
    match parsed.proxied_address() {
        None => Ok(None),
        Some(address) if address.protocol == Protocol::Stream => Ok(Some(address.source)),
        Some(_) => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "no PROXY protocol header where one was expected",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proxy_header::ProxiedAddress;

    use super::*;

    async fn read(mut bytes: &[u8]) -> (Result<Option<SocketAddr>, io::ErrorKind>, usize) {
        let found = read_source(&mut bytes).await.map_err(|error| error.kind());
        (found, bytes.len())
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn binary(source: &str, destination: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        ProxyHeader::with_address(ProxiedAddress::stream(
            address(source),
            address(destination),
        ))
        .encode_v2(&mut bytes)
        .unwrap();
        bytes
    }

    #[tokio::test]
    async fn both_versions_name_the_source_and_leave_the_rest() {
        let text = b"PROXY TCP4 203.0.113.7 10.0.0.1 50000 2575\r\n\x0bMSH|";
        assert_eq!(
            read(text).await,
            (Ok(Some(address("203.0.113.7:50000"))), 5)
        );
        let text = b"PROXY TCP6 2001:db8::7 ::1 50000 2575\r\n\x0bMSH|";
        assert_eq!(
            read(text).await,
            (Ok(Some(address("[2001:db8::7]:50000"))), 5)
        );
        for source in ["203.0.113.7:50000", "[2001:db8::7]:50000"] {
            let destination = source.replace('7', "8");
            let bytes = [&binary(source, &destination)[..], b"\x0bMSH|"].concat();
            assert_eq!(read(&bytes).await, (Ok(Some(address(source))), 5));
        }
    }

    #[tokio::test]
    async fn a_balancer_that_only_looks_names_nobody() {
        assert_eq!(read(b"PROXY UNKNOWN\r\n").await, (Ok(None), 0));
        let mut bytes = Vec::new();
        ProxyHeader::with_local().encode_v2(&mut bytes).unwrap();
        assert_eq!(read(&bytes).await, (Ok(None), 0));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let invalid = Err(io::ErrorKind::InvalidData);
        assert_eq!(read(b"\x0bMSH|^~\\&|RIS|H|").await.0, invalid);
        assert_eq!(read(b"PROXY TCP4 x y 1 2\r\n").await.0, invalid);
        assert_eq!(
            read(&[b"PROXY TCP4 ", &[b'1'; 200][..]].concat()).await.0,
            invalid
        );
        let mut long = binary("1.2.3.4:5", "1.2.3.4:6");
        long[14..16].copy_from_slice(&5000_u16.to_be_bytes());
        assert_eq!(read(&long).await.0, invalid);
        assert_eq!(read(b"PROXY").await.0, Err(io::ErrorKind::UnexpectedEof));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            head in prop_oneof![Just(&b"PROXY "[..]), Just(BINARY_SIGNATURE), Just(&b""[..])],
            rest in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            let bytes = [head, &rest].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read(&bytes));
            let _ = source(&bytes);
        }
    }
}
