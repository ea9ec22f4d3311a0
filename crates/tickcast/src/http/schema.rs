//! Schema types for the OpenAPI document: shared parameters and responses, and bodies that are
//! written by hand for speed. These types are only described, never created.

#![allow(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{
    KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{IntoParams, ToResponse, ToSchema};

use super::Problem;

/// A parameter or the body breaks a rule; `detail` says which rule.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct BadRequest(#[to_schema] Problem);

/// Readers need a token or another login, and this request has none that is valid.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct LoginNeeded(#[to_schema] Problem);

/// The reader may not read this. The answer does not depend on whether the symbol exists.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct Forbidden(#[to_schema] Problem);

/// The symbol is not on the market.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct SymbolNotFound(#[to_schema] Problem);

/// The publish token is missing or wrong.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct Unauthorized(#[to_schema] Problem);

/// The publisher may not publish these symbols. The answer does not depend on whether they exist.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct PublishingForbidden(#[to_schema] Problem);

/// The publisher sends more ticks a second than it may.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json", headers(("Retry-After" = u32, description = "The delay before a retry, in seconds.")))]
pub(super) struct PublishingTooFast(#[to_schema] Problem);

/// The body did not arrive in time. `accepted` is the number of published ticks, if the body had
/// ticks.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct RequestTimeout(#[to_schema] Problem);

/// The server is stopping or overloaded, and does not read the rest of the body. `accepted` is the number of
/// published ticks, if the body had ticks.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct ShuttingDown(#[to_schema] Problem);

/// The client has the answer already: `If-None-Match` lists its `ETag`. There is no body.
#[derive(ToResponse)]
#[response(headers(("ETag" = String, description = "The tag of the answer.")))]
pub(super) struct NotModified;

/// Too many requests of this kind are in progress. `Retry-After` gives the delay before a retry.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json", headers(("Retry-After" = u32, description = "The delay before a retry, in seconds.")))]
pub(super) struct ServerBusy(#[to_schema] Problem);

/// The data cannot be stored: the disk is full. `accepted` is the number of ticks that were
/// published.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub(super) struct StorageFull(#[to_schema] Problem);

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Subscribed {
    /// Names and patterns, as in `AAPL,BTC*`; at most 1,000. Default: all symbols.
    #[param(
        example = "AAPL,BTC*",
        pattern = "^[A-Za-z0-9._/:^=&*-]{1,32}(,[A-Za-z0-9._/:^=&*-]{1,32}){0,999}$"
    )]
    symbols: Option<String>,
    /// Maximum number of updates per second for each symbol, 0.1 to 100. Default: no limit.
    #[param(minimum = 0.1, maximum = 100)]
    rate: Option<f64>,
    /// Whether the latest tick of each symbol is sent first. Default: `true`.
    snapshot: Option<bool>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Resumed {
    /// `latest`: a client that falls behind receives the latest tick of each symbol (conflation).
    /// `all`: the client receives every tick, or `bye`. Default: `latest`.
    #[param(inline)]
    mode: Option<ModeName>,
    /// A cursor to resume from, or `start` for the oldest tick that is still available.
    since: Option<String>,
    /// The same value as the header `Last-Event-ID`, for clients that cannot send the header.
    #[param(rename = "lastEventId")]
    last_event_id: Option<String>,
    /// Seconds between heartbeats while nothing else is sent. Default: 10.
    #[param(minimum = 3, maximum = 60)]
    heartbeat: Option<u64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct KnownAnswer {
    /// The `ETag` of an answer that the client has. If it still holds, the answer is 304.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SymbolParameter {
    /// The symbol, as in `AAPL` or `BTC%2FUSD`.
    #[param(example = "AAPL", pattern = "^[A-Za-z0-9._/:^=&-]{1,32}$")]
    symbol: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// Start of the range, in ms since 1970 or as in `2026-07-01T12:00:00Z`. Default: the oldest
    /// data.
    #[param(
        pattern = "^(0|[1-9][0-9]{11,13}|20[0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-2]):[0-5][0-9]))$"
    )]
    from: Option<String>,
    /// End of the range, this ms included. Default: now.
    #[param(
        pattern = "^(0|[1-9][0-9]{11,13}|20[0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-2]):[0-5][0-9]))$"
    )]
    to: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ModeName {
    Latest,
    All,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum ExportFormat {
    Ndjson,
    Csv,
}

#[derive(ToSchema)]
pub(super) enum IntervalName {
    #[schema(rename = "1s")]
    Second,
    #[schema(rename = "1m")]
    Minute,
    #[schema(rename = "5m")]
    FiveMinutes,
    #[schema(rename = "1h")]
    Hour,
    #[schema(rename = "1d")]
    Day,
}

/// The events of a stream: blocks of lines, each followed by an empty line.
#[derive(ToSchema)]
#[schema(
    title = "Server-Sent Events",
    example = "event: tick\ndata: {\"symbol\":\"AAPL\",\"price\":189.50,\"change\":0.25,\"change_pct\":0.1321,\"time\":1782907200123,\"n\":1042}\nid: AAPL\n\n"
)]
pub(super) struct Events(String);

/// A published price, in the form that every client receives. Other members from the publisher
/// follow, for example `bid`, `ask` or `volume`.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct PublishedTick {
    #[schema(example = "AAPL")]
    symbol: String,
    /// The price, with its exact digits as published.
    #[schema(example = 189.5)]
    price: f64,
    /// The change from the reference price. The reference is the first price of the day, unless the
    /// publisher or `change_basis` sets another one.
    #[schema(example = 0.25)]
    change: f64,
    /// The change in percent of the reference price, if the reference price is not zero.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    change_pct: Option<f64>,
    /// The time of the price, in ms since 1970.
    time: i64,
    /// The number of the tick within its symbol. A gap in the numbers means that ticks were
    /// conflated.
    n: u64,
    #[serde(flatten)]
    extras: BTreeMap<String, serde_json::Value>,
}

/// The latest tick of each symbol.
#[derive(ToSchema)]
pub(super) struct Prices {
    /// The tape cursor of the snapshot.
    cursor: String,
    prices: Vec<PublishedTick>,
}

#[derive(ToSchema)]
pub(super) struct Candles {
    symbol: String,
    #[schema(inline)]
    interval: IntervalName,
    candles: Vec<CandleBody>,
}

/// One candle.
#[derive(ToSchema)]
#[schema(as = Candle)]
pub(super) struct CandleBody {
    /// The start of the candle, in ms since 1970.
    time: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    /// The number of ticks in the candle.
    count: u64,
    /// `false` if the candle is not complete yet; otherwise absent.
    #[schema(required = false, nullable = false)]
    closed: bool,
}

/// The stream to prepare. Every member may be left out.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"symbols": ["AAPL", "BTC*"], "rate": 2}))]
#[serde(deny_unknown_fields)]
pub(super) struct NewStream {
    /// Names and patterns; at most 1,000. Default: all symbols.
    #[schema(nullable = false)]
    symbols: Option<Vec<SymbolName>>,
    /// Maximum number of updates a second of each symbol; only with the mode `latest`.
    #[schema(minimum = 0.1, maximum = 100)]
    rate: Option<f64>,
    /// Default: `latest`.
    #[schema(nullable = false)]
    mode: Option<ModeName>,
    /// Number of seconds without an event after which a heartbeat is sent. Default: 10.
    #[schema(nullable = false, minimum = 3, maximum = 60)]
    heartbeat: Option<u8>,
    /// Whether a new reader without a cursor receives the latest ticks first. Default: true.
    #[schema(nullable = false)]
    snapshot: Option<bool>,
}

/// A prepared stream.
#[derive(Serialize, ToSchema)]
pub(super) struct PreparedStream {
    /// The name of the stream. Keep it as secret as the prices.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    stream: String,
    /// The address to read the stream at.
    url: String,
    /// When the permission to read ends, in ms since 1970. `null`: never.
    expires: Option<i64>,
    /// Number of seconds for which the stream stays without a reader.
    linger: u64,
}

/// A change of a stream. An absent member changes nothing.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"add": ["BTC*"], "remove": ["AAPL"]}))]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[schema(nullable = false)]
    add: Option<Vec<SymbolName>>,
    #[schema(nullable = false)]
    remove: Option<Vec<SymbolName>>,
    /// The new list, instead of all current symbols.
    #[schema(nullable = false)]
    set: Option<Vec<SymbolName>>,
    /// The new rate. `null` means no limit.
    #[schema(minimum = 0.1, maximum = 100)]
    rate: Option<f64>,
}

/// A name, or a pattern with `*`.
#[derive(Deserialize, ToSchema)]
#[schema(pattern = "^[A-Za-z0-9._/:^=&*-]{1,32}$", example = "BTC*")]
pub(super) struct SymbolName(String);

/// The subscription of a stream.
#[derive(ToSchema)]
pub(super) struct Changed {
    stream: String,
    symbols: Vec<String>,
    #[schema(inline)]
    mode: ModeName,
    #[schema(required = true)]
    rate: Option<f64>,
}

/// A tick to publish. Other members are passed on: numbers and short texts.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"symbol": "AAPL", "price": 189.5, "bid": 189.49}))]
pub(super) struct NewTick {
    #[schema(pattern = "^[A-Za-z0-9._/:^=&-]{1,32}$")]
    symbol: String,
    #[schema(schema_with = price)]
    price: f64,
    #[schema(schema_with = change, required = false)]
    change: Option<f64>,
    #[schema(schema_with = prev_close, required = false)]
    prev_close: Option<f64>,
    #[schema(schema_with = time, required = false)]
    time: Option<i64>,
    #[serde(flatten)]
    extras: BTreeMap<String, serde_json::Value>,
}

fn price() -> Schema {
    number("A number, or a number as text.")
}

fn change() -> Schema {
    number("The change from a reference of the publisher. A number, or a number as text.")
}

fn prev_close() -> Schema {
    number("The previous close, which becomes the reference. A number, or a number as text.")
}

fn number(description: &str) -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Number);
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^-?(0|[1-9][0-9]{0,13})([.][0-9]{1,14})?$"));
    OneOfBuilder::new()
        .item(number)
        .item(text)
        .description(Some(description))
        .into()
}

fn time() -> Schema {
    let description = "The time of the price: milliseconds since 1970, or RFC 3339 as text. Default: the time of arrival. A time \
                       that is too far ahead of the server's clock is rejected.";
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(100_000_000_000_i64))
        .maximum(Some(99_999_999_999_999_i64));
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(format));
    OneOfBuilder::new()
        .item(number)
        .item(text)
        .description(Some(description))
        .into()
}

/// One tick, or several ticks.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum NewTicks {
    One(NewTick),
    Several(Vec<NewTick>),
}
