//! The task of a lane. It runs on the runtime of the first reader, or on a dedicated thread.

use std::sync::{Arc, Mutex};

use tokio::time::sleep_until;

use super::Inbox;
use super::socket::Sockets;
use super::work::{Next, Work};
use crate::stats::LaneStats;

/// A guard that closes the inbox when the lane ends, for any reason.
struct CloseOnDrop(Arc<Inbox>, Arc<LaneStats>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
        self.1.reset_gauges();
        if std::thread::panicking() {
            report_panic();
        }
    }
}

fn report_panic() {
    tracing::error!("a lane panicked; the readers of the lane will reconnect to other lanes");
}

/// Runs a lane until its hub is dropped.
pub(crate) async fn run(work: Work) {
    let (inbox, clock) = (Arc::clone(&work.inbox), work.clock);
    let _closing = CloseOnDrop(Arc::clone(&inbox), Arc::clone(&work.stats));
    let sockets = match Sockets::new() {
        Ok(sockets) => sockets,
        Err(error) => {
            return tracing::error!(%error, "a lane cannot watch sockets; the lane stops");
        }
    };
    let work = Arc::new(Mutex::new(work));
    let mut events = Vec::new();
    inbox.doorbell().set_sleeper(&work);
    loop {
        let next = match work.lock() {
            Ok(mut work) => work.turn(std::mem::take(&mut events), &sockets),
            Err(_) => return report_panic(),
        };
        let Next::Rest(until) = next else { return };
        let timer = async {
            match until {
                Some(at) => sleep_until(clock.at(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = inbox.doorbell().notified() => {}
            () = timer => {}
            polled = sockets.poll_events() => events = polled,
        }
    }
}
