//! Clients that request a stream and reset their connection: at once, during a snapshot, or near
//! the time of a heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::server;

/// Maximum time to open and reset a connection. A timeout has no consequence.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Requested heartbeat interval, in seconds: the minimum.
const HEARTBEAT: u64 = 3;

/// Opens and resets connections until `stop` is set. Returns the number of resets.
pub(crate) async fn reset(url: String, stop: Arc<AtomicBool>, mut rng: Rng) -> usize {
    let address = server::address(&url).to_owned();
    let mut resets = 0;
    while !stop.load(Ordering::SeqCst) {
        if let Ok(Ok(())) = timeout(CONNECTION_TIMEOUT, reset_once(&address, &mut rng)).await {
            resets += 1;
        }
        sleep(Duration::from_millis(rng.u64(0..200))).await;
    }
    resets
}

async fn reset_once(address: &str, rng: &mut Rng) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(address).await?;
    // With this option, closing the socket sends a reset.
    socket.set_zero_linger()?;
    let mode = if rng.bool() { "all" } else { "latest" };
    let last = if rng.bool() { "&lastEventId=0-0" } else { "" };
    let (symbols, wait) = match rng.u8(..3) {
        0 => ("*", Duration::ZERO),
        1 => ("*", Duration::from_millis(rng.u64(0..50))),
        // The symbol never has a tick, so nothing delays the heartbeat. The reset comes within 20
        // ms of the heartbeat.
        _ => (
            "QUIET",
            Duration::from_millis(HEARTBEAT * 1000 - 20 + rng.u64(0..40)),
        ),
    };
    let request = format!(
        "GET /v1/stream?symbols={symbols}&mode={mode}&heartbeat={HEARTBEAT}{last} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut bytes = [0; 1024];
    let reading = async {
        while socket.read(&mut bytes).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // What the client reads, and how the read ends, does not matter.
    let _ = timeout(wait, reading).await;
    Ok(())
}
