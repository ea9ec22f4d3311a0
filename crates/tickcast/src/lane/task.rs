//! A lane on an async runtime: the body path.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

use super::{Command, Inbox, Lane};
use crate::clock::Clock;
use crate::events::BodySink;
use crate::log::Log;
use crate::subscription::Start;

/// Runs a lane until its hub is gone. The first tick after quiet is sent at once; while more arrive, at most one flush
/// begins every `flush`, and under load each takes along what came while the last one ran.
pub(crate) async fn run(
    mut lane: Lane<BodySink>,
    log: Arc<Log>,
    inbox: Arc<Inbox>,
    clock: Clock,
    flush: Duration,
) {
    let mut next_flush = Duration::ZERO;
    loop {
        let now = clock.uptime();
        if now >= next_flush && turn(&mut lane, &log, clock) {
            next_flush = now + flush;
        }
        let mut quit = false;
        for command in inbox.take() {
            quit |= matches!(command, Command::Quit);
            obey(&mut lane, command, &log, clock);
        }
        if quit {
            lane.end(usize::MAX);
            return;
        }
        lane.ring(clock.uptime());

        inbox.listen(true);
        let pending = log.head() > lane.head();
        if pending {
            inbox.listen(false);
        }
        let flush_at = pending.then_some(next_flush);
        let wake = [flush_at, lane.next_alarm()].into_iter().flatten().min();
        match wake {
            Some(at) => tokio::select! {
                () = inbox.rung() => {}
                () = sleep_until(clock.at(at)) => {}
            },
            None => inbox.rung().await,
        }
    }
}

/// Flushes; says whether anything had moved.
fn turn(lane: &mut Lane<BodySink>, log: &Log, clock: Clock) -> bool {
    let moved = lane.flush(log, clock.uptime());
    lane.note_delays(clock.uptime());
    moved
}

fn obey(lane: &mut Lane<BodySink>, command: Command, log: &Log, clock: Clock) {
    match command {
        Command::Open(slot, subscription) => {
            // Whoever starts at a place wants what follows it: the lane has to have got that far itself.
            if let Start::After(seq) = subscription.start
                && seq > lane.head()
            {
                turn(lane, log, clock);
            }
            let key = lane.open(BodySink::new(slot.clone()), subscription, clock.uptime());
            if let Some(missed) = slot.seat(key) {
                obey(lane, missed, log, clock);
            }
        }
        Command::Ready(key) => lane.ready(key, clock.uptime()),
        Command::Close(key) => lane.close(key),
        Command::End(most) => lane.end(most),
        Command::Finish => {
            turn(lane, log, clock);
            lane.finish(clock.uptime());
        }
        Command::Quit => {}
    }
}
