//! Keeps an exchange's prices coming: connects, monitors the connection and reconnects.

mod connection_state;
mod feed_status;
mod prices;

use std::convert::Infallible;
use std::time::Duration;

use tickcast::stats::FeedEventKind;
use tickcast::{Publisher, SourceState, Tick};
use tickcast_core::Backoff;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_util::task::AbortOnDropHandle;

use crate::connection::{Connection, End, Event, LineId, redial_backoff};
use crate::network::Network;
use crate::sequence_tracker::SequenceTracker;
use crate::{Exchange, SymbolMap};
use connection_state::{ConnectionState, Deadline, Timeouts};
use feed_status::FeedStatus;

/// Default maximum time without a price on a connection, even if other messages arrive: 60 s. After
/// this time the feed tries another connection. The time doubles, to at most 16 times 60 s, after
/// each connection with hardly any price.
pub const DEFAULT_PRICE_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum factor of the price timeout. The timeout doubles after each connection with hardly any
/// price, because the exchange may have no prices.
const MAX_TIMEOUT_FACTOR: u32 = 16;

/// Maximum random share by which a connection's planned end is brought forward. So connections that
/// began together do not end together.
const LIFE_JITTER: f64 = 0.1;

/// Maximum number of queued batches of frames.
const MAX_QUEUED_EVENTS: usize = 4;

/// A feed: keeps the prices of one exchange coming. It connects, subscribes, monitors the
/// connection and reconnects. Made by [`Feed::new`]; start it with [`run`](Self::run).
pub struct Feed {
    exchange: Box<dyn Exchange>,
    url: Uri,
    names: SymbolMap,
    publisher: Publisher,
    price_timeout: Duration,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("url", &self.url)
            .field("source", &self.publisher.name())
            .finish_non_exhaustive()
    }
}

impl Feed {
    /// Creates a feed of `exchange` at `url` for the symbols `names`. The ticks are published with
    /// `publisher`. If the URL has no path, the feed uses the exchange's own path. `exchange` must
    /// have the same symbols.
    pub fn new(exchange: impl Exchange, url: Uri, names: SymbolMap, publisher: Publisher) -> Self {
        let url = with_path(url, exchange.path());
        Self {
            exchange: Box::new(exchange),
            url,
            names,
            publisher,
            price_timeout: DEFAULT_PRICE_TIMEOUT,
        }
    }

    /// Sets the maximum time without a price before the feed tries another connection. Default: 60
    /// s ([`DEFAULT_PRICE_TIMEOUT`]).
    #[must_use]
    pub const fn price_timeout(mut self, silence: Duration) -> Self {
        self.price_timeout = silence;
        self
    }

    /// Runs the feed until the returned future is dropped. Failures never end the feed: it sets the
    /// state of its source and tries again. Needs a tokio runtime.
    pub async fn run(self, network: &Network) -> Infallible {
        let (sender, mut events) = mpsc::channel(MAX_QUEUED_EVENTS);
        let standing = FeedStatus::new(&self.names, self.publisher.clone());
        // What an earlier run has published may be on its way to the disk.
        let _ = self.publisher.hub().wait_visible().await;
        // The last tick of an earlier run must not be accepted twice. The ticks missed since then
        // are counted.
        let marks = SequenceTracker::after(
            self.names
                .local()
                .filter_map(|symbol| self.publisher.newest(&symbol)),
        );
        let mut run = Run {
            feed: self,
            network: network.clone(),
            sender,
            calls: Vec::new(),
            next_id: 0,
            dial_at: Some(Instant::now()),
            backoff: redial_backoff(),
            timeout_factor: 1,
            marks,
            standing,
            unpublished: Vec::new(),
        };
        run.standing
            .set_state(SourceState::Down("connecting".to_owned()));
        loop {
            let due = run.next_deadline();
            tokio::select! {
                biased;
                () = sleep_until(due) => run.check_deadlines(Instant::now()),
                // This task holds a sender too, so the channel never closes.
                event = events.recv() => if let Some((id, event)) = event {
                    run.handle_event(id, event, Instant::now());
                },
            }
            run.publish().await;
        }
    }
}

fn with_path(url: Uri, path: &'static str) -> Uri {
    let mut parts = url.clone().into_parts();
    if url.path() != "/" || url.query().is_some() {
        return url;
    }
    parts.path_and_query =
        Some(tokio_tungstenite::tungstenite::http::uri::PathAndQuery::from_static(path));
    Uri::from_parts(parts).unwrap_or(url)
}

/// A running feed. At any time, a connection that is not leaving exists, or a time to dial is set.
struct Run {
    feed: Feed,
    network: Network,
    sender: mpsc::Sender<(LineId, Event)>,
    /// The connections. Usually one; two during a takeover; none while the feed waits to dial.
    calls: Vec<ConnectionState>,
    next_id: LineId,
    dial_at: Option<Instant>,
    backoff: Backoff,
    /// The factor of the price timeout.
    timeout_factor: u32,
    marks: SequenceTracker,
    standing: FeedStatus,
    /// The ticks of the last event.
    unpublished: Vec<Tick>,
}

impl Run {
    fn timeouts(&self) -> Timeouts {
        Timeouts {
            heartbeat: self.feed.exchange.limits().heartbeat_timeout,
            price: self.feed.price_timeout * self.timeout_factor,
        }
    }

    /// Returns the time of the next check.
    fn next_deadline(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let patience = self.timeouts();
        let calls = self
            .calls
            .iter()
            .filter_map(|call| call.due(patience))
            .map(|(at, _)| at);
        let unheard = self
            .calls
            .iter()
            .filter_map(|call| self.standing.deadline(call.opened?));
        calls
            .chain(unheard)
            .chain(self.dial_at)
            .min()
            .unwrap_or(far)
    }

    /// Handles deadlines that have passed. A deadline may change the connections, so the loop then
    /// checks again at once.
    fn check_deadlines(&mut self, now: Instant) {
        if self.dial_at.is_some_and(|at| at <= now) {
            self.dial_at = None;
            self.dial(now);
        }
        let patience = self.timeouts();
        for i in (0..self.calls.len()).rev() {
            let call = &self.calls[i];
            if let Some((_, due)) = call.due(patience).filter(|(at, _)| *at <= now) {
                return self.meet_deadline(i, due, now);
            }
            let deadline = call
                .opened
                .and_then(|opened| self.standing.deadline(opened));
            if deadline.is_some_and(|at| at <= now) {
                self.standing.mark_unheard_down();
            }
        }
    }

    fn meet_deadline(&mut self, i: usize, due: Deadline, now: Instant) {
        match due {
            Deadline::Unsaid => {
                self.drop_connection(
                    i,
                    End::plain("the connection task failed without a result".to_owned()),
                    now,
                );
            }
            Deadline::Quiet => {
                let quiet = self.feed.exchange.limits().heartbeat_timeout;
                self.drop_connection(
                    i,
                    End::plain(format!("no message received for {quiet:?}")),
                    now,
                );
            }
            Deadline::TakeOver => self.take_over(i),
            Deadline::Silent => self.handle_silence(i, now),
            Deadline::Relieve => self.replace(i, now),
        }
    }

    /// Opens a connection.
    fn dial(&mut self, now: Instant) {
        let limits = self.feed.exchange.limits();
        let (outbox, receiver) = mpsc::unbounded_channel();
        let id = self.next_id;
        self.next_id += 1;
        let turn = self
            .network
            .next_slot(&self.feed.url, limits.connect_interval);
        let line = Connection {
            id,
            url: self.feed.url.clone(),
            network: self.network.clone(),
            turn,
            say_every: limits.send_interval,
            elsewhere: self.feed.exchange.elsewhere(),
            outbox: receiver,
            events: self.sender.clone(),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(line.run()));
        self.calls.push(ConnectionState {
            id,
            conversation: self.feed.exchange.new_connection(),
            outbox,
            turn,
            opened: None,
            pulse: now,
            first_price: None,
            last_price: now,
            halted: false,
            relieve_at: None,
            leaving: false,
            held: Vec::new(),
            _task: task,
        });
    }

    /// Schedules a dial if every connection is leaving.
    fn schedule_dial(&mut self, away: Duration, now: Instant) {
        if self.calls.iter().all(|call| call.leaving) {
            // If the exchange asked the feed to wait, that delay stays valid.
            let at = now + away + self.backoff.next(fastrand::f64());
            self.dial_at = Some(self.dial_at.map_or(at, |before| before.max(at)));
        }
    }

    /// Starts the replacement of this connection by another connection.
    fn replace(&mut self, i: usize, now: Instant) {
        self.calls[i].leaving = true;
        if self.calls.iter().all(|call| call.leaving) && self.dial_at.is_none() {
            // A connection that leaves without any price counts as a failure.
            let failed = !self.calls[i].has_prices();
            let pause = if failed {
                self.backoff.next(fastrand::f64())
            } else {
                Duration::ZERO
            };
            self.dial_at = Some(now + pause);
        }
    }

    /// Handles a connection without a price for too long, even if other messages arrived. The feed
    /// keeps the connection until another connection brings a price, because the exchange may have
    /// no prices.
    fn handle_silence(&mut self, i: usize, now: Instant) {
        if self.calls[i].is_steady() {
            self.is_well();
        } else {
            self.timeout_factor = (self.timeout_factor * 2).min(MAX_TIMEOUT_FACTOR);
        }
        let id = self.calls[i].id;
        if self
            .calls
            .iter()
            .any(|call| call.id != id && call.has_prices())
        {
            return self.drop_connection(i, End::plain("no price received".to_owned()), now);
        }
        let call = &mut self.calls[i];
        (call.first_price, call.leaving) = (None, true);
        // One silent connection is enough.
        self.calls.retain(|call| call.id == id || !call.leaving);
        self.standing.set_state(SourceState::Stale);
        self.schedule_dial(Duration::ZERO, now);
    }

    /// Closes a connection.
    fn drop_connection(&mut self, i: usize, end: End, now: Instant) {
        let call = self.calls.remove(i);
        if let Some(opened) = call.opened {
            self.standing.disconnected(now - opened);
        }
        if call.is_steady() {
            self.is_well();
        }
        self.feed
            .publisher
            .reporter()
            .count(FeedEventKind::Errors, u64::from(end.garbled));
        // If no connection is left to wait for, the waiting connection takes over.
        let waiting = self.calls.iter().position(|call| !call.held.is_empty());
        if let Some(i) = waiting.filter(|i| !self.must_wait(*i)) {
            self.take_over(i);
        }
        // The loss does not matter if another connection brings prices. The loss does not matter
        // either if this connection was leaving and another connection is open.
        let missed = !self
            .calls
            .iter()
            .any(|other| other.has_prices() || (call.leaving && other.opened.is_some()));
        if missed {
            self.standing.set_state(SourceState::Down(end.why));
        } else {
            tracing::info!(
                source = self.feed.publisher.name(),
                "a connection ended: {}",
                end.why
            );
        }
        self.schedule_dial(end.away, now);
    }

    /// Resets the backoff and the timeout factor, because prices have come for long enough.
    fn is_well(&mut self) {
        self.backoff.reset();
        self.timeout_factor = 1;
    }

    /// Handles an event on a connection.
    fn handle_event(&mut self, id: LineId, event: Event, now: Instant) {
        let Some(i) = self.calls.iter().position(|call| call.id == id) else {
            return;
        };
        self.calls[i].pulse = now;
        match event {
            Event::Opened => self.opened(i, now),
            Event::Frames(frames) => self.handle_frame(i, frames, now),
            Event::Pulse => {}
            Event::Ended(end) => self.drop_connection(i, end, now),
        }
    }

    fn opened(&mut self, i: usize, now: Instant) {
        self.feed
            .publisher
            .reporter()
            .count(FeedEventKind::Connects, 1);
        self.standing.connected();
        let life = self.feed.exchange.limits().max_connection_age;
        let call = &mut self.calls[i];
        (call.opened, call.last_price) = (Some(now), now);
        call.relieve_at = life.map(|life| now + life.mul_f64(1.0 - LIFE_JITTER * fastrand::f64()));
        for text in call.conversation.open() {
            // If the receiver is gone, an event reports the end of the connection.
            let _ = call.outbox.send(text);
        }
    }
}
