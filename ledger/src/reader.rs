//! Readers that disconnect, stop reading and come back, with the cursor in a header or in the URL.
//! Sometimes a reader sends an invalid cursor.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use eventsource_stream::{Event, Eventsource};
use fastrand::Rng;
use futures_util::{Stream, StreamExt};
use ledger::{Entry, Reader, Seen};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

/// Maximum time of a connection during the run, in ms.
const MAX_CONNECTION_MS: u64 = 12_000;

/// Maximum time for a reader to catch up after the last tick.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// The cursor of the tape's head after the last tick.
pub(crate) type End = Arc<OnceLock<String>>;

/// Reads until the end of the tape. Returns the reader's log.
pub(crate) async fn read(
    (url, http): (String, reqwest::Client),
    symbols: Vec<String>,
    number: usize,
    end: End,
    mut rng: Rng,
) -> Reader {
    let all = rng.f64() < 0.7;
    let selected: BTreeSet<String> = if rng.bool() {
        BTreeSet::new()
    } else {
        rng.choose_multiple(symbols, 4).into_iter().collect()
    };
    let name = format!("reader-{number}-{}", if all { "all" } else { "latest" });
    let reader = Reader {
        name,
        all,
        symbols: selected,
        healed: false,
        entries: Vec::new(),
    };
    let mut client = Client {
        reader,
        url,
        http,
        cursor: None,
        end,
        rng,
    };
    let mut catch_up_start: Option<Instant> = None;
    loop {
        let ended = client.connect_once().await;
        if client.end.get().is_some() {
            let start = *catch_up_start.get_or_insert_with(Instant::now);
            if ended || start.elapsed() > CATCH_UP_TIMEOUT {
                client.reader.healed = true;
                return client.reader;
            }
        }
        sleep(Duration::from_millis(client.rng.u64(0..800))).await;
    }
}

struct Client {
    reader: Reader,
    url: String,
    http: reqwest::Client,
    cursor: Option<String>,
    end: End,
    rng: Rng,
}

type Events = Pin<Box<dyn Stream<Item = Result<Event, String>> + Send>>;

impl Client {
    /// Opens one connection. Returns whether the reader got to the end of the tape.
    async fn connect_once(&mut self) -> bool {
        let cursor = match self.cursor.clone() {
            Some(_) if self.rng.f64() < 0.02 => Some(invalid_cursor(&mut self.rng)),
            cursor => cursor,
        };
        let Some(mut events) = self.connect(cursor.as_deref()).await else {
            return false;
        };
        self.record(String::new(), Seen::Connect(cursor));
        let disconnect_at =
            Instant::now() + Duration::from_millis(self.rng.u64(100..MAX_CONNECTION_MS));
        let stall = (self.rng.f64() < 0.3).then(|| self.rng.u64(0..2000));
        let mut stall = stall.map(|after| Instant::now() + Duration::from_millis(after));
        loop {
            let is_over = self.end.get().is_some();
            if !is_over && Instant::now() > disconnect_at {
                self.record(String::new(), Seen::Lost);
                return false;
            }
            if stall.is_some_and(|at| Instant::now() > at) {
                stall = None;
                sleep(Duration::from_millis(self.rng.u64(500..4000))).await;
            }
            let event = match timeout(Duration::from_millis(200), events.next()).await {
                Err(_) => continue,
                Ok(Some(Ok(event))) => event,
                Ok(_) => {
                    self.record(String::new(), Seen::Lost);
                    return false;
                }
            };
            let id = event.id.clone();
            if self.record_event(event) && self.end.get() == Some(&id) {
                return true;
            }
        }
    }

    /// Requests the stream, with the cursor in a header or in the URL.
    async fn connect(&mut self, cursor: Option<&str>) -> Option<Events> {
        let mode = if self.reader.all { "all" } else { "latest" };
        let mut query = vec![("mode", mode.to_owned()), ("heartbeat", "3".to_owned())];
        if !self.reader.symbols.is_empty() {
            query.push((
                "symbols",
                self.reader
                    .symbols
                    .iter()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(","),
            ));
        }
        let by_header = self.rng.bool();
        if let Some(cursor) = cursor.filter(|_| !by_header) {
            query.push(("lastEventId", cursor.to_owned()));
        }
        let mut request = self
            .http
            .get(format!("{}/v1/stream", self.url))
            .query(&query);
        if let Some(cursor) = cursor.filter(|_| by_header) {
            request = request.header("last-event-id", cursor);
        }
        let response = timeout(Duration::from_secs(20), request.send())
            .await
            .ok()?
            .ok()?;
        if response.status() != 200 {
            return None;
        }
        let events = response.bytes_stream().eventsource();
        Some(Box::pin(
            events.map(|event| event.map_err(|error| error.to_string())),
        ))
    }

    /// Records an event. Returns whether the event can be the last event.
    fn record_event(&mut self, event: Event) -> bool {
        if !event.id.is_empty() {
            self.cursor = Some(event.id.clone());
        }
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        let seen = match event.event.as_str() {
            "tick" => {
                let price = raw_field(&event.data, "price");
                Seen::Tick {
                    symbol: text("symbol"),
                    n: data["n"].as_u64().unwrap_or_default(),
                    price,
                }
            }
            "ready" => Seen::Ready {
                resumed: data["resumed"] == true,
            },
            "heartbeat" => Seen::Heartbeat,
            "reset" => Seen::Reset {
                reason: text("reason"),
            },
            "bye" => Seen::Bye {
                reason: text("reason"),
            },
            _ => return false,
        };
        let last = matches!(seen, Seen::Ready { .. } | Seen::Heartbeat);
        self.record(event.id, seen);
        last
    }

    fn record(&mut self, id: String, seen: Seen) {
        self.reader.entries.push(Entry { id, seen });
    }
}

/// Returns a cursor that no server has ever sent.
fn invalid_cursor(rng: &mut Rng) -> String {
    let texts = [
        "0",
        "-1",
        "e-",
        "000000000000-5",
        "ffffffffffff-18446744073709551615",
        "nonsense",
        "A-1",
    ];
    texts[rng.usize(..texts.len())].to_owned()
}

/// Returns the value of a JSON field as written.
fn raw_field(json: &str, name: &str) -> String {
    let members: std::collections::HashMap<&str, &RawValue> =
        serde_json::from_str(json).unwrap_or_default();
    members
        .get(name)
        .map(|raw| raw.get().to_owned())
        .unwrap_or_default()
}
