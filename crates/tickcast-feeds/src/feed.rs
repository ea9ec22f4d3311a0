//! Keeps an exchange's prices coming: connects, watches, and connects again.

mod standing;

use std::convert::Infallible;
use std::time::Duration;

use tickcast::{FeedCount, Publisher, SourceState, Tick, Time};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_util::task::AbortOnDropHandle;

use crate::backoff::Backoff;
use crate::line::{End, Event, Frame, Line, LineId};
use crate::marks::{Marks, Verdict};
use crate::network::Network;
use crate::{Conversation, Exchange, Garbled, Heard, Names, Print, When, wire};
use standing::Standing;

/// How long no price may come over a connection, whatever else does, before another is tried. Unless a feed is told otherwise.
pub const SILENCE: Duration = Duration::from_secs(60);

/// A connection that brought hardly a price is given longer each time, up to so many times as long: perhaps there is none.
const MOST_PATIENT: u32 = 16;

/// So long prices have to flow before all is well again. A connection that stands is no sign of health.
const STEADY: Duration = Duration::from_secs(30);

/// A connection's planned end is brought forward by up to this part of its life: those begun together do not end together.
const LIFE_JITTER: f64 = 0.1;

/// How long two connections overlap when one takes over, from the first price of the new one on: its last subscription has to be
/// served, and what the old one has still on the way has to arrive.
const OVERLAP: Duration = Duration::from_secs(5);

/// Most prices of the new one that wait for that.
const HELD: usize = 1 << 16;

/// How many batches of frames may wait.
const WAITING: usize = 4;

/// An exchange's prices, kept coming.
pub struct Feed {
    exchange: Box<dyn Exchange>,
    url: Uri,
    names: Names,
    publisher: Publisher,
    silence: Duration,
}

impl Feed {
    /// A feed of `exchange` at `url`, for these symbols. Where the URL has no path, it is given the exchange's own.
    pub fn new(exchange: impl Exchange, url: Uri, names: Names, publisher: Publisher) -> Self {
        let url = with_path(url, exchange.path());
        Self { exchange: Box::new(exchange), url, names, publisher, silence: SILENCE }
    }

    /// How long no price may come before another connection is tried. Default: [`SILENCE`].
    #[must_use]
    pub const fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Keeps the prices coming until it is dropped.
    pub async fn run(self, network: &Network) -> Infallible {
        let (sender, mut events) = mpsc::channel(WAITING);
        let standing = Standing::new(&self.names, self.publisher.clone());
        let mut run = Run {
            feed: self,
            network: network.clone(),
            sender,
            calls: Vec::new(),
            next_id: 0,
            dial_at: Some(Instant::now()),
            backoff: Backoff::default(),
            patience: 1,
            marks: Marks::default(),
            standing,
        };
        run.standing.turn(SourceState::Down("connecting".to_owned()));
        loop {
            let due = run.due();
            tokio::select! {
                biased;
                () = sleep_until(due) => run.look(Instant::now()),
                // The sender is here, too: there is always one.
                event = events.recv() => if let Some((id, event)) = event {
                    run.take(id, event, Instant::now());
                },
            }
        }
    }
}

fn with_path(url: Uri, path: &'static str) -> Uri {
    let mut parts = url.clone().into_parts();
    if url.path() != "/" || url.query().is_some() {
        return url;
    }
    parts.path_and_query = Some(tokio_tungstenite::tungstenite::http::uri::PathAndQuery::from_static(path));
    Uri::from_parts(parts).unwrap_or(url)
}

/// A feed that is running. There is always a connection that is not leaving, or a time to dial.
struct Run {
    feed: Feed,
    network: Network,
    sender: mpsc::Sender<(LineId, Event)>,
    /// One; two while one takes over from the other; none while waiting to dial.
    calls: Vec<Call>,
    next_id: LineId,
    dial_at: Option<Instant>,
    backoff: Backoff,
    /// How many times as long as usual a connection may bring no price.
    patience: u32,
    marks: Marks,
    standing: Standing,
}

/// A connection, from here.
struct Call {
    id: LineId,
    conversation: Box<dyn Conversation>,
    outbox: mpsc::UnboundedSender<String>,
    opened: Option<Instant>,
    /// When anything came last.
    pulse: Instant,
    /// When a price came first, and last.
    first_price: Option<Instant>,
    last_price: Instant,
    /// When another is to take over.
    relieve_at: Option<Instant>,
    /// Another is to take over, as soon as it can; until then it is kept for its prices.
    leaving: bool,
    /// It is to take over: its prices wait until the other one has given all of its own.
    held: Vec<Print>,
    _task: AbortOnDropHandle<()>,
}

impl Call {
    /// When it is to take over.
    fn take_over_due(&self) -> Option<Instant> {
        self.first_price.filter(|_| !self.held.is_empty()).map(|first| first + OVERLAP)
    }
}

/// Why a connection is given up.
enum Loss {
    /// It ended, or has to.
    Over(End),
    /// No price came over it.
    Silent,
}

impl Run {
    /// When there is something to look at.
    fn due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let calls = self.calls.iter().filter_map(|call| {
            let opened = call.opened?;
            let relieve = call.relieve_at.filter(|_| !call.leaving).unwrap_or(far);
            let unheard = self.standing.deadline(opened).unwrap_or(far);
            let take_over = call.take_over_due().unwrap_or(far);
            Some(self.pulse_due(call).min(self.price_due(call)).min(relieve).min(unheard).min(take_over))
        });
        calls.chain(self.dial_at).min().unwrap_or(far)
    }

    fn pulse_due(&self, call: &Call) -> Instant {
        call.pulse + self.feed.exchange.limits().pulse
    }

    fn price_due(&self, call: &Call) -> Instant {
        call.last_price + self.feed.silence * self.patience
    }

    /// Looks at what is due. Where that changes what there is, it is looked at again at once.
    fn look(&mut self, now: Instant) {
        if self.dial_at.is_some_and(|at| at <= now) {
            self.dial_at = None;
            self.dial(now);
        }
        for i in (0..self.calls.len()).rev() {
            let call = &self.calls[i];
            let Some(opened) = call.opened else { continue };
            if self.pulse_due(call) <= now {
                let quiet = self.feed.exchange.limits().pulse;
                let why = format!("nothing at all was heard for {quiet:?}");
                return self.lose(i, Loss::Over(End::plain(why)), now);
            } else if self.price_due(call) <= now {
                return self.lose(i, Loss::Silent, now);
            } else if call.take_over_due().is_some_and(|at| at <= now) {
                return self.take_over(i);
            } else {
                if call.relieve_at.is_some_and(|at| at <= now) && !call.leaving {
                    self.relieve(i, now);
                }
                if self.standing.deadline(opened).is_some_and(|at| at <= now) {
                    self.standing.give_up_on_unheard();
                }
            }
        }
    }

    /// Opens a connection.
    fn dial(&mut self, now: Instant) {
        let limits = self.feed.exchange.limits();
        let (outbox, receiver) = mpsc::unbounded_channel();
        let id = self.next_id;
        self.next_id += 1;
        let line = Line {
            id,
            url: self.feed.url.clone(),
            network: self.network.clone(),
            turn: self.network.turn(&self.feed.url, limits.connect_every),
            say_every: limits.say_every,
            outbox: receiver,
            events: self.sender.clone(),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(line.run()));
        self.calls.push(Call {
            id,
            conversation: self.feed.exchange.converse(),
            outbox,
            opened: None,
            pulse: now,
            first_price: None,
            last_price: now,
            relieve_at: None,
            leaving: false,
            held: Vec::new(),
            _task: task,
        });
    }

    /// Has another connection take over from this one.
    fn relieve(&mut self, i: usize, now: Instant) {
        self.calls[i].leaving = true;
        if self.calls.iter().all(|call| call.leaving) && self.dial_at.is_none() {
            // One that leaves before it brought anything is no better than one that fell.
            let priced = self.calls[i].first_price.is_some();
            let pause = if priced { Duration::ZERO } else { self.backoff.next(Duration::ZERO) };
            self.dial_at = Some(now + pause);
        }
    }

    /// Gives a connection up.
    fn lose(&mut self, i: usize, loss: Loss, now: Instant) {
        let call = self.calls.remove(i);
        let steady = call.first_price.is_some_and(|first| call.last_price - first >= STEADY);
        if steady {
            self.backoff.reset();
            self.patience = 1;
        }
        let (away, state) = match loss {
            Loss::Over(end) => {
                self.feed.publisher.count(FeedCount::Errors, u64::from(end.garbled));
                (end.away, SourceState::Down(end.why))
            }
            Loss::Silent => {
                if !steady {
                    self.patience = (self.patience * 2).min(MOST_PATIENT);
                }
                (Duration::ZERO, SourceState::Stale)
            }
        };
        // With nobody left to wait for, the one that is to take over does.
        let waiting = self.calls.iter().position(|call| !call.held.is_empty());
        if let Some(i) = waiting.filter(|i| !self.has_to_wait(*i)) {
            self.take_over(i);
        }
        // As long as another one brings prices nobody misses this one.
        if !self.calls.iter().any(|call| call.first_price.is_some()) {
            self.standing.turn(state);
        } else {
            tracing::info!(source = self.feed.publisher.name(), "a connection is gone: {state:?}");
        }
        if self.calls.iter().all(|call| call.leaving) {
            // An exchange that has asked us to stay away has not taken that back.
            let at = now + self.backoff.next(away);
            self.dial_at = Some(self.dial_at.map_or(at, |before| before.max(at)));
        }
    }

    /// Takes in what happened on a connection.
    fn take(&mut self, id: LineId, event: Event, now: Instant) {
        let Some(i) = self.calls.iter().position(|call| call.id == id) else { return };
        self.calls[i].pulse = now;
        match event {
            Event::Opened => self.opened(i, now),
            Event::Frames(frames) => self.hear(i, frames, now),
            Event::Pulse => {}
            Event::Ended(end) => self.lose(i, Loss::Over(end), now),
        }
    }

    fn opened(&mut self, i: usize, now: Instant) {
        self.feed.publisher.count(FeedCount::Connects, 1);
        let life = self.feed.exchange.limits().life;
        let call = &mut self.calls[i];
        (call.opened, call.last_price) = (Some(now), now);
        call.relieve_at = life.map(|life| now + life.mul_f64(1.0 - LIFE_JITTER * fastrand::f64()));
        for text in call.conversation.open() {
            // Who does not listen any more will be heard of.
            let _ = call.outbox.send(text);
        }
    }

    /// Takes in frames.
    fn hear(&mut self, i: usize, frames: Vec<Frame>, now: Instant) {
        self.feed.publisher.count(FeedCount::Frames, frames.len() as u64);
        let (id, waits) = (self.calls[i].id, self.has_to_wait(i));
        let mut heard = Vec::new();
        for frame in frames {
            match frame {
                Frame::Text(text) => {
                    let result = self.calls[i].conversation.hear(&text, &mut heard);
                    if let Err(garbled) = result {
                        let shown = wire::excerpt(&text);
                        heard.push(Heard::Garbled(Garbled(format!("{garbled}: {shown}"))));
                    }
                }
                Frame::Binary => heard.push(Heard::Unknown("a binary frame".to_owned())),
            }
        }
        let (mut ticks, mut prices, mut failed) = (Vec::new(), false, None);
        for heard in heard {
            match heard {
                Heard::Price(print) => {
                    prices = true;
                    if waits {
                        self.calls[i].held.push(*print);
                    } else {
                        ticks.extend(self.judge(*print, false));
                    }
                }
                Heard::Unquoted => self.feed.publisher.count(FeedCount::Unquoted, 1),
                Heard::Garbled(garbled) => self.standing.garbled(&garbled),
                Heard::Lost(missing) => self.lost(missing),
                Heard::Refused { symbol, why } => self.standing.refused(symbol, why),
                Heard::Failed(why) => failed = Some(why),
                Heard::Halted(why) => self.standing.turn(SourceState::Down(why)),
                Heard::Leaving => self.relieve(i, now),
                Heard::Say(text) => {
                    let _ = self.calls[i].outbox.send(text);
                }
                Heard::Nothing => {}
                Heard::Unknown(kind) => self.standing.unknown(kind),
            }
        }
        if prices && waits {
            self.hold(i, now);
        } else if prices {
            self.priced(i, now, &ticks);
        }
        self.publish(&ticks);
        // Others may have been given up for it, so that it stands elsewhere.
        let i = self.calls.iter().position(|call| call.id == id);
        if let (Some(why), Some(i)) = (failed, i) {
            self.lose(i, Loss::Over(End::plain(why)), now);
        }
    }

    /// Whether another connection's prices come first, and it is there to take over from that.
    fn has_to_wait(&self, i: usize) -> bool {
        !self.calls[i].leaving && self.calls.iter().any(|call| call.leaving && call.first_price.is_some())
    }

    /// Prices came over a connection that is to take over.
    fn hold(&mut self, i: usize, now: Instant) {
        let call = &mut self.calls[i];
        call.last_price = now;
        call.first_price.get_or_insert(now);
        if call.held.len() >= HELD {
            self.take_over(i);
        }
    }

    /// A connection takes over: what the one before it has not given is taken from what it held.
    fn take_over(&mut self, i: usize) {
        let (id, held) = (self.calls[i].id, std::mem::take(&mut self.calls[i].held));
        self.calls.retain(|call| call.id == id || !call.leaving);
        let ticks: Vec<_> = held.into_iter().filter_map(|print| self.judge(print, true)).collect();
        self.standing.turn(SourceState::Live);
        self.standing.priced(&ticks);
        self.publish(&ticks);
    }

    /// Says whether a price is to be published, and makes its time sound. One that was `held` is no straggler, but was given before.
    fn judge(&mut self, mut print: Print, held: bool) -> Option<Tick> {
        let wall = Time::from(std::time::SystemTime::now());
        let publisher = &self.feed.publisher;
        let time = match print.when {
            When::At(ms) if wire::is_sound(ms, wall.as_millis()) => Time::from_millis(ms).ok(),
            When::At(_) | When::Unreadable => {
                publisher.count(FeedCount::BadTimes, 1);
                None
            }
            When::Unsaid => None,
        };
        match self.marks.judge(&mut print, time, wall) {
            Verdict::New { missing } => {
                if missing > 0 {
                    self.lost(missing);
                }
                return Some(print.tick);
            }
            Verdict::Straggler if !held => publisher.count(FeedCount::Stragglers, 1),
            Verdict::Straggler | Verdict::Duplicate => publisher.count(FeedCount::Duplicates, 1),
        }
        None
    }

    fn lost(&self, missing: u64) {
        self.feed.publisher.count(FeedCount::Gaps, 1);
        self.feed.publisher.count(FeedCount::Missing, missing);
    }

    /// Prices came over a connection: it is the one that counts from now on.
    fn priced(&mut self, i: usize, now: Instant, ticks: &[Tick]) {
        let call = &mut self.calls[i];
        call.last_price = now;
        if call.first_price.is_some_and(|first| now - first >= STEADY) {
            self.backoff.reset();
            self.patience = 1;
        }
        if call.first_price.replace(call.first_price.unwrap_or(now)).is_none() && !call.leaving {
            let id = call.id;
            self.calls.retain(|call| call.id == id || !call.leaving);
        }
        self.standing.turn(SourceState::Live);
        self.standing.priced(ticks);
    }

    fn publish(&self, ticks: &[Tick]) {
        let mut refused = None;
        self.feed.publisher.publish_all(ticks, |i, outcome| {
            if let Err(error) = outcome {
                refused = Some((i, error));
            }
        });
        if let Some((i, error)) = refused {
            self.standing.garbled(&Garbled(format!("{}: {error}", ticks[i].symbol)));
        }
    }
}
