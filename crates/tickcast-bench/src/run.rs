//! Measures a server under load, as its clients see the server.

use std::net::{SocketAddr, ToSocketAddrs};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use url::Url;

use crate::error::BenchError;
use crate::load::Load;
use crate::options::{Measure, Options};
use crate::publisher::{BenchPublisher, panicked};
use crate::readers::Readers;
use crate::report::{Churn, Flood, Quantiles, Report, ServerUse, Streams, histogram};
use crate::usage::Usage;
use crate::{churn, load, usage};

/// Maximum time for the server to answer all streams.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum wait after the window for ticks that were published in time but have not arrived.
const LATE_TICKS_TIMEOUT: Duration = Duration::from_secs(3);

/// Time between the start of the publisher and the first tick that is due.
const HEAD_START: Duration = Duration::from_millis(50);

/// Number of different requests that are used in turn when the benchmark measures the opening of
/// streams.
const CHURN_REQUESTS: usize = 1000;

/// The longest opening of a stream that the histogram can distinguish, in microseconds.
const MAX_OPEN_US: u64 = 60_000_000;

/// Runs one benchmark and returns its report. Blocks until the end, for at least the warm-up and
/// the window.
///
/// # Errors
/// If an option is invalid. If the server cannot be reached, refuses ticks or streams, or loses
/// ticks that it accepted.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    let bench = Bench::new(options)?;
    match options.measure {
        Measure::Streams => bench.streams(),
        Measure::Flood => bench.flood(),
        Measure::Churn => bench.churn(),
    }
}

struct Bench<'a> {
    options: &'a Options,
    load: Load,
    server: SocketAddr,
    host: String,
    desk: BenchPublisher,
}

impl<'a> Bench<'a> {
    fn new(options: &'a Options) -> Result<Self, BenchError> {
        let url = &options.url;
        let shown = url.as_str().trim_end_matches('/');
        let host = url.host_str().filter(|_| url.scheme() == "http");
        let wrong = |why| BenchError::Option {
            name: "url",
            problem: format!("{shown}: {why}"),
        };
        let host =
            host.ok_or_else(|| wrong("the scheme is not http (expected a plain http:// address)"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let server = (host.trim_matches(['[', ']']), port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next())
            .ok_or_else(|| wrong("no such host"))?;
        options.check()?;
        let Options {
            symbols,
            rate,
            warm_up,
            window,
            ..
        } = *options;
        let load = Load {
            symbols,
            rate,
            warm_up,
            window,
        };
        let path = below(url, &options.publish_path);
        let desk = BenchPublisher {
            server,
            path,
            token: options.token.clone(),
            no_batch: options.no_batch,
        };
        Ok(Self {
            options,
            load,
            server,
            host: format!("{host}:{port}"),
            desk,
        })
    }

    /// Publishes at the requested rate and reads all streams.
    fn streams(&self) -> Result<Report, BenchError> {
        let Self { options, load, .. } = self;
        let live = options.streams - options.stalled;
        self.desk.first_round(load)?;
        let before = self.server_usage()?;
        let mut readers = Readers::new(self.server, *load)?;
        let mut expected = 0;
        for number in 0..options.streams {
            let each = options
                .symbols_per_stream
                .filter(|_| number >= options.wide);
            let selection = each.map(|each| load.selection(number, each));
            let request = self.request(selection.as_deref());
            if number >= live {
                readers.open_stalled(request)?;
                continue;
            }
            let looked_at = number % options.sample_every == 0;
            readers.open(&request, looked_at)?;
            if !looked_at {
                continue;
            }
            expected += match selection {
                Some(selection) => selection
                    .into_iter()
                    .map(|position| load.ticks_of(position))
                    .sum(),
                None => load.measured().end - load.measured().start,
            };
        }
        readers.read(None, Instant::now() + OPEN_TIMEOUT, Readers::all_open)?;
        if !readers.all_open() {
            let why =
                format!("the server did not answer all {live} streams within {OPEN_TIMEOUT:?}");
            return Err(BenchError::Failed(why));
        }

        let start = Instant::now() + HEAD_START;
        let publisher = (load.rate > 0.0).then(|| self.desk.follow(*load, start));
        readers.read(Some(start), start + load.warm_up, |_| false)?;
        let (from, delivered) = (self.now()?, readers.tally.delivered());
        readers.read(Some(start), start + load.warm_up + load.window, |_| false)?;
        let (to, delivered) = (self.now()?, (readers.tally.delivered() - delivered) as u64);
        let all_done = |readers: &Readers| {
            readers.tally.measured >= expected
                && publisher.as_ref().is_none_or(JoinHandle::is_finished)
        };
        readers.read(Some(start), to.at + LATE_TICKS_TIMEOUT, all_done)?;
        // A server that accepts ticks more slowly than they are due keeps the publisher busy after
        // all readers are done.
        let overrun = publisher
            .as_ref()
            .is_some_and(|publisher| !publisher.is_finished());
        if let Some(publisher) = publisher.filter(|_| !overrun) {
            publisher.join().unwrap_or_else(|_| Err(panicked()))?;
        }

        let time = to.at - from.at;
        let server = self.server_use(before, &from, &to, delivered, options.streams);
        Ok(Report::Streams(Streams {
            streams: live,
            stalled: options.stalled,
            symbols: load.symbols,
            rate: load.rate,
            seconds: time.as_secs_f64(),
            delivered,
            delivered_per_s: delivered as f64 / time.as_secs_f64(),
            expected,
            missing: expected.saturating_sub(readers.tally.measured),
            disordered: readers.tally.disordered,
            overrun,
            lost: readers.tally.lost,
            cut: readers.cut,
            latency: Quantiles::of(&readers.tally.latency),
            server,
            load_cpu: from.load_until(&to),
        }))
    }

    /// Publishes as fast as the server accepts ticks.
    fn flood(&self) -> Result<Report, BenchError> {
        let load = &self.load;
        self.desk.first_round(load)?;
        self.desk.flood(load, load.warm_up)?;
        let from = self.now()?;
        let accepted = self.desk.flood(load, load.window)?;
        let to = self.now()?;
        let seconds = (to.at - from.at).as_secs_f64();
        let server = self.server_use(from.server, &from, &to, accepted, 0);
        let accepted_per_s = accepted as f64 / seconds;
        Ok(Report::Flood(Flood {
            seconds,
            accepted,
            accepted_per_s,
            server,
            load_cpu: from.load_until(&to),
        }))
    }

    /// Opens streams as fast as the server accepts them.
    fn churn(&self) -> Result<Report, BenchError> {
        let (load, options) = (&self.load, self.options);
        let snapshot = options.symbols_per_stream.unwrap_or(load.symbols as usize);
        self.desk.first_round(load)?;
        let requests: Vec<_> = (0..CHURN_REQUESTS)
            .map(|number| {
                self.request(
                    options
                        .symbols_per_stream
                        .map(|each| load.selection(number, each))
                        .as_deref(),
                )
            })
            .collect();
        let begin = Instant::now();
        let (mut from, mut failed) = (None, None);
        let took = churn::run(self.server, &requests, snapshot, || {
            let elapsed = begin.elapsed();
            if elapsed >= load.warm_up && from.is_none() {
                match self.now() {
                    Ok(now) => from = Some(now),
                    Err(error) => failed = Some(error),
                }
            }
            (elapsed < load.warm_up + load.window && failed.is_none()).then_some(from.is_some())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let no_time = || BenchError::Failed("no time was left for the measurement".to_owned());
        let (to, from) = (self.now()?, from.ok_or_else(no_time)?);
        let seconds = (to.at - from.at).as_secs_f64();
        let mut latency = histogram(MAX_OPEN_US);
        took.iter()
            .for_each(|time| latency.saturating_record(time.as_micros() as u64));
        let opened = took.len();
        Ok(Report::Churn(Churn {
            seconds,
            snapshot,
            opened,
            opened_per_s: opened as f64 / seconds,
            latency: Quantiles::of(&latency),
            server: self.server_use(from.server, &from, &to, opened as u64, 0),
            load_cpu: from.load_until(&to),
        }))
    }

    /// Returns a request for a stream of the selected symbols, or of all symbols that the benchmark
    /// publishes.
    fn request(&self, selection: Option<&[u64]>) -> Vec<u8> {
        let path = self
            .options
            .stream_path
            .replace("{symbols}", &load::list(selection));
        let path = below(&self.options.url, &path);
        format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n",
            self.host
        )
        .into_bytes()
    }

    fn now(&self) -> Result<UsageSample, BenchError> {
        let own = usage::of(std::process::id());
        Ok(UsageSample {
            at: Instant::now(),
            server: self.server_usage()?,
            own: own.unwrap_or_default(),
        })
    }

    fn server_usage(&self) -> Result<Usage, BenchError> {
        let Some(pid) = self.options.pid else {
            return Ok(Usage::default());
        };
        usage::of(pid).ok_or(BenchError::Process(pid))
    }

    fn server_use(
        &self,
        before: Usage,
        from: &UsageSample,
        to: &UsageSample,
        work: u64,
        streams: usize,
    ) -> Option<ServerUse> {
        self.options.pid.map(|_| {
            ServerUse::new(
                [before, from.server, to.server],
                to.at - from.at,
                work,
                streams,
            )
        })
    }
}

/// Returns a path on the server. The server's own address may also have a path.
fn below(url: &Url, path: &str) -> String {
    format!("{}{path}", url.path().trim_end_matches('/'))
}

/// Resource usage of the server and of this process at one time.
struct UsageSample {
    at: Instant,
    server: Usage,
    own: Usage,
}

impl UsageSample {
    /// Returns the processor usage of this process between two samples, as a share of one
    /// processor.
    fn load_until(&self, to: &Self) -> f64 {
        to.own.cpu.saturating_sub(self.own.cpu).as_secs_f64() / (to.at - self.at).as_secs_f64()
    }
}
