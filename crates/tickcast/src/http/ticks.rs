//! `GET /v1/ticks/{symbol}`: every tick of a symbol that the tape holds, that on disk included.

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tickcast_core::{TickView, Time};

use super::export::Export;
use super::market::no_symbol;
use super::query::Query;
use super::{Problem, SymbolPath, openapi, parse_symbol};
use crate::answers;
use crate::hub::Hub;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
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
        openapi::SymbolParameter,
        openapi::Range,
        ("format" = inline(Option<openapi::ExportFormat>), Query, description = "Default: `ndjson`, a tick a line."),
    ),
    responses(
        (status = 200, description = "The ticks; the body breaks off where they cannot be read", content(
            (openapi::PublishedTick = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, response = openapi::BadRequest),
        (status = 404, response = openapi::SymbolNotFound),
        (status = 503, response = openapi::ServerBusy),
    ),
)]
pub(super) async fn ticks(
    State(hub): State<Hub>,
    path: SymbolPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let symbol = parse_symbol(&path)?;
    let query = Query::parse(query.as_deref(), &["from", "to", "format"])?;
    let format = match query.get("format") {
        None | Some("ndjson") => Format::Ndjson,
        Some("csv") => Format::Csv,
        Some(_) => return Err(Problem::parameter("format", "ndjson or csv is expected")),
    };
    let range = query.range()?;
    let Some(id) = hub.log().with(|log| log.market().id(&symbol)) else {
        return Err(no_symbol(&hub, symbol).await);
    };
    let place = hub.answers().export()?;
    let columns = if format == Format::Csv { COLUMNS } else { b"" };
    let export = Export::new(hub, (symbol, id), range, format);
    let kind = match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, answers::body(Some(Bytes::from_static(columns)), export, place)).into_response())
}

impl Format {
    /// Appends a tick, where its time is within the range.
    pub(super) fn write(self, json: &[u8], (from, to): (Time, Time), out: &mut Vec<u8>) {
        let Some(facts) = TickView::read(json).filter(|facts| (from..=to).contains(&facts.time)) else {
            return;
        };
        match self {
            Self::Ndjson => {
                out.extend_from_slice(json);
                out.push(b'\n');
            }
            Self::Csv => write_row(&facts, out),
        }
    }
}

fn write_row(facts: &TickView<'_>, out: &mut Vec<u8>) {
    let TickView { symbol, price, change, change_pct, time, n, extras } = facts;
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
