//! `GET /v1/prices`: the newest tick of each symbol, sent in pieces.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use tickcast_core::Filter;

use super::Problem;
use super::json::json;
use super::query::Query;
#[cfg(feature = "openapi")]
use super::schema;
use super::view::{Ticks, View};
use crate::answers::{self, AnswerPermit, Cut, PriceList, Pull, Snapshot};
use crate::workers::Work;

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
    params(schema::KnownAnswer, ("symbols" = Option<String>, Query, pattern = "^[A-Za-z0-9._/:^=&*-]{1,32}(,[A-Za-z0-9._/:^=&*-]{1,32}){0,999}$", description = "Names and patterns, as in `AAPL,BTC*`; at most 1,000. Default: all.", example = "AAPL,BTC*")),
    responses(
        (status = 200, description = "The ticks", body = schema::Prices, headers(("ETag" = String, description = "The tag of the answer. It follows from `cursor` and from the symbols that the reader may read and asks for."))),
        (status = 304, response = schema::NotModified),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 403, response = schema::Forbidden),
        (status = 503, response = schema::ServerBusy),
    ),
))]
pub(super) async fn prices(
    view: View,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = Query::parse(query.as_deref(), &["symbols"])?.filter()?;
    let selected = view.narrow(&wanted)?;
    if asked.contains_key(header::IF_NONE_MATCH) {
        let tag = view.tag(&selected, view.cursor());
        if tag.is_known(&asked) {
            return Ok(tag.not_modified());
        }
    }
    let ticks = view.ticks(&selected).await?;
    let tag = view.tag(&selected, ticks.cursor());
    let answer = match ticks {
        Ticks::All(snapshot) => all_prices(&view, snapshot)?,
        Ticks::Among(snapshot, filter) => some_prices(&view, snapshot, filter).await?,
    };
    Ok(tag.on(answer))
}

/// Returns the ticks of a snapshot that a filter selects.
async fn some_prices(
    view: &View,
    snapshot: Arc<Snapshot>,
    filter: Filter,
) -> Result<Response, Problem> {
    let mut prices = Prices::new(view, snapshot, filter);
    let answers = view.answers();
    if prices.takes_long() {
        prices.place = Some(answers.wide()?);
    }
    let (piece, rest) = prices.pull().await?;
    let Some(mut rest) = rest else {
        return Ok(json(answers.written(piece.into())?));
    };
    if rest.place.is_none() {
        rest.place = Some(answers.wide()?);
    }
    Ok(json(answers::body(Some(piece), rest)))
}

/// Returns all ticks of a snapshot. All requests share the pieces.
fn all_prices(view: &View, snapshot: Arc<Snapshot>) -> Result<Response, Problem> {
    let (piece, is_last) = snapshot.piece(0);
    if is_last {
        return Ok(json(piece));
    }
    let rest = AllPrices {
        snapshot,
        next: 1,
        _place: view.answers().wide()?,
    };
    Ok(json(answers::body(Some(piece), rest)))
}

/// An answer with all ticks in progress.
struct AllPrices {
    snapshot: Arc<Snapshot>,
    /// The index of the next piece.
    next: usize,
    _place: AnswerPermit,
}

impl Pull for AllPrices {
    async fn pull(mut self) -> Result<(Bytes, Option<Self>), Cut> {
        let (piece, is_last) = self.snapshot.piece(self.next);
        self.next += 1;
        Ok((piece, Some(self).filter(|_| !is_last)))
    }
}

/// An answer with some of the ticks in progress: a snapshot, a filter, and the text so far.
struct Prices {
    view: View,
    snapshot: Arc<Snapshot>,
    filter: Filter,
    list: PriceList,
    /// The permit of an answer that takes long, or that is long.
    place: Option<AnswerPermit>,
}

impl Prices {
    fn new(view: &View, snapshot: Arc<Snapshot>, filter: Filter) -> Self {
        Self {
            view: view.clone(),
            list: PriceList::new(snapshot.cursor),
            snapshot,
            filter,
            place: None,
        }
    }

    /// Checks whether the remaining comparisons are too many for a thread that also serves other
    /// tasks.
    fn takes_long(&self) -> bool {
        let rest = self.snapshot.ticks.len() - self.list.examined();
        rest * self.filter.patterns() > COMPARISONS
    }

    /// Writes ticks until there is a piece, or until the limit of one job is reached.
    fn write(&mut self) {
        let turn = COMPARISONS_PER_TURN.checked_div(self.filter.patterns());
        let matcher = self.filter.matcher();
        self.list
            .write(&self.snapshot.ticks, turn.unwrap_or(usize::MAX), |name| {
                matcher.matches(name)
            });
    }
}

impl Pull for Prices {
    async fn pull(mut self) -> Result<(Bytes, Option<Self>), Cut> {
        while !self.list.has_piece(&self.snapshot.ticks) {
            if self.takes_long() {
                let view = self.view.clone();
                let act = move || {
                    self.write();
                    self
                };
                self = view.answers().work(Work::Memory, act).await?;
            } else {
                self.write();
            }
        }
        let (piece, is_last) = self.list.take_piece(&self.snapshot.ticks);
        Ok((piece, Some(self).filter(|_| !is_last)))
    }
}
