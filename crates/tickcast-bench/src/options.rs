//! What a benchmark does.

use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use crate::error::BenchError;

/// Allowed numbers of symbols. The names of the symbols have five digits.
const SYMBOLS: RangeInclusive<u64> = 1..=100_000;

/// Allowed rates, in ticks per second.
const RATES: RangeInclusive<f64> = 0.0..=1e7;

/// Options of a benchmark. Made by [`Options::new`], with the defaults. Pass it to
/// [`run`](crate::run).
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Address of the server, over plain HTTP (`http://`).
    pub url: Url,
    /// Publish token of the server. Default: none.
    pub token: Option<String>,
    /// What is measured. Default: streams.
    pub measure: Measure,
    /// Number of streams to open, for [`Measure::Streams`]. Default: 1,000. Each stream needs a
    /// file descriptor.
    pub streams: usize,
    /// Number of these streams that never read anything, at most [`streams`](Self::streams).
    /// Default: 0.
    pub stalled: usize,
    /// Ticks to publish per second, each when it is due, 0 to 10,000,000, for [`Measure::Streams`].
    /// Default: 1,000.
    pub rate: f64,
    /// Number of symbols that receive ticks, in turn, 1 to 100,000. Default: 100.
    pub symbols: u64,
    /// Number of symbols that each stream requests, a different choice for each stream, at most
    /// [`symbols`](Self::symbols). Default: all.
    pub symbols_per_stream: Option<usize>,
    /// Number of these streams that request all symbols whatever
    /// [`symbols_per_stream`](Self::symbols_per_stream) is, at most [`streams`](Self::streams).
    /// Default: 0.
    pub wide: usize,
    /// Decodes only every Nth stream and counts only the bytes of the others; at least 1. Default
    /// 1.
    pub sample_every: usize,
    /// Duration of the measurement. Default: 10 s.
    pub window: Duration,
    /// Duration of the warm-up before the measurement. Default: 2 s.
    pub warm_up: Duration,
    /// Process id of the server on this machine. With the id, the report has a
    /// [`ServerUse`](crate::ServerUse) (Linux only). Default: none.
    pub pid: Option<u32>,
    /// Path of streams; `{symbols}` stands for the list of symbols. Default:
    /// `/prices/stream?symbols={symbols}`.
    pub stream_path: String,
    /// Path for publishing ticks. Default: `/v1/prices`.
    pub publish_path: String,
    /// Publishes one complete tick per request instead of NDJSON, for servers without batches.
    /// Default: false.
    pub no_batch: bool,
}

/// What a benchmark measures. Field of [`Options`]. Default: [`Streams`](Self::Streams).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// How long ticks take to arrive on open streams: from the time when a tick is due to be
    /// published until the stream has received it. Gives a
    /// [`Report::Streams`](crate::Report::Streams).
    #[default]
    Streams,
    /// How many ticks per second the server accepts. No streams are opened. Gives a
    /// [`Report::Flood`](crate::Report::Flood).
    Flood,
    /// How many streams per second the server opens. Each stream is closed once its snapshot is
    /// complete. Gives a [`Report::Churn`](crate::Report::Churn).
    Churn,
}

impl Options {
    /// Returns the default options for the server at this address.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            token: None,
            measure: Measure::default(),
            streams: 1000,
            stalled: 0,
            rate: 1000.0,
            symbols: 100,
            symbols_per_stream: None,
            wide: 0,
            sample_every: 1,
            window: Duration::from_secs(10),
            warm_up: Duration::from_secs(2),
            pid: None,
            stream_path: "/prices/stream?symbols={symbols}".to_owned(),
            publish_path: "/v1/prices".to_owned(),
            no_batch: false,
        }
    }

    /// Checks the numbers. The address is checked when it is used.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let wrong = |name, problem: String| Err(BenchError::Option { name, problem });
        if !SYMBOLS.contains(&self.symbols) {
            return wrong(
                "symbols",
                format!("is {} (expected 1 to 100000)", self.symbols),
            );
        }
        if !RATES.contains(&self.rate) {
            return wrong(
                "rate",
                format!("is {} (expected 0 to 10000000 ticks per second)", self.rate),
            );
        }
        if self.sample_every == 0 {
            return wrong(
                "sample_every",
                "is 0 (expected a positive integer)".to_owned(),
            );
        }
        if self
            .symbols_per_stream
            .is_some_and(|each| each as u64 > self.symbols)
        {
            let problem = format!("is more than the number of symbols ({})", self.symbols);
            return wrong("symbols_per_stream", problem);
        }
        for (name, part) in [("stalled", self.stalled), ("wide", self.wide)] {
            if part > self.streams {
                let problem = format!("is more than the number of streams ({})", self.streams);
                return wrong(name, problem);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let defaults = || Options::new(Url::parse("http://127.0.0.1:1").unwrap());
        let says = |options: Options| options.check().unwrap_err().to_string();
        assert!(defaults().check().is_ok());
        assert_eq!(
            says(Options {
                symbols: 0,
                ..defaults()
            }),
            "symbols is 0 (expected 1 to 100000)"
        );
        assert!(
            says(Options {
                rate: f64::NAN,
                ..defaults()
            })
            .starts_with("rate is NaN")
        );
        assert!(
            says(Options {
                sample_every: 0,
                ..defaults()
            })
            .starts_with("sample_every is 0")
        );
        let each = Options {
            symbols_per_stream: Some(101),
            ..defaults()
        };
        assert_eq!(
            says(each),
            "symbols_per_stream is more than the number of symbols (100)"
        );
        let stalled = Options {
            stalled: 1001,
            ..defaults()
        };
        assert_eq!(
            says(stalled),
            "stalled is more than the number of streams (1000)"
        );
    }
}
