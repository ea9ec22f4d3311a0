//! `GET /v1/ticks/{symbol}`: every tick of one symbol that the tape holds, in memory and on disk.

use axum::extract::RawQuery;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::Problem;
use super::query::Query;
#[cfg(feature = "openapi")]
use super::schema;
use super::symbol_path::{SymbolPath, parse_symbol};
use super::tick_format::{COLUMNS, TickFormat};
use super::view::View;
use crate::answers;

/// Stored ticks of one symbol
///
/// The ticks are ordered from the oldest to the newest at the time of the request. Ticks on disk
/// are included.
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/v1/ticks/{symbol}",
    tag = "history",
    params(
        schema::SymbolParameter,
        schema::Range,
        ("format" = inline(Option<schema::ExportFormat>), Query, description = "Default: `ndjson`, one tick per line."),
    ),
    responses(
        (status = 200, description = "The ticks. If ticks cannot be read, the body ends early", content(
            (schema::PublishedTick = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 403, response = schema::Forbidden),
        (status = 404, response = schema::SymbolNotFound),
        (status = 503, response = schema::ServerBusy),
    ),
))]
pub(super) async fn ticks(
    view: View,
    path: SymbolPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let symbol = view.permit(parse_symbol(&path)?)?;
    let query = Query::parse(query.as_deref(), &["from", "to", "format"])?;
    let format = match query.get("format") {
        None | Some("ndjson") => TickFormat::Ndjson,
        Some("csv") => TickFormat::Csv,
        Some(_) => return Err(Problem::parameter("format", "expected ndjson or csv")),
    };
    let range = query.range()?;
    let Some(found) = view.look(|look| look.find(symbol)) else {
        return Err(view.missing(symbol).await);
    };
    let columns = if format == TickFormat::Csv {
        COLUMNS
    } else {
        b""
    };
    let export = view.export(found, range, format)?;
    let kind = match format {
        TickFormat::Ndjson => "application/x-ndjson",
        TickFormat::Csv => "text/csv; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((
        headers,
        answers::body(Some(Bytes::from_static(columns)), export),
    )
        .into_response())
}
