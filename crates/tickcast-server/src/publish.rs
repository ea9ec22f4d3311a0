//! `tickcast publish`: sends ticks from a file to a server in batches.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header::{self, HeaderMap};
use serde::Deserialize;
use serde_json::value::RawValue;
use tickcast::Tick;
use tickcast::tick::RESERVED;
use tickcast_core::Backoff;
use tickcast_feeds::records::{Layout, RecordSink, Records, RecordsError};
use tokio::sync::mpsc;

use crate::cli::PublishArgs;
use crate::exit::CliError;
use crate::remote::trusting;
use crate::words::count;

/// Maximum number of ticks per request. The next constant is the maximum number of batches that
/// wait to be sent.
const BATCH: usize = 1000;
const MAX_QUEUED_BATCHES: usize = 4;

/// Maximum number of printed unreadable lines per batch, the same number as the server's list of
/// rejected ticks. All unreadable lines are counted.
const MAX_PRINTED_REJECTIONS: usize = 100;

/// Maximum number of attempts in a row that bring a batch no further. The next constants are the mean pause
/// after the first attempt, and the maximum mean pause.
const MAX_ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Maximum pause that a server may ask for with `Retry-After`.
const MAX_REQUESTED_PAUSE: Duration = Duration::from_secs(60);

/// Maximum time for the server to answer one batch.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends all ticks.
///
/// # Errors
///
/// If any tick was rejected, or if the ticks cannot be read or sent.
pub(crate) fn run(args: PublishArgs) -> Result<(), CliError> {
    let url = args.url.join("v1/prices");
    let url = url.map_err(|error| CliError::Usage(format!("--url {}: {error}", args.url)))?;
    let client = reqwest::Client::builder().timeout(REQUEST_TIMEOUT);
    let client = trusting(client, args.ca.as_deref())?
        .build()
        .context("cannot create the HTTP client")?;
    let mut url = url;
    if let Some(source) = &args.source {
        url.query_pairs_mut().append_pair("source", source);
    }
    let layout = Layout {
        columns: args.columns,
        symbol: args.symbol,
    };
    layout
        .check()
        .map_err(|error| CliError::Usage(format!("--columns: {error}")))?;
    let token = args.token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| {
        CliError::Usage("--token is missing; the server prints the token when it starts".to_owned())
    })?;
    let records = match args.file.as_str() {
        "-" => Records::stdin(layout),
        path => Records::open(Path::new(path), layout)
            .map_err(|error| CliError::Usage(error.to_string()))?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    Ok(runtime.block_on(publish(records, client, url, token))?)
}

async fn publish(
    records: Records,
    client: reqwest::Client,
    url: reqwest::Url,
    token: String,
) -> anyhow::Result<()> {
    let (sender, mut batches) = mpsc::channel(MAX_QUEUED_BATCHES);
    let reading = std::thread::spawn(move || {
        let mut batcher = Batcher {
            sender,
            batch: Batch::default(),
        };
        records.read(&mut batcher)
    });
    let mut desk = Uploader {
        client,
        url,
        token,
        run: fastrand::u64(..),
        sent: 0,
        bar: bar(),
        total: Answer::default(),
    };
    while let Some(batch) = batches.recv().await {
        desk.send(&batch).await?;
    }
    desk.bar.finish_and_clear();
    let rejections = desk.report();
    let read: Result<(), RecordsError> = reading
        .join()
        .map_err(|_| anyhow!("the reading thread panicked"))?;
    // The error of an incomplete file comes before the error about bad lines. The bad lines are
    // already printed.
    read?;
    rejections
}

/// Lines on their way to the server, with the line number of each line in the file.
#[derive(Default)]
struct Batch {
    lines: Vec<u64>,
    body: Vec<u8>,
    /// Number of lines that could not be read. The next field lists the first such lines with the
    /// reasons.
    unread: u64,
    named: Vec<(u64, String)>,
}

/// The thread that reads the file and collects batches.
struct Batcher {
    sender: mpsc::Sender<Batch>,
    batch: Batch,
}

impl RecordSink for Batcher {
    fn take(&mut self, line: u64, text: &[u8]) -> ControlFlow<()> {
        let text = unnumbered(text);
        // A line break within an element of a JSON array would split the element. Within JSON, a
        // space has the same meaning.
        self.batch.body.extend(
            text.iter()
                .map(|byte| if *byte == b'\n' { b' ' } else { *byte }),
        );
        self.batch.body.push(b'\n');
        self.batch.lines.push(line);
        if self.batch.size() < BATCH {
            ControlFlow::Continue(())
        } else {
            self.pause()
        }
    }

    fn reject(&mut self, line: u64, why: &dyn Display) -> ControlFlow<()> {
        self.batch.unread += 1;
        if self.batch.named.len() < MAX_PRINTED_REJECTIONS {
            self.batch.named.push((line, why.to_string()));
        }
        if self.batch.size() < BATCH {
            ControlFlow::Continue(())
        } else {
            self.pause()
        }
    }

    fn warn(&mut self, line: u64, what: &str) {
        eprintln!("line {line}: {what}");
    }

    fn pause(&mut self) -> ControlFlow<()> {
        if self.batch.size() == 0 {
            return ControlFlow::Continue(());
        }
        match self.sender.blocking_send(std::mem::take(&mut self.batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Batch {
    fn size(&self) -> usize {
        self.lines.len() + usize::try_from(self.unread).unwrap_or(usize::MAX)
    }
}

/// Returns a recorded tick without the fields that its server added, because the next server adds
/// its own. Any other text stays unchanged, so that the server can report its error.
fn unnumbered(text: &[u8]) -> Cow<'_, [u8]> {
    let numbered = memchr::memmem::find(text, b"\"n\"").is_some();
    if !numbered || Tick::from_recorded_json(text).is_err() {
        return Cow::Borrowed(text);
    }
    let Ok(mut members) = serde_json::from_slice::<IndexMap<String, Box<RawValue>>>(text) else {
        return Cow::Borrowed(text);
    };
    members.retain(|name, _| !RESERVED.contains(&name.as_str()));
    serde_json::to_vec(&members).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The server's answer to a batch.
#[derive(Default, Deserialize)]
struct Answer {
    accepted: u64,
    #[serde(default)]
    late: u64,
    #[serde(default)]
    unchanged: u64,
    #[serde(default)]
    rejected_count: u64,
    #[serde(default)]
    rejected: Vec<Rejection>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Rejection {
    index: usize,
    symbol: Option<String>,
    error: String,
}

/// The client that sends batches to the server.
struct Uploader {
    client: reqwest::Client,
    url: reqwest::Url,
    token: String,
    /// A random number for this run. The number and `sent` form the idempotency key: the server
    /// recognises a batch that is sent again.
    run: u64,
    sent: u64,
    bar: ProgressBar,
    total: Answer,
}

impl Uploader {
    async fn send(&mut self, batch: &Batch) -> anyhow::Result<()> {
        self.total.rejected_count += batch.unread;
        for (line, why) in &batch.named {
            self.bar.suspend(|| eprintln!("line {line}: {why}"));
        }
        if batch.lines.is_empty() {
            return Ok(());
        }
        let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE, 0.5..=1.5);
        let (mut failures, mut accepted, mut handled) = (0, 0, 0);
        let answer = loop {
            let refused = match self.post(batch).await {
                Ok(answer) => break answer,
                Err(refused) => refused,
            };
            accepted = refused.accepted.max(accepted);
            if refused.handled > handled {
                handled = refused.handled;
                failures = 0;
                backoff.reset();
            }
            failures += 1;
            let error = refused.error;
            if !refused.passing || failures == MAX_ATTEMPTS {
                let line = batch.lines.first().copied().unwrap_or_default();
                return Err(error.context(format!(
                    "stopped in the batch from line {line}, {} accepted",
                    self.total.accepted + accepted
                )));
            }
            let requested = refused.retry_after.unwrap_or_default();
            let pause = backoff.next(fastrand::f64()).max(requested);
            self.bar
                .suspend(|| eprintln!("tickcast: {error:#}; trying again"));
            tokio::time::sleep(pause).await;
        };
        self.add(batch, answer);
        self.sent += 1;
        Ok(())
    }

    async fn post(&self, batch: &Batch) -> Result<Answer, Refusal> {
        let request = self
            .client
            .post(self.url.clone())
            .bearer_auth(&self.token)
            .header("content-type", "application/x-ndjson")
            .header(
                "idempotency-key",
                format!("{:016x}-{}", self.run, self.sent),
            )
            .body(batch.body.clone());
        let response = request.send().await.map_err(Refusal::lost)?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let answer = response.bytes().await.map_err(Refusal::lost)?;
        let answer: Answer = match serde_json::from_slice(&answer) {
            Ok(answer) => answer,
            Err(_) if status.is_success() => {
                return Err(Refusal {
                    error: anyhow!("{} does not answer like a tickcast server", self.url),
                    passing: false,
                    accepted: 0,
                    handled: 0,
                    retry_after: None,
                });
            }
            Err(_) => Answer {
                detail: detail(&answer),
                ..Answer::default()
            },
        };
        let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 429);
        // If the server could read nothing of a batch, the server refuses the whole batch. The
        // server still lists the lines.
        if status.is_success() || (!passing && answer.rejected_count > 0) {
            return Ok(answer);
        }
        let handled = answer.accepted + answer.late + answer.unchanged + answer.rejected_count;
        let error = anyhow!(
            "the server answered {status}: {}",
            answer.detail.unwrap_or_default()
        );
        Err(Refusal {
            error,
            passing,
            accepted: answer.accepted,
            handled,
            retry_after,
        })
    }

    fn add(&mut self, batch: &Batch, answer: Answer) {
        self.total.accepted += answer.accepted;
        self.total.late += answer.late;
        self.total.unchanged += answer.unchanged;
        self.total.rejected_count += answer.rejected_count;
        for Rejection {
            index,
            symbol,
            error,
        } in answer.rejected
        {
            let line = batch.lines.get(index).copied().unwrap_or_default();
            let symbol = symbol
                .map(|symbol| format!("{symbol}: "))
                .unwrap_or_default();
            self.bar
                .suspend(|| eprintln!("line {line}: {symbol}{error}"));
        }
        self.bar.inc(batch.lines.len() as u64);
    }

    fn report(&self) -> anyhow::Result<()> {
        let Answer {
            accepted,
            late,
            unchanged,
            rejected_count,
            ..
        } = self.total;
        println!(
            "{accepted} accepted, {late} late, {unchanged} unchanged, {rejected_count} rejected"
        );
        if rejected_count > 0 {
            let were = if rejected_count == 1 { "was" } else { "were" };
            bail!("{} {were} rejected", count(rejected_count, "tick"));
        }
        Ok(())
    }
}

/// Reason why a batch was not published, or not all of it.
struct Refusal {
    error: anyhow::Error,
    /// Whether a later attempt may succeed.
    passing: bool,
    /// Number of ticks of the batch that were accepted, over all attempts so far. The next field
    /// also counts the late, unchanged and rejected ticks.
    accepted: u64,
    handled: u64,
    /// The pause that the server asks for.
    retry_after: Option<Duration>,
}

impl Refusal {
    /// There is no answer.
    fn lost(error: reqwest::Error) -> Self {
        Self {
            error: error.into(),
            passing: true,
            accepted: 0,
            handled: 0,
            retry_after: None,
        }
    }
}

/// Returns the pause that an answer asks for in seconds. tickcast never sends a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let pause = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(pause.min(MAX_REQUESTED_PAUSE))
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} ticks, {per_sec}, {elapsed}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// Returns the detail of a problem response.
fn detail(answer: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(answer).ok()?;
    problem["detail"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_that_a_server_asks_for_is_bounded() {
        let pause = |text: &'static str| {
            let value = header::HeaderValue::from_static(text);
            retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, value)]))
        };
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("86400"), Some(MAX_REQUESTED_PAUSE));
        for other in ["", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(pause(other), None, "{other}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn a_recorded_tick_is_sent_as_it_was_published() {
        let published =
            |text: &str| String::from_utf8(unnumbered(text.as_bytes()).into_owned()).unwrap();
        let recorded = r#"{"symbol":"A","price":0.10,"change":-0.5,"change_pct":-83.3333,"time":1782907200007,"n":3,"bid":0.090}"#;
        assert_eq!(
            published(recorded),
            r#"{"symbol":"A","price":0.10,"change":-0.5,"time":1782907200007,"bid":0.090}"#
        );
        let twice = r#"{"symbol":"A","price":1,"price":2,"n":3}"#;
        for other in [
            r#"{ "symbol": "A", "price": 1 }"#,
            r#"{"symbol":"n","n""#,
            r#"["n"]"#,
            twice,
        ] {
            assert_eq!(published(other), other);
        }
    }
}
