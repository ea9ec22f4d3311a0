//! `GET /v1/candles/{symbol}`: the candles (open, high, low, close) of one symbol.

use axum::extract::RawQuery;
use axum::response::Response;
use tickcast_core::{Candle, Interval, IntervalError, Time};

use super::Problem;
use super::json::json;
use super::query::Query;
#[cfg(feature = "openapi")]
use super::schema;
use super::symbol_path::{SymbolPath, parse_symbol};
use super::view::View;

/// The default and the maximum number of candles in one answer.
const DEFAULT_CANDLES: usize = 500;
const MAX_CANDLES: usize = 5000;

/// Candles of one symbol
///
/// Returns the newest candles within the range, oldest first. An interval without a tick has no
/// candle.
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/v1/candles/{symbol}",
    tag = "history",
    params(
        schema::SymbolParameter,
        ("interval" = inline(Option<schema::IntervalName>), Query, description = "Length of each candle. Default: `1m`."),
        schema::Range,
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 5000, description = "Maximum number of candles. Default: 500."),
    ),
    responses(
        (status = 200, description = "The candles", body = schema::Candles),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 403, response = schema::Forbidden),
        (status = 404, response = schema::SymbolNotFound),
        (status = 503, response = schema::ServerBusy),
    ),
))]
pub(super) async fn candles(
    view: View,
    path: SymbolPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let requested = parse_symbol(&path)?;
    let symbol = view.permit(requested)?;
    let query = Query::parse(query.as_deref(), &["interval", "from", "to", "limit"])?;
    let interval: Interval = query
        .get("interval")
        .map_or(Ok(Interval::Minute), str::parse)
        .map_err(|error: IntervalError| Problem::parameter("interval", error))?;
    let limit = query
        .number("limit", &(1..=MAX_CANDLES), "candles")?
        .unwrap_or(DEFAULT_CANDLES);
    let (from, to) = query.range()?;
    // Candles from a clock that was too far ahead are not shown.
    let range = (from, to.min(view.horizon()));
    let candles = view.look(|look| {
        let found = look.find(symbol)?;
        look.quote(&found)?;
        Some(look.candles(&found).within(interval, range, limit))
    });
    let Some(candles) = candles else {
        return Err(view.missing(symbol).await);
    };
    let mut body = format!(
        "{{\"symbol\":\"{requested}\",\"interval\":\"{}\",\"candles\":[",
        interval.as_str()
    )
    .into_bytes();
    let now = view.complete_until();
    for (i, candle) in candles.iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        write(candle, interval, now, &mut body);
    }
    body.extend_from_slice(b"]}");
    // 5,000 candles are about 600 KB, small enough to be written at once.
    Ok(json(view.answers().written(body)?))
}

/// Writes one candle. Prices keep their exact digits.
fn write(candle: &Candle, interval: Interval, now: Time, out: &mut Vec<u8>) {
    let time = candle.time.as_millis();
    out.extend_from_slice(format!("{{\"time\":{time}").as_bytes());
    let prices = [
        ("open", candle.open),
        ("high", candle.high),
        ("low", candle.low),
        ("close", candle.close),
    ];
    for (name, price) in prices {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        price.write(out);
    }
    out.extend_from_slice(format!(",\"count\":{}", candle.count).as_bytes());
    if time + interval.millis() > now.as_millis() {
        out.extend_from_slice(b",\"closed\":false");
    }
    out.push(b'}');
}
