//! `GET /v1/prices`: the newest tick of each symbol, sent in pieces.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::response::Response;
use bytes::Bytes;
use tickcast_core::Filter;

use super::Problem;
use super::json::json;
use super::query::Query;
#[cfg(feature = "openapi")]
use super::schema;
use super::view::View;
use crate::answers::{self, Cut, PIECE_BYTES, Pull, Snapshot};

/// Maximum number of comparisons of names with patterns on a thread that also serves other tasks.
/// The comparisons take a millisecond if names and patterns are chosen to be slow.
const COMPARISONS: usize = 2_000;

/// Maximum number of comparisons in one job of a worker thread. After that, another job may run.
const COMPARISONS_PER_TURN: usize = 20_000;

/// Latest price of each symbol
///
/// The ticks are in order of names. `cursor` is the tape position of the snapshot: a stream with
/// `since` set to that cursor continues without a gap.
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/v1/prices",
    tag = "market",
    params(("symbols" = Option<String>, Query, pattern = "^[A-Za-z0-9._/:^=&*-]{1,32}(,[A-Za-z0-9._/:^=&*-]{1,32}){0,999}$", description = "Names and patterns, as in `AAPL,BTC*`; at most 1,000. Default: all.", example = "AAPL,BTC*")),
    responses(
        (status = 200, description = "The ticks", body = schema::Prices),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 403, response = schema::Forbidden),
        (status = 503, response = schema::ServerBusy),
    ),
))]
pub(super) async fn prices(view: View, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let wanted = Query::parse(query.as_deref(), &["symbols"])?.filter()?;
    let (snapshot, filter) = view.snapshot(&wanted).await?;
    let prices = Prices::new(&view, snapshot, filter);
    let answers = view.answers();
    let place = if prices.takes_long() {
        Some(answers.wide()?)
    } else {
        None
    };
    let (piece, rest) = prices.pull().await?;
    let Some(rest) = rest else {
        return Ok(json(answers.written(piece.into())?));
    };
    let place = place.map_or_else(|| answers.wide(), Ok)?;
    Ok(json(answers::body(Some(piece), rest, place)))
}

/// An answer in progress: a snapshot, a filter, and the position that was reached.
struct Prices {
    view: View,
    snapshot: Arc<Snapshot>,
    filter: Filter,
    /// The number of patterns that each name is compared with.
    patterns: usize,
    /// The number of symbols that were examined.
    at: usize,
    /// The text between the next tick and the text before it.
    separator: &'static [u8],
    out: Vec<u8>,
}

impl Prices {
    fn new(view: &View, snapshot: Arc<Snapshot>, filter: Filter) -> Self {
        let out = format!("{{\"cursor\":\"{}\",\"prices\":[", snapshot.cursor).into_bytes();
        let patterns = if filter.is_all() {
            0
        } else {
            filter.patterns()
        };
        Self {
            view: view.clone(),
            snapshot,
            filter,
            patterns,
            at: 0,
            separator: b"",
            out,
        }
    }

    /// Checks whether the remaining comparisons are too many for a thread that also serves other
    /// tasks.
    fn takes_long(&self) -> bool {
        (self.snapshot.ticks.len() - self.at) * self.patterns > COMPARISONS
    }

    /// Writes ticks until a piece is full, all ticks are written, or the limit of one job is
    /// reached.
    fn write(&mut self) {
        let turn = COMPARISONS_PER_TURN
            .checked_div(self.patterns)
            .unwrap_or(usize::MAX);
        for (name, frame) in self.snapshot.ticks[self.at..].iter().take(turn) {
            if self.out.len() >= PIECE_BYTES {
                return;
            }
            self.at += 1;
            if self.filter.matches(name) {
                self.out.extend_from_slice(self.separator);
                self.out.extend_from_slice(frame.json());
                self.separator = b",";
            }
        }
    }
}

impl Pull for Prices {
    async fn pull(mut self) -> Result<(Bytes, Option<Self>), Cut> {
        while self.out.len() < PIECE_BYTES && self.at < self.snapshot.ticks.len() {
            if self.takes_long() {
                let view = self.view.clone();
                let act = move || {
                    self.write();
                    self
                };
                self = view.answers().work(act).await?;
            } else {
                self.write();
            }
        }
        let whole = self.at == self.snapshot.ticks.len();
        if whole {
            self.out.extend_from_slice(b"]}");
        }
        let piece = Bytes::from(std::mem::take(&mut self.out));
        Ok((piece, Some(self).filter(|_| !whole)))
    }
}
