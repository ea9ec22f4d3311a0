//! Those who ask for a stream and reset their connection: at once, amid a snapshot, or about when a heartbeat is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long a connection may take to come about, or to be reset: nothing follows from it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a heartbeat is asked for, in seconds: the least there may be.
const HEARTBEAT: u64 = 3;

/// Comes and resets until it is told to stop; returns how often it did.
pub(crate) async fn reset(url: String, stop: Arc<AtomicBool>, mut rng: Rng) -> usize {
    let address = url.trim_start_matches("http://").to_owned();
    let mut resets = 0;
    while !stop.load(Ordering::SeqCst) {
        if let Ok(Ok(())) = timeout(PATIENCE, once(&address, &mut rng)).await {
            resets += 1;
        }
        sleep(Duration::from_millis(rng.u64(0..200))).await;
    }
    resets
}

async fn once(address: &str, rng: &mut Rng) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(address).await?;
    // Closing resets.
    socket.set_zero_linger()?;
    let mode = if rng.bool() { "all" } else { "latest" };
    let last = if rng.bool() { "&lastEventId=0-0" } else { "" };
    let (symbols, wait) = match rng.u8(..3) {
        0 => ("*", Duration::ZERO),
        1 => ("*", Duration::from_millis(rng.u64(0..50))),
        // It never ticks: a heartbeat is due after so long, and nothing puts it off. Within 20 ms of that.
        _ => ("QUIET", Duration::from_millis(HEARTBEAT * 1000 - 20 + rng.u64(0..40))),
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
    // What it reads, and how that ends, is the same to it.
    let _ = timeout(wait, reading).await;
    Ok(())
}
