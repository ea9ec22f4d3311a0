//! The header of the PROXY protocol.

// The server is a program, not a library, so its file is compiled here a second time.
#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../crates/tickcast-server/src/proxy_protocol/header.rs"]
mod header;

use std::net::{IpAddr, SocketAddr};

use futures_util::FutureExt;

/// Checks that no more than the header is read, that the header ends where it says, and that the
/// address of version 1 is the one in the line.
pub fn proxy_header(data: &[u8]) {
    let mut rest = data;
    // There is no more to wait for: the bytes are all there.
    let Some(Ok(read)) = header::read(&mut rest).now_or_never() else {
        return;
    };
    assert!(data.starts_with(&read), "a header is what was read");
    assert_eq!(read.len() + rest.len(), data.len(), "nothing else was read");
    let line = read.strip_prefix(b"PROXY ");
    match line {
        Some(line) => assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1),
        None => assert_eq!(
            read.len(),
            16 + usize::from(u16::from_be_bytes([read[14], read[15]]))
        ),
    }
    let (Ok(Some(client)), Some(line)) = (header::source(&read), line) else {
        return;
    };
    if line.starts_with(b"UNKNOWN") {
        return assert_eq!(client.ip(), IpAddr::from([0; 4]));
    }
    let words: Vec<_> = std::str::from_utf8(line)
        .map(|line| line.split(' ').collect())
        .unwrap_or_default();
    // The library also takes a line with a space at its end.
    let [_, address, _, port, ..] = words[..] else {
        panic!("a line has an address: {line:?}");
    };
    let address = address.parse::<IpAddr>().ok();
    let told = address.zip(port.parse::<u16>().ok()).map(SocketAddr::from);
    assert_eq!(told, Some(client));
}
