//! `GET /v1/ticks/{symbol}`: every tick of a symbol that the tape holds, that on disk included.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame as BodyFrame;
use tickcast_core::{Facts, Seq, Symbol, Time};
use tickcast_tape::{DiskTape, ReadError};
use tokio::sync::mpsc;

use super::market::no_symbol;
use super::query::Query;
use super::{Problem, SymbolPath, named, openapi};
use crate::hub::Hub;

/// About how many bytes are put together before they are sent: a few of these are all that an export takes, however long it is.
const PIECE: usize = 64 << 10;

/// Most entries of the tape in memory that are looked at while the log is locked.
const ENTRIES_PER_LOCK: usize = 1024;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Each tick as readers are sent it, one a line.
    Ndjson,
    /// With a line of names.
    Csv,
}

/// The columns of a CSV. What else a tick holds is in the last one, as JSON.
const COLUMNS: &[u8] = b"symbol,price,change,change_pct,time,n,extras\n";

/// Every tick of a symbol that the tape holds
///
/// Oldest first, up to the newest as it was asked for; that on disk included.
#[utoipa::path(
    get,
    path = "/v1/ticks/{symbol}",
    tag = "history",
    params(
        openapi::OfSymbol,
        openapi::Range,
        ("format" = inline(Option<openapi::ExportFormat>), Query, description = "Default: `ndjson`, a tick a line."),
    ),
    responses(
        (status = 200, description = "The ticks; the body breaks off where they cannot be read", content(
            (openapi::PriceTick = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, response = openapi::Refused),
        (status = 404, response = openapi::NoSymbol),
    ),
)]
pub(super) async fn ticks(
    State(hub): State<Hub>,
    path: SymbolPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let symbol = named(&path)?;
    let query = Query::parse(query.as_deref(), &["from", "to", "format"])?;
    let format = match query.get("format") {
        None | Some("ndjson") => Format::Ndjson,
        Some("csv") => Format::Csv,
        Some(_) => return Err(Problem::parameter("format", "ndjson or csv is expected")),
    };
    let range = query.range()?;
    if hub.log().with(|log| log.market().id(&symbol)).is_none() {
        return Err(no_symbol(&hub, symbol));
    }
    let (pieces, body) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || Export { hub, symbol, range, format, pieces }.run());
    let kind = match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(Pieces(body))).into_response())
}

/// An export on its way.
struct Export {
    hub: Hub,
    symbol: Symbol,
    range: (Time, Time),
    format: Format,
    pieces: mpsc::Sender<Result<Bytes, ReadError>>,
}

/// Why an export ends early.
enum Cut {
    /// Whoever asked has left.
    Left,
    Unreadable(ReadError),
}

impl Export {
    fn run(self) {
        // It goes to where the log stood when it was asked for: one that never ends would be a stream.
        let until = self.hub.head().1;
        let mut out = Vec::with_capacity(PIECE);
        if self.format == Format::Csv {
            out.extend_from_slice(COLUMNS);
        }
        let all = match self.hub.log().tape() {
            Some(tape) => self.read_disk(tape, until, &mut out),
            None => self.read_memory(until, &mut out),
        };
        match all.and_then(|()| self.send(&mut out)) {
            Ok(()) | Err(Cut::Left) => {}
            Err(Cut::Unreadable(error)) => {
                tracing::error!(%error, symbol = %self.symbol, "an export broke off");
                // A body that breaks off cannot be taken for a whole one.
                let _ = self.pieces.blocking_send(Err(error));
            }
        }
    }

    fn read_disk(&self, tape: &DiskTape, until: Seq, out: &mut Vec<u8>) -> Result<(), Cut> {
        let mut at = tape.floor();
        let begin = at;
        while at < until {
            let reached = tape.read(at, |at, recorded| {
                let wanted = recorded.symbol == self.symbol && at.seq <= until;
                recorded.json.filter(|_| wanted).into_iter().for_each(|json| self.write(json, out));
                if out.len() < PIECE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            at = match reached {
                // Its beginning was dropped before anything was read of it.
                Err(ReadError::Expired) if at == begin && tape.floor() > at => {
                    return self.read_disk(tape, until, out);
                }
                Err(error) => return Err(Cut::Unreadable(error)),
                Ok(reached) => reached,
            };
            self.send_where_full(out)?;
        }
        Ok(())
    }

    fn read_memory(&self, until: Seq, out: &mut Vec<u8>) -> Result<(), Cut> {
        let mut at = self.hub.log().with(|log| log.tape().floor());
        while at < until {
            at = self.hub.log().with(|log| {
                if !log.tape().reaches_back_to(at) {
                    return Err(Cut::Unreadable(ReadError::Expired));
                }
                let id = log.market().id(&self.symbol);
                let entries =
                    log.tape().after(at).take(ENTRIES_PER_LOCK).take_while(|(seq, _)| *seq <= until);
                Ok(entries.fold(until, |_, (seq, entry)| {
                    if let Some(frame) = entry.frame.as_ref().filter(|_| Some(entry.symbol) == id) {
                        self.write(frame.json(), out);
                    }
                    seq
                }))
            })?;
            self.send_where_full(out)?;
        }
        Ok(())
    }

    fn write(&self, json: &[u8], out: &mut Vec<u8>) {
        let (from, to) = self.range;
        let Some(facts) = Facts::read(json).filter(|facts| (from..=to).contains(&facts.time)) else { return };
        match self.format {
            Format::Ndjson => {
                out.extend_from_slice(json);
                out.push(b'\n');
            }
            Format::Csv => write_row(&facts, out),
        }
    }

    fn send_where_full(&self, out: &mut Vec<u8>) -> Result<(), Cut> {
        if out.len() >= PIECE { self.send(out) } else { Ok(()) }
    }

    /// Waits until there is room for it.
    fn send(&self, out: &mut Vec<u8>) -> Result<(), Cut> {
        let piece = std::mem::replace(out, Vec::with_capacity(PIECE));
        self.pieces.blocking_send(Ok(piece.into())).map_err(|_| Cut::Left)
    }
}

fn write_row(facts: &Facts<'_>, out: &mut Vec<u8>) {
    let Facts { symbol, price, change, change_pct, time, n, extras } = facts;
    let percent = change_pct.unwrap_or_default();
    out.extend_from_slice(
        format!("{symbol},{price},{change},{percent},{},{n},", time.as_millis()).as_bytes(),
    );
    if let Some(members) = extras.strip_prefix(b",") {
        out.extend_from_slice(b"\"{");
        for byte in members {
            out.extend_from_slice(if *byte == b'"' { b"\"\"" } else { std::slice::from_ref(byte) });
        }
        out.extend_from_slice(b"}\"");
    }
    out.push(b'\n');
}

/// The body of an export.
struct Pieces(mpsc::Receiver<Result<Bytes, ReadError>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, ReadError>>> {
        let piece: Option<Result<Bytes, ReadError>> = ready!(self.0.poll_recv(cx));
        Poll::Ready(piece.map(|piece| piece.map(BodyFrame::data)))
    }
}
