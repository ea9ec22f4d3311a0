//! Where it all began: one channel of price ticks, one route.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tickcast_core::{Frame, Limits, Now, Price, PriceError, Sequencer, Symbol, Tick, TickError};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, Sender};
use tokio::task::AbortHandle;

use crate::http::stream;
use crate::hub::Hub;
use crate::subscription::Subscription;

/// Most ticks moved in one go: the market is locked that long.
const BATCH: usize = 512;

/// Most names of one channel: an application's own names, so the limit is only there to have one.
const MAX_NAMES: usize = 10_000_000;

/// One new price of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceTick {
    /// What has the price.
    pub symbol: String,
    /// The price.
    pub price: f64,
    /// Its change, absolute.
    pub change: f64,
}

/// Serves the ticks of a channel at `GET /prices/stream` as Server-Sent Events.
///
/// Every tick sent into the channel reaches every connected client as one event: `event: tick`, `id: <symbol>`,
/// `data: {"symbol":…,"price":…,"change":…}`. A client sees what is sent from the moment it subscribes; after 15 s without
/// an event it is sent a comment. A client that cannot keep up is given the newest tick of each symbol that moved.
///
/// Merge it into any router. It needs no start-up call; dropping it, and the streams it serves, frees everything. A stream
/// ends when every sender is gone; the router holds one itself.
///
/// ```
/// use tickcast::{PriceTick, routes};
/// use tokio::sync::broadcast;
///
/// let (ticks, _) = broadcast::channel(1024);
/// let app: axum::Router = axum::Router::new().merge(routes(ticks.clone()));
/// let _ = ticks.send(PriceTick { symbol: "AAPL".into(), price: 189.5, change: 0.25 });
/// ```
pub fn routes(ticks: Sender<PriceTick>) -> Router {
    let channel = Arc::new(Channel { ticks, feed: Mutex::default() });
    Router::new().route("/prices/stream", get(prices_stream)).with_state(channel)
}

/// A channel, and what feeds its readers as long as there are any.
struct Channel {
    ticks: Sender<PriceTick>,
    feed: Mutex<Weak<Feed>>,
}

/// Moves ticks from a channel into a hub. Each reader holds it; the last one to leave stops it.
struct Feed {
    hub: Hub,
    inlet: Arc<ChannelReader>,
    pump: AbortHandle,
}

/// The receiving end of a channel. Whoever is about to read empties it first, so as not to see what came before.
struct ChannelReader(Mutex<Receiver<PriceTick>>);

async fn prices_stream(State(channel): State<Arc<Channel>>) -> Response {
    let feed = channel.feed();
    let events = stream::events(&feed.hub, Subscription::default().without_snapshot());
    stream::response(events.keeping(feed))
}

impl Channel {
    /// The feed that runs, or a new one; it has moved all that was sent so far.
    fn feed(&self) -> Arc<Feed> {
        let mut current = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = current.upgrade() {
            feed.inlet.empty_into(&feed.hub);
            return feed;
        }
        let hub = Hub::builder().limits(Limits { symbols: MAX_NAMES, ..Limits::default() }).build();
        // The bell first: a tick that comes between the two has rung.
        let bell = self.ticks.subscribe();
        let inlet = Arc::new(ChannelReader(Mutex::new(self.ticks.subscribe())));
        let pump = tokio::spawn(pump(bell, Arc::clone(&inlet), hub.clone())).abort_handle();
        let feed = Arc::new(Feed { hub, inlet, pump });
        *current = Arc::downgrade(&feed);
        feed
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Empties the inlet whenever its bell, a receiver of the same channel, rings. Ends the streams when all senders are gone.
async fn pump(mut bell: Receiver<PriceTick>, inlet: Arc<ChannelReader>, hub: Hub) {
    while !matches!(bell.recv().await, Err(RecvError::Closed)) {
        inlet.empty_into(&hub);
        // What was just moved has rung, too.
        for _ in 0..bell.len() {
            let _ = bell.try_recv();
        }
        inlet.empty_into(&hub);
        tokio::task::yield_now().await;
    }
    inlet.empty_into(&hub);
    hub.end_when_caught_up();
}

impl ChannelReader {
    /// Moves what is there now: a sender that never stops does not keep it here.
    fn empty_into(&self, hub: &Hub) {
        let mut inlet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = inlet.len();
        while left > 0 {
            let batch = left.min(BATCH);
            left -= batch;
            let now = hub.now();
            hub.log().with(|log| {
                for _ in 0..batch {
                    match inlet.try_recv() {
                        Ok(tick) => deliver(log, &tick, now),
                        Err(TryRecvError::Lagged(missed)) => {
                            tracing::debug!(missed, "the channel overflowed");
                        }
                        Err(TryRecvError::Empty | TryRecvError::Closed) => return,
                    }
                }
            });
        }
    }
}

fn deliver(log: &mut Sequencer, tick: &PriceTick, now: Now) {
    // The only thing that serde_json could refuse is a map with keys that are no text.
    let Ok(json) = serde_json::to_string(tick) else { return };
    if log.accept_frame(key(&tick.symbol), Frame::verbatim(&tick.symbol, &json), now).is_err() {
        tracing::debug!(limit = MAX_NAMES, "a tick is not delivered: too many names");
    }
}

/// What a symbol is kept under. The contract delivers any name; one that is no [`Symbol`] is kept under its hash, which
/// serves to merge its ticks for those who fall behind.
fn key(name: &str) -> Symbol {
    Symbol::new(name).unwrap_or_else(|_| {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        Symbol::new(&format!("={hash:016x}"))
            .unwrap_or_else(|_| unreachable!("a dozen hex digits are a symbol"))
    })
}

impl TryFrom<&PriceTick> for Tick {
    type Error = TickError;

    /// For a [`Hub`]: the symbol must be a [`Symbol`], the numbers finite.
    fn try_from(tick: &PriceTick) -> Result<Self, TickError> {
        let amount = |field, value: f64| {
            Price::try_from(value).map_err(|error: PriceError| TickError::Price { field, error })
        };
        let mut converted = Self::new(Symbol::new(&tick.symbol)?, amount("price", tick.price)?);
        converted.change = Some(amount("change", tick.change)?);
        Ok(converted)
    }
}
