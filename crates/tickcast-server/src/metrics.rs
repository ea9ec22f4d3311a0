//! The hub's counters in the OpenMetrics text format.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tickcast::stats::{Delays, HubStats};
use tickcast::{Hub, OverloadStep};

use crate::overload::Pressure;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns the current values of all metrics.
pub(crate) fn response(hub: &Hub, pressure: Pressure) -> Response {
    let mut registry = Registry::with_prefix("tickcast");
    registry.register_collector(Box::new(Snapshot(hub.stats(), pressure)));
    let mut body = String::new();
    match text::encode(&mut body, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The counters at one time.
#[derive(Debug)]
struct Snapshot(HubStats, Pressure);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stats = &self.0;
        gauge(&mut encoder, "streams", "Open streams", stats.streams)?;
        gauge(
            &mut encoder,
            "buffered_bytes",
            "Bytes that streams buffer for their clients",
            stats.buffered_bytes,
        )?;
        gauge(
            &mut encoder,
            "symbols",
            "Symbols ever seen",
            stats.symbols as u64,
        )?;
        gauge(
            &mut encoder,
            "candles",
            "Closed candles kept",
            stats.candles as u64,
        )?;
        gauge(
            &mut encoder,
            "can_publish",
            "1 if published ticks can be stored",
            u64::from(stats.can_publish),
        )?;
        gauge(
            &mut encoder,
            "prepared_streams",
            "Prepared streams",
            stats.prepared_streams as u64,
        )?;
        gauge(
            &mut encoder,
            "filter_patterns",
            "Patterns of all filters in use",
            stats.filters.patterns,
        )?;
        gauge(
            &mut encoder,
            "filter_bytes",
            "Maximum memory of all filters in use, in bytes",
            stats.filters.bytes,
        )?;
        counter(
            &mut encoder,
            "filters_refused",
            "Filters refused because there was no room",
            stats.filters.refused,
        )?;
        counter(
            &mut encoder,
            "clock_jumps",
            "Jumps of the wall clock",
            stats.clock_jumps,
        )?;
        gauge(
            &mut encoder,
            "log_head",
            "Sequence number of the latest tick",
            stats.cursor.seq().get(),
        )?;
        gauge(
            &mut encoder,
            "tape_ticks",
            "Ticks on the tape in memory",
            stats.tape_ticks as u64,
        )?;
        gauge(
            &mut encoder,
            "tape_bytes",
            "Bytes of ticks in memory",
            stats.tape_bytes as u64,
        )?;
        if let Some(disk) = stats.disk {
            gauge(
                &mut encoder,
                "disk_ticks",
                "Ticks on the tape on disk",
                disk.ticks,
            )?;
            gauge(
                &mut encoder,
                "disk_bytes",
                "Bytes of ticks on disk",
                disk.bytes,
            )?;
            gauge(
                &mut encoder,
                "disk_damaged_files",
                "Files of the tape on disk of which a part was found to be damaged",
                disk.damaged_files,
            )?;
        }
        gauge(
            &mut encoder,
            "exports",
            "Exports in progress",
            stats.answers.exports,
        )?;
        gauge(
            &mut encoder,
            "large_answers",
            "Large answers in progress",
            stats.answers.wide,
        )?;
        counter(
            &mut encoder,
            "answers_refused",
            "Requests refused because too many answers were in progress",
            stats.answers.refused,
        )?;
        counter(
            &mut encoder,
            "ticks_delivered",
            "Ticks written to streams, counted once for each stream",
            stats.ticks_delivered,
        )?;
        counter(
            &mut encoder,
            "sent_bytes",
            "Bytes of events and comments passed to streams",
            stats.bytes_sent,
        )?;
        overload(&mut encoder, stats, self.1)?;
        ticks_ingested(&mut encoder, stats)?;
        feeds(&mut encoder, stats)?;
        delays(&mut encoder, &stats.delays)
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let metric = ConstCounter::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// Encodes the pressure of each resource, and what the hub does against overload.
fn overload(
    encoder: &mut DescriptorEncoder<'_>,
    stats: &HubStats,
    pressure: Pressure,
) -> Result<(), std::fmt::Error> {
    let help = "How near the server is to its limits, from 0 to 1";
    let mut family = encoder.encode_descriptor("pressure", help, None, MetricType::Gauge)?;
    for (resource, pressure) in pressure.by_resource() {
        ConstGauge::new(pressure).encode(family.encode_family(&[("resource", resource)])?)?;
    }
    let help = "1 for each step that is taken against overload";
    let mut family = encoder.encode_descriptor("overload", help, None, MetricType::Gauge)?;
    for step in OverloadStep::all().filter(|step| *step > OverloadStep::None) {
        let taken = i64::from(stats.overload >= step);
        ConstGauge::new(taken).encode(family.encode_family(&[("step", step.name())])?)?;
    }
    let help = "Streams told to come back later";
    let mut family =
        encoder.encode_descriptor("streams_refused", help, None, MetricType::Counter)?;
    for (reason, count) in &stats.streams_refused {
        let labels = [("reason", reason.name())];
        ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
    }
    counter(
        encoder,
        "streams_shed",
        "Stalled streams closed because of overload",
        stats.streams_shed,
    )
}

/// Encodes the ingested ticks, by source and by outcome. The number of sources is bounded by the
/// configuration.
fn ticks_ingested(
    encoder: &mut DescriptorEncoder<'_>,
    stats: &HubStats,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(
        "ticks_ingested",
        "Ticks received, by outcome",
        None,
        MetricType::Counter,
    )?;
    for source in &stats.sources {
        let outcomes = [
            ("accepted", source.accepted),
            ("late", source.late),
            ("unchanged", source.unchanged),
            ("rejected", source.rejected),
        ];
        for (outcome, count) in outcomes {
            let labels = [("source", source.name.as_str()), ("outcome", outcome)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// Encodes the events of each source that is a feed, and the state of all sources.
fn feeds(encoder: &mut DescriptorEncoder<'_>, stats: &HubStats) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(
        "feed_events",
        "Events between a feed and the hub",
        None,
        MetricType::Counter,
    )?;
    for source in stats.sources.iter().filter(|source| source.feed.any()) {
        for (kind, count) in source.feed.iter() {
            let labels = [("source", source.name.as_str()), ("kind", kind.name())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    let mut family = encoder.encode_descriptor(
        "source_up",
        "1 if the source is live",
        None,
        MetricType::Gauge,
    )?;
    for source in &stats.sources {
        let up = i64::from(matches!(source.state, tickcast::SourceState::Live));
        ConstGauge::new(up).encode(family.encode_family(&[("source", source.name.as_str())])?)?;
    }
    Ok(())
}

fn delays(encoder: &mut DescriptorEncoder<'_>, delays: &Delays) -> Result<(), std::fmt::Error> {
    let help = "Delay from the arrival of a tick until a lane had passed the tick on";
    let mut histogram = encoder.encode_descriptor(
        "ingest_to_write",
        help,
        Some(&Unit::Seconds),
        MetricType::Histogram,
    )?;
    let seconds =
        |bound: Option<Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
    let buckets: Vec<_> = delays
        .buckets()
        .map(|(bound, count)| (seconds(bound), count))
        .collect();
    histogram.encode_histogram::<prometheus_client::encoding::NoLabelSet>(
        delays.sum().as_secs_f64(),
        delays.count(),
        &buckets,
        None,
    )
}
