//! The header of the PROXY protocol.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The first bytes of a header of version 2, and the number of bytes that tell its length.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const PREFIX_BYTES: usize = 16;

/// Maximum size of a header, in bytes: 107 in version 1, by its definition. Version 2 has room for
/// extensions, such as the name of a certificate, which this server does not read.
const MAX_V1_BYTES: usize = 107;
const MAX_V2_BYTES: usize = 4 << 10;

/// Reason why a connection of a proxy is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("the connection begins with no PROXY header")]
    None,
    #[error("the PROXY header has more than {0} bytes")]
    TooLong(usize),
    #[error("the PROXY header is not valid: {0}")]
    Invalid(String),
    #[error("the PROXY header did not arrive within {0:?}")]
    Late(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a header, and not a byte more: what follows belongs to the client.
pub(super) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, HeaderError> {
    let mut header = vec![0; SIGNATURE.len()];
    socket.read_exact(&mut header).await?;
    if header == SIGNATURE {
        header.resize(PREFIX_BYTES, 0);
        socket.read_exact(&mut header[SIGNATURE.len()..]).await?;
        let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if PREFIX_BYTES + rest > MAX_V2_BYTES {
            return Err(HeaderError::TooLong(MAX_V2_BYTES));
        }
        header.resize(PREFIX_BYTES + rest, 0);
        socket.read_exact(&mut header[PREFIX_BYTES..]).await?;
        return Ok(header);
    }
    // The shortest line is longer: what has ended already is none.
    if !header.starts_with(b"PROXY ") || header.contains(&b'\n') {
        return Err(HeaderError::None);
    }
    // The line must end with CR LF; what ends otherwise is refused when it is parsed.
    while !header.ends_with(b"\n") {
        if header.len() == MAX_V1_BYTES {
            return Err(HeaderError::TooLong(MAX_V1_BYTES));
        }
        // The line is short, and it is there already.
        header.push(socket.read_u8().await?);
    }
    Ok(header)
}

/// The address of a client that its proxy does not know. It is not that of the proxy, because what
/// such a client says of its address must not be believed.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Returns the address of the client in a header. A proxy that connects for itself, to check the
/// server, tells none.
pub(super) fn source(header: &[u8]) -> Result<Option<SocketAddr>, HeaderError> {
    let invalid = |error: &dyn std::fmt::Display| HeaderError::Invalid(error.to_string());
    match HeaderResult::parse(header) {
        HeaderResult::V1(header) => Ok(match header.map_err(|error| invalid(&error))?.addresses {
            v1::Addresses::Tcp4(own) => Some((own.source_address, own.source_port).into()),
            v1::Addresses::Tcp6(own) => Some((own.source_address, own.source_port).into()),
            v1::Addresses::Unknown => Some(UNKNOWN),
        }),
        HeaderResult::V2(header) => {
            let header = header.map_err(|error| invalid(&error))?;
            Ok(match header.addresses {
                _ if header.command == v2::Command::Local => None,
                v2::Addresses::IPv4(own) => Some((own.source_address, own.source_port).into()),
                v2::Addresses::IPv6(own) => Some((own.source_address, own.source_port).into()),
                v2::Addresses::Unix(_) | v2::Addresses::Unspecified => Some(UNKNOWN),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(header: &[u8]) -> String {
        match source(header) {
            Ok(client) => client.map_or_else(|| "none".to_owned(), |client| client.to_string()),
            Err(error) => error.to_string(),
        }
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [
            &SIGNATURE[..],
            &[0x20 | command, family],
            &length,
            addresses,
        ]
        .concat()
    }

    #[test]
    fn the_client_is_the_source() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
        assert_eq!(client(line), "192.0.2.7:4711");
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n";
        assert_eq!(client(line), "[2001:db8::7]:4711");
        assert_eq!(client(b"PROXY UNKNOWN\r\n"), "0.0.0.0:0");
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 0xbb];
        assert_eq!(client(&v2(1, 0x11, &four)), "192.0.2.7:4711");
        // An extension behind the addresses changes nothing.
        let extended = [&four[..], &[4, 0, 1, 0]].concat();
        assert_eq!(client(&v2(1, 0x11, &extended)), "192.0.2.7:4711");
        assert_eq!(client(&v2(0, 0, &[])), "none");
        assert_eq!(client(&v2(1, 0, &[])), "0.0.0.0:0");
    }

    #[test]
    fn what_is_no_header_is_named() {
        for bad in [
            &b"PROXY TCP4 192.0.2.7 198.51.100.1 99999 443\r\n"[..],
            b"PROXY TCP4 x y 1 2\r\n",
            &v2(1, 0x11, &[1, 2, 3]),
            &v2(9, 0x11, &[0; 12]),
        ] {
            let why = client(bad);
            assert!(why.starts_with("the PROXY header is not valid: "), "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_an_error(
            kind in 0..3,
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let header = match kind {
                0 => [b"PROXY TCP4 ", &bytes[..], b"\r\n"].concat(),
                1 => v2(bytes.first().copied().unwrap_or(1) & 0xf, 0x21, &bytes),
                _ => bytes,
            };
            let _ = source(&header);
        }
    }
}
