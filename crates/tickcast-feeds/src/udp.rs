//! Ticks from UDP: each datagram is one or more lines of JSON.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tickcast::stats::FeedEventKind;
use tickcast::tick::{RawTick, Rejected, TickSplitter};
use tickcast::{Publisher, SourceState, Tick};
use tokio::net::UdpSocket;

use crate::rename::Rename;

/// Maximum size of a datagram.
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// Time until an address that was not available is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Maximum number of bad lines that are logged. All bad lines are counted.
const MAX_LOGGED_ERRORS: u32 = 10;

/// Publishes the ticks of all datagrams to `address` under their local names, without end. Each
/// datagram is one or more lines of JSON. Lines that are not ticks are counted as rejected; the
/// first ten are logged. If the address is not available, the source is down, and the address is
/// tried again every 5 s. To end the source, drop the future.
pub async fn run(address: SocketAddr, rename: &Rename, publisher: &Publisher) -> Infallible {
    loop {
        let Err(error) = listen(address, rename, publisher).await;
        let why = format!("{address}: {error}");
        publisher.set_state(&SourceState::Down(why.clone()));
        tracing::warn!(source = publisher.name(), "down: {why}");
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

async fn listen(
    address: SocketAddr,
    rename: &Rename,
    publisher: &Publisher,
) -> io::Result<Infallible> {
    let socket = UdpSocket::bind(address).await?;
    publisher.set_state(&SourceState::Live);
    tracing::info!(
        source = publisher.name(),
        "listening for datagrams on {}",
        socket.local_addr()?
    );
    let mut datagram = vec![0; MAX_DATAGRAM_BYTES];
    let mut shown = 0;
    loop {
        let (length, _) = socket.recv_from(&mut datagram).await?;
        publisher.reporter().count(FeedEventKind::Frames, 1);
        let (ticks, rejected) = read(&datagram[..length], rename);
        for error in rejected {
            publisher.reporter().count(FeedEventKind::Errors, 1);
            publisher.reporter().reject();
            shown += 1;
            if shown <= MAX_LOGGED_ERRORS {
                tracing::warn!(source = publisher.name(), "{error}");
            }
        }
        publisher.publish_all(&ticks, |_, _| {}).await;
    }
}

/// Returns the ticks of a datagram under their local names, and the errors of the other lines.
fn read(datagram: &[u8], rename: &Rename) -> (Vec<Tick>, Vec<Rejected>) {
    let (mut ticks, mut rejected) = (Vec::new(), Vec::new());
    let mut take = |item: RawTick<'_>| match item.tick().and_then(|tick| rename.tick(tick)) {
        Ok(tick) => ticks.push(tick),
        Err(error) => rejected.push(error),
    };
    let mut lines = TickSplitter::lines();
    lines.push_bytes(datagram, |_, item| take(item));
    lines.finish(|_, item| take(item));
    (ticks, rejected)
}
