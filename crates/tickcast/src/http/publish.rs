//! `POST /v1/prices` and `DELETE /v1/prices/{symbol}`.

mod coding;
mod desk;
mod idempotency;
mod read;
mod report;

use std::mem;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tickcast_core::{RawTick, Rejected, Symbol, Tick, TickError, TickSplitter};

use super::query::NoParameters;
#[cfg(feature = "openapi")]
use super::schema;
use super::symbol_path::{SymbolPath, parse_symbol};
use super::view::View;
use super::{Problem, body};
use crate::access::{Admission, Grant, Viewer};
use crate::overload::OverloadStep;
use crate::publisher::Publisher;
use coding::Coding;
pub(super) use desk::PublishState;
use idempotency::IdempotencyKeys;
use idempotency::{Claim, Claimed};
use read::Read;
use report::Report;

/// Maximum number of ticks that are published per lock of the market, which keeps the lock short.
const MAX_BATCH_TICKS: usize = 1024;

/// Number of bytes of a body that are read at a time. They have at most some thousand items, so that
/// a request that waits for the disk needs little memory.
const SLICE_BYTES: usize = 8 << 10;

/// Publish ticks
///
/// The body is one tick, an array of ticks, or one tick per line. Invalid items are listed in the
/// answer; valid items in the same body are still published.
///
/// If a request is repeated with the same `Idempotency-Key` and the same body, the server returns
/// the first answer and does not publish again. The body may be compressed:
/// `Content-Encoding: gzip` or `zstd`.
///
/// A publisher that sends its name as `source` becomes a separate source, `http:NAME`. The prices
/// of that source become stale when its publisher is silent, even if other publishers continue.
#[cfg_attr(feature = "openapi", utoipa::path(
    post,
    path = "/v1/prices",
    tag = "publishing",
    security(("publish_token" = [])),
    params(("source" = Option<String>, Query, pattern = "^[A-Za-z0-9._-]{1,32}$", description = "The publisher's name.", example = "desk"), ("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]([ -~]{0,253}[!-~])?$", description = "Any text of 1 to 255 printable characters.")),
    request_body(content(
        (schema::NewTicks = "application/json"),
        (schema::NewTick = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "The report on the ticks", body = Report),
        (status = 400, description = "No tick could be read, or the key is invalid", body = Problem,
            content_type = "application/problem+json"),
        (status = 401, response = schema::Unauthorized),
        (status = 403, response = schema::PublishingForbidden),
        (status = 408, response = schema::RequestTimeout),
        (status = 409, description = "A request with this key is in progress", body = Problem,
            content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor NDJSON, or the compression is not supported", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "No tick was accepted, and some were rejected; the problem also has the members of the 200 answer. Or the key was sent with another body before", body = Problem,
            content_type = "application/problem+json"),
        (status = 429, response = schema::PublishingTooFast),
        (status = 503, response = schema::ShuttingDown),
        (status = 507, response = schema::StorageFull),
    ),
))]
pub(super) async fn publish(
    State(desk): State<Arc<PublishState>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let (headers, grant) = (&parts.headers, parts.extensions.get::<Grant>());
    let publisher = desk.publisher(parts.uri.query(), grant)?;
    let Some(coding) = Coding::of(headers) else {
        body::discard_body(body).await;
        return Ok(Coding::refusal());
    };
    let hub = desk.publisher.hub();
    let room = coding.room(hub.answers());
    let ready = async {
        let (items, room) = (items(headers)?, room?);
        Ok((items, room, desk.keys.claim(headers, grant, hub).await?))
    };
    let (items, room, claim) = match ready.await {
        Ok((items, room, Claimed::Open(claim))) => (items, room, claim),
        Ok((_, room, Claimed::Done(report))) => {
            let read = check_repeated_body(coding, coding.decode(body, room)).await?;
            return report
                .is_of(read)
                .then(|| report.into_response())
                .ok_or_else(idempotency::key_reused);
        }
        Err(problem) => {
            body::discard_body(body).await;
            return Err(problem);
        }
    };
    let (resume_at, before) = (claim.report().borrow().next, claim.report().borrow().read);
    let read = Read::default();
    let intake = PublishRequest {
        publisher: &publisher,
        admission: grant.map(Grant::admission),
        claim,
        resume_at,
        before,
        read,
        other: false,
        batch: Vec::new(),
        refused: Vec::new(),
        new_symbols: Vec::new(),
    };
    let body = coding.decode(body, room);
    Ok(intake.run(items, coding, body).await?.into_response())
}

/// Remove a symbol from the market
///
/// Clients of the symbol receive `gone`. The symbol may come back.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete,
    path = "/v1/prices/{symbol}",
    tag = "publishing",
    security(("publish_token" = [])),
    params(schema::SymbolParameter),
    responses(
        (status = 204, description = "The symbol was removed"),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::Unauthorized),
        (status = 403, response = schema::PublishingForbidden),
        (status = 404, response = schema::SymbolNotFound),
        (status = 429, response = schema::PublishingTooFast),
        (status = 503, response = schema::ShuttingDown),
        (status = 507, response = schema::StorageFull),
    ),
))]
pub(super) async fn delete_price(
    State(desk): State<Arc<PublishState>>,
    grant: Option<Extension<Grant>>,
    _: NoParameters,
    path: SymbolPath,
) -> Result<StatusCode, Problem> {
    let symbol = parse_symbol(&path)?;
    if let Some(Extension(grant)) = &grant {
        let now = desk.publisher.hub().now().uptime;
        grant.admission().admit(&symbol, now)?;
    }
    if is_overloaded(&desk.publisher) {
        return Err(TickError::Overloaded.into());
    }
    match desk.publisher.remove(&symbol).await {
        Ok(true) => {
            desk.publisher.hub().durable().await?;
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(false) => {
            let viewer = grant.map_or_else(Viewer::default, |Extension(grant)| grant.viewer());
            let view = View::of_publisher(desk.publisher.hub(), viewer);
            Err(view.missing(view.permit(symbol)?).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the splitter for the body's content type. The default content type of `curl -d` is
/// treated as JSON.
fn items(headers: &HeaderMap) -> Result<TickSplitter, Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
            Ok(TickSplitter::lines())
        }
        "" | "application/json" | "application/x-www-form-urlencoded" => Ok(TickSplitter::json()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the type of the body is not supported (expected application/json with one object or an array, or application/x-ndjson with one object per line)",
        )),
    }
}

/// Checks whether ticks are refused because of overload.
fn is_overloaded(publisher: &Publisher) -> bool {
    publisher.hub().overload() >= OverloadStep::RefusePublishing
}

/// Reads the whole body of a repeated request, to compare it with the first body.
async fn check_repeated_body(coding: Coding, mut body: Body) -> Result<Read, Problem> {
    let mut read = Read::default();
    while let Some(bytes) = body::try_next(&mut body).await {
        let bytes = bytes.map_err(|error| coding.problem(&error))?;
        read.add(&bytes, None);
        tokio::task::consume_budget().await;
    }
    Ok(read)
}

/// A publish request in progress.
struct PublishRequest<'d> {
    publisher: &'d Publisher,
    /// The check of the ticks, if the publisher may not publish everything.
    admission: Option<Admission<'d>>,
    claim: Claim<'d>,
    /// The index of the first item that still has to be handled. An earlier attempt of the same
    /// request handled the items before, and then broke off.
    resume_at: u64,
    /// The part of the body that the earlier attempt handled.
    before: Option<Read>,
    /// The part of the current body that was handled.
    read: Read,
    /// Whether the current body differs from the body of the earlier attempt.
    other: bool,
    /// The ticks that were read and not published yet.
    batch: Vec<(u64, Tick)>,
    /// The items that were refused, each with the number of ticks in the batch before it.
    refused: Vec<(usize, u64, Rejected)>,
    /// The new symbols among the ticks of the batch, if their number is limited.
    new_symbols: Vec<Symbol>,
}

impl PublishRequest<'_> {
    async fn run(
        mut self,
        mut items: TickSplitter,
        coding: Coding,
        mut body: Body,
    ) -> Result<Report, Problem> {
        let mut read = self.read;
        while let Some(bytes) = body::try_next(&mut body).await {
            let bytes = bytes.map_err(|error| {
                self.claim
                    .report()
                    .borrow()
                    .broken_off(coding.problem(&error))
            })?;
            if is_overloaded(self.publisher) {
                let mut report = self.claim.report().borrow_mut();
                report.stop(TickError::Overloaded);
            }
            for bytes in bytes.chunks(SLICE_BYTES) {
                self.other |= !read.add(bytes, self.before);
                let within = self.is_within(read);
                items.push_bytes(bytes, |at, item| self.take(at, item, within));
                if self.other {
                    return Err(idempotency::key_reused());
                }
                if self.batch.len() + self.refused.len() >= MAX_BATCH_TICKS {
                    self.publish(read).await?;
                }
            }
            self.publish(read).await?;
            // A compressed body may expand to a large size without ever waiting for the network.
            tokio::task::consume_budget().await;
        }
        if self.is_within(read) {
            return Err(idempotency::key_reused());
        }
        items.finish(|at, item| self.take(at, item, false));
        self.publish(read).await?;
        let hub = self.publisher.hub();
        hub.durable().await?;
        let cursor = hub.cursor();
        Ok(self.claim.done(self.publisher, cursor, read).await?)
    }

    /// Checks that all ticks so far were handled.
    fn check_stored(&self) -> Result<(), Problem> {
        self.claim
            .report()
            .borrow_mut()
            .stop_problem()
            .map_or(Ok(()), Err)
    }

    fn is_stored(&self) -> bool {
        self.claim.report().borrow().stopped.is_none()
    }

    /// Checks whether the earlier attempt handled more of the body than `read`.
    fn is_within(&self, read: Read) -> bool {
        self.before
            .is_some_and(|before| read.length < before.length)
    }

    fn take(&mut self, at: u64, item: RawTick<'_>, within: bool) {
        self.other |= within && at >= self.resume_at;
        if self.other {
            return;
        }
        // After an item that could not be stored, or was too fast, no more items are handled. The
        // client may send the items again.
        if at < self.resume_at || !self.is_stored() || self.is_too_fast() {
            return;
        }
        match item.tick() {
            // A tick is large, so it is moved only once.
            Ok(tick) => match self.admit(tick.symbol) {
                Ok(()) => self.batch.push((at, tick)),
                Err(rejected) => self.refused.push((self.batch.len(), at, rejected)),
            },
            Err(rejected) => self.refused.push((self.batch.len(), at, rejected)),
        }
    }

    /// Checks whether the last item was refused because the publisher sends too fast. The rest of
    /// the body is for later, too: it must not overtake this item.
    fn is_too_fast(&self) -> bool {
        let last = self.refused.last();
        last.is_some_and(|(.., rejected)| matches!(rejected.error, TickError::TooFast(_)))
    }

    /// Checks whether the publisher may publish a tick of this symbol.
    fn admit(&mut self, symbol: Symbol) -> Result<(), Rejected> {
        let Some(admission) = &self.admission else {
            return Ok(());
        };
        let now = self.publisher.hub().now().uptime;
        let mut admitted = admission.admit(&symbol, now);
        if admitted.is_ok() && admission.limits_new_symbols() && self.is_new(&symbol) {
            admitted = admission.admit_new(symbol);
            self.new_symbols.push(symbol);
        }
        admitted.map_err(|error| Rejected {
            symbol: Some(symbol),
            error,
        })
    }

    /// Checks whether the symbol was never on the market.
    fn is_new(&self, symbol: &Symbol) -> bool {
        let log = self.publisher.hub().log();
        log.read(|log| log.market().seen_id(symbol).is_none())
    }

    /// Publishes the ticks of the batch, and notes the items that were refused, in their order.
    /// `read` is the part of the body that is handled then.
    async fn publish(&mut self, read: Read) -> Result<(), Problem> {
        let (batch, refused) = (mem::take(&mut self.batch), mem::take(&mut self.refused));
        let mut published = 0;
        for (before, at, rejected) in refused {
            self.publish_ticks(&batch[published..before], self.read)
                .await;
            published = before;
            if self.is_stored() {
                self.refuse(at, rejected);
            }
        }
        self.publish_ticks(&batch[published..], read).await;
        self.read = read;
        self.batch = batch;
        self.batch.clear();
        // A symbol whose ticks were all rejected for another reason does not count.
        for symbol in mem::take(&mut self.new_symbols) {
            if let Some(admission) = self.admission.as_ref().filter(|_| self.is_new(&symbol)) {
                admission.forget_new(&symbol);
            }
        }
        self.check_stored()
    }

    /// Publishes ticks. After the last one, the part of the body in `read` is handled.
    async fn publish_ticks(&mut self, mut ticks: &[(u64, Tick)], read: Read) {
        while !ticks.is_empty() && self.is_stored() {
            let (part, rest) = ticks.split_at(ticks.len().min(MAX_BATCH_TICKS));
            let handled = if rest.is_empty() { read } else { self.read };
            self.claim.publish(self.publisher, part, handled).await;
            ticks = rest;
        }
    }

    /// Notes an item that was refused.
    fn refuse(&self, at: u64, rejected: Rejected) {
        let mut report = self.claim.report().borrow_mut();
        match rejected.error {
            error @ TickError::TooFast(_) => report.stop(error),
            _ => {
                self.publisher.reporter().reject();
                report.reject(at, &rejected);
            }
        }
    }
}
