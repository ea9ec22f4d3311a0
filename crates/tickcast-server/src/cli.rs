//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::Deserialize;

use ipnet::IpNet;
use reqwest::Url;
use tickcast::Symbol;
use tickcast_feeds::records::Columns;

use crate::settings::{Age, HubDuration, HumanDuration, Listen};
use crate::token::TokenCommand;

/// Streams live prices to browsers, terminals and programs as Server-Sent Events.
///
/// Without a command, the server starts. Without a source, the server streams a simulated market.
#[derive(Debug, Parser)]
#[command(
    name = "tickcast",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Layer,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Accept ticks and stream them to clients (the default)
    Serve(Layer),
    /// Publish ticks from a file or standard input to a server
    Publish(PublishArgs),
    /// Watch a server's prices: a live table on a terminal, lines in a pipe
    Watch(WatchArgs),
    /// Record every tick of a server in a file, and report possible gaps
    Record(RecordArgs),
    /// Measure a server: open streams, publish ticks, and measure when the ticks arrive
    Bench(BenchArgs),
    /// Make and read the tokens of readers and publishers
    #[command(subcommand)]
    Token(TokenCommand),
    /// Check or repair a tape on disk that no server is using
    #[command(subcommand)]
    Tape(TapeCommand),
    /// Show or check the settings without starting a server
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The name of the shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TapeCommand {
    /// Read the whole tape; report its contents, or the first error
    Check {
        /// The folder that --data names
        dir: PathBuf,
    },
    /// Set aside the damaged part of the tape and everything after this part; clients will be told
    /// of a possible gap
    Repair {
        /// The folder that --data names
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Validate the settings; print nothing if they are valid
    Check(Layer),
    /// Print each setting and its origin
    Show(Layer),
}

/// The settings of one layer: flags and environment, or the configuration file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default)]
pub(crate) struct Layer {
    /// TOML file with any of these settings, written_like_this, and [[source]] tables
    #[arg(long, env = "TICKCAST_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    /// Address for clients and publishers; a port alone means 127.0.0.1 [default: 127.0.0.1:8080]
    #[arg(long, env = "TICKCAST_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<Listen>,

    /// Address for operators: metrics, health, POST /reload and POST /drain [default: 127.0.0.1:9180]
    #[arg(long, env = "TICKCAST_ADMIN", value_name = "IP:PORT")]
    pub(crate) admin: Option<Listen>,

    /// Source of ticks besides POST /v1/prices; repeatable: sim[:SEED][?rate=N],
    /// replay:FILE[?speed=N|max][&rate=N][&loop], stdin (both with
    /// [?columns=NAMES][&symbol=SYMBOL]), udp:IP:PORT, binance:btcusdt,..., coinbase:BTC-USD,...,
    /// coinbase-advanced:BTC-USD,..., kraken:BTC/USD,... (all with
    /// [?channel=NAME][&url=URL][&silence=TIME]), none; each source may also have
    /// [&name=NAME][&prefix=TEXT][&allow_late][&unchanged=drop][&max_ahead=TIME][&stale_after=TIME]
    /// [default: sim]
    #[arg(
        long = "source",
        id = "source",
        env = "TICKCAST_SOURCE",
        value_name = "SOURCE"
    )]
    #[serde(skip)]
    pub(crate) sources: Vec<String>,

    /// Bearer token that publishers must present [default: generated, and printed once]
    #[arg(
        long,
        env = "TICKCAST_PUBLISH_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(crate) publish_token: Option<String>,

    /// File that holds only the publish token; a line break at the end is allowed
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN_FILE", value_name = "FILE")]
    pub(crate) publish_token_file: Option<PathBuf>,

    /// Maximum time for a shutdown; streams are ended 1 ms apart, within at most three quarters of
    /// this time [default: 8s]
    #[arg(long, env = "TICKCAST_DRAIN", value_name = "TIME")]
    pub(crate) drain: Option<HumanDuration>,

    /// Number of lanes: threads that serve the streams, 1 to 256 [default: one per core]
    #[arg(long, env = "TICKCAST_LANES", value_name = "N")]
    pub(crate) lanes: Option<usize>,

    /// Keep each lane on one core; for a machine that does nothing else
    #[arg(long, env = "TICKCAST_PIN_LANES", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) pin_lanes: Option<bool>,

    /// Minimum time between two writes to a stream while ticks keep arriving, 1ms to 1day
    /// [default: 5ms]
    #[arg(long, env = "TICKCAST_FLUSH_INTERVAL", value_name = "TIME")]
    pub(crate) flush_interval: Option<HubDuration>,

    /// Maximum lag of a client before its ticks are conflated, 1ms to 1day [default: 1s]
    #[arg(long, env = "TICKCAST_MAX_LAG", value_name = "TIME")]
    pub(crate) max_lag: Option<HubDuration>,

    /// How sockets are written: uring (one system call for hundreds of sockets), epoll (one system
    /// call per socket), or auto: uring if the kernel supports and allows io_uring [default: auto]
    #[arg(long, env = "TICKCAST_IO_BACKEND", value_name = "BACKEND")]
    pub(crate) io_backend: Option<IoBackend>,

    /// Maximum number of connections; further streams are told to come back later
    /// [default: what an eighth of the memory is enough for, at 16 KiB each, and at most as many as open files are allowed, less some 300]
    #[arg(long, env = "TICKCAST_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) max_connections: Option<usize>,

    /// Memory that the server may use, in bytes, socket buffers included: the default limits fit into
    /// it, and near its end the server serves less [default: the limit of the control group, or the
    /// memory of the machine]
    #[arg(long, env = "TICKCAST_MEMORY_BUDGET", value_name = "BYTES")]
    pub(crate) memory_budget: Option<u64>,

    /// Certificate for https, in PEM format, followed by those of its authorities; loaded again when
    /// the file changes
    #[arg(long, env = "TICKCAST_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key of this certificate, in PEM format
    #[arg(long, env = "TICKCAST_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,

    /// self-signed: https with a certificate that no client trusts, to try it out
    #[arg(long, env = "TICKCAST_TLS", value_name = "MODE")]
    pub(crate) tls: Option<TlsMode>,

    /// Address that answers plain http with a redirect to https
    #[arg(long, env = "TICKCAST_REDIRECT", value_name = "IP:PORT")]
    pub(crate) redirect: Option<Listen>,

    /// Certificate of the address for operators, in PEM format
    #[arg(long, env = "TICKCAST_ADMIN_TLS_CERT", value_name = "FILE")]
    pub(crate) admin_tls_cert: Option<PathBuf>,

    /// Private key of this certificate, in PEM format
    #[arg(long, env = "TICKCAST_ADMIN_TLS_KEY", value_name = "FILE")]
    pub(crate) admin_tls_key: Option<PathBuf>,

    /// Authorities in PEM format: operators need a certificate of one of them
    #[arg(long, env = "TICKCAST_ADMIN_CLIENT_CA", value_name = "FILE")]
    pub(crate) admin_client_ca: Option<PathBuf>,

    /// Allow an address for operators that others can reach, although operators need no certificate
    #[arg(long, env = "TICKCAST_ADMIN_OPEN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) admin_open: Option<bool>,

    /// Maximum number of streams of one IPv4 address, or of one IPv6 network of 64 bits
    /// [default: no limit]
    #[arg(long, env = "TICKCAST_MAX_STREAMS_PER_ADDRESS", value_name = "N")]
    pub(crate) max_streams_per_address: Option<u32>,

    /// Maximum number of streams that one address may open in a second [default: no limit]
    #[arg(long, env = "TICKCAST_MAX_OPENS_PER_ADDRESS", value_name = "N")]
    pub(crate) max_opens_per_address: Option<u32>,

    /// Header in which trusted proxies name their clients: x-forwarded-for, or forwarded (RFC 7239)
    /// [default: x-forwarded-for]
    #[arg(long, env = "TICKCAST_FORWARDED_HEADER", value_name = "HEADER")]
    pub(crate) forwarded_header: Option<ForwardedHeader>,

    /// Connections of trusted proxies begin with a header of the PROXY protocol (version 1 or 2)
    #[arg(long, env = "TICKCAST_PROXY_PROTOCOL", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) proxy_protocol: Option<bool>,

    /// Networks of proxies that are believed who their clients are, such as 10.0.0.0/8,fd00::/8
    /// [default: none]
    #[arg(
        long,
        env = "TICKCAST_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        value_delimiter = ','
    )]
    pub(crate) trusted_proxies: Option<Vec<IpNet>>,

    /// Maximum number of prepared streams (POST /v1/streams) [default: 10000]
    #[arg(long, env = "TICKCAST_MAX_PREPARED_STREAMS", value_name = "N")]
    pub(crate) max_prepared_streams: Option<usize>,

    /// Folder for the tape; after a restart, the server and its clients continue from the end of
    /// the tape [default: in memory]
    #[arg(long, env = "TICKCAST_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// When written data is synced to disk: always (before a publisher is answered), interval, or
    /// none [default: interval]
    #[arg(long, env = "TICKCAST_SYNC", value_name = "WHEN")]
    pub(crate) sync: Option<Sync>,

    /// Time between two syncs, with sync = interval [default: 100ms]
    #[arg(long, env = "TICKCAST_SYNC_INTERVAL", value_name = "TIME")]
    pub(crate) sync_interval: Option<HumanDuration>,

    /// Approximate maximum number of bytes of ticks on disk [default: 1073741824]
    #[arg(long, env = "TICKCAST_RETENTION_BYTES", value_name = "N")]
    pub(crate) retention_bytes: Option<u64>,

    /// Retention time of ticks on disk, such as 30days
    /// [default: for ever, within --retention-bytes]
    #[arg(long, env = "TICKCAST_RETENTION_TIME", value_name = "AGE")]
    pub(crate) retention_time: Option<Age>,

    /// Age after which a symbol that was removed, and did not return, is forgotten at the next start
    /// with --data. Until then it counts against --max-symbols
    /// [default: 30days]
    #[arg(long, env = "TICKCAST_FORGET", value_name = "AGE")]
    pub(crate) forget: Option<Age>,

    /// Maximum number of symbols on the market
    /// [default: 100000, fewer with less than 4 GiB of memory]
    #[arg(long, env = "TICKCAST_MAX_SYMBOLS", value_name = "N")]
    pub(crate) max_symbols: Option<usize>,

    /// Maximum number of closed candles of all symbols together, 88 bytes each
    /// [default: 1000000, fewer with less than 4 GiB of memory]
    #[arg(long, env = "TICKCAST_MAX_CANDLES", value_name = "N")]
    pub(crate) max_candles: Option<usize>,

    /// Maximum time that a tick published over HTTP may be ahead of the server's clock; a tick
    /// further ahead is rejected [default: 1m]
    #[arg(long, env = "TICKCAST_MAX_AHEAD", value_name = "TIME")]
    pub(crate) max_ahead: Option<HumanDuration>,

    /// Maximum time ahead of the server's clock that is believed: a later time counts as now for the
    /// reference and the candles, and makes no later tick late [default: 5s]
    #[arg(long, env = "TICKCAST_MAX_SKEW", value_name = "TIME")]
    pub(crate) max_skew: Option<HumanDuration>,

    /// Time without a price over HTTP after which the prices published over HTTP are stale; 0s:
    /// never [default: 15s]
    #[arg(long, env = "TICKCAST_STALE_AFTER", value_name = "TIME")]
    pub(crate) stale_after: Option<HumanDuration>,

    /// Maximum number of ticks on the tape in memory
    /// [default: 262144, fewer with less than 1 GiB of memory]
    #[arg(long, env = "TICKCAST_TAPE_TICKS", value_name = "N")]
    pub(crate) tape_ticks: Option<usize>,

    /// Maximum number of bytes of ticks on the tape in memory
    /// [default: 67108864, fewer with less than 1 GiB of memory]
    #[arg(long, env = "TICKCAST_TAPE_BYTES", value_name = "N")]
    pub(crate) tape_bytes: Option<usize>,

    /// Format of the log on standard error [default: human]
    #[arg(long, env = "TICKCAST_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people
    Human,
    /// One JSON object per line
    Json,
}

/// When written data is synced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sync {
    /// Before a publisher is answered
    Always,
    /// At a regular interval
    Interval,
    /// Left to the operating system
    None,
}

/// Where the certificate comes from, if not from files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsMode {
    /// A new certificate for each start, which no client trusts
    SelfSigned,
}

/// The header in which proxies name their clients. Only one is read: a proxy that writes one of
/// them passes on what a client has written into the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForwardedHeader {
    /// X-Forwarded-For
    #[default]
    XForwardedFor,
    /// Forwarded (RFC 7239)
    Forwarded,
}

impl ForwardedHeader {
    /// Returns the name of the header.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// How sockets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IoBackend {
    /// io_uring if the kernel supports and allows io_uring, otherwise epoll
    Auto,
    /// io_uring: one system call for hundreds of sockets
    Uring,
    /// One system call per socket
    Epoll,
}

impl From<IoBackend> for tickcast::IoBackend {
    fn from(io: IoBackend) -> Self {
        match io {
            IoBackend::Auto => Self::Auto,
            IoBackend::Uring => Self::Uring,
            IoBackend::Epoll => Self::Epoll,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// NDJSON, JSON array or CSV, plain, .gz or .zst; `-` for standard input
    #[arg(default_value = "-")]
    pub(crate) file: String,

    /// Address of the server
    #[arg(long, env = "TICKCAST_URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    pub(crate) url: Url,

    /// Certificate of an authority in PEM format to trust, besides those of the system
    #[arg(long, env = "TICKCAST_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Publish token of the server, as configured or as printed at its start
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,

    /// Name of this publisher; its prices become stale when this publisher stops sending, whatever
    /// other publishers send
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,

    /// Columns of a CSV without a header, such as time,price,size; `-` for a column to ignore;
    /// time_s, time_us and time_ns for times in other units than milliseconds
    #[arg(long, value_name = "NAMES")]
    pub(crate) columns: Option<Columns>,

    /// Symbol of all rows, for a CSV without a symbol column
    #[arg(long, value_name = "SYMBOL", value_parser = symbol)]
    pub(crate) symbol: Option<Symbol>,
}

/// The server that a command reads from.
#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    /// Address of the server
    #[arg(long, env = "TICKCAST_URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    pub(crate) url: Url,

    /// Token of a reader, if the server wants one
    #[arg(
        long,
        env = "TICKCAST_READER_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,

    /// Certificate of an authority in PEM format to trust, besides those of the system
    #[arg(long, env = "TICKCAST_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Names, and patterns such as BTC* [default: all]
    #[arg(value_parser = name_or_pattern)]
    pub(crate) symbols: Vec<String>,

    #[command(flatten)]
    pub(crate) remote: RemoteArgs,

    /// Maximum number of updates per second of each symbol, 0.1 to 100
    /// [default: 10 on a terminal, all in a pipe]
    #[arg(long, value_name = "N", value_parser = updates)]
    pub(crate) rate: Option<f64>,

    /// Print one line per tick, also on a terminal
    #[arg(long, conflicts_with = "json")]
    pub(crate) plain: bool,

    /// Print one JSON object per tick
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// File to write as NDJSON; compressed if the name ends in .zst; the file must not exist yet
    pub(crate) file: PathBuf,

    /// Names, and patterns such as BTC* [default: all]
    #[arg(value_parser = name_or_pattern)]
    pub(crate) symbols: Vec<String>,

    #[command(flatten)]
    pub(crate) remote: RemoteArgs,

    /// Begin after this cursor, or with `start` at the oldest tick of the server
    /// [default: with the latest tick of each]
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<String>,

    /// Stop after N ticks [default: when interrupted]
    #[arg(long, value_name = "N")]
    pub(crate) ticks: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Address of the server, over plain HTTP
    #[arg(long, env = "TICKCAST_URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    pub(crate) url: Url,

    /// Publish token of the server, as configured or as printed at its start
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,

    /// Number of streams to open
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) streams: usize,

    /// Number of these streams that never read anything
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) stalled: usize,

    /// Ticks to publish per second, each when it is due; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1000.0, value_parser = rate)]
    pub(crate) rate: f64,

    /// Number of symbols that receive ticks, in turn
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) symbols: u64,

    /// Number of symbols that each stream requests, a different choice for each stream
    /// [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) symbols_per_stream: Option<usize>,

    /// Number of these streams that request all symbols all the same
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) wide: usize,

    /// Decode only every Nth stream and count only the bytes of the others, if decoding all streams
    /// is too much for one core
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    pub(crate) sample_every: usize,

    /// Duration of the measurement
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) seconds: HumanDuration,

    /// Duration of the warm-up before the measurement
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub(crate) warm_up: HumanDuration,

    /// Publish as fast as the server accepts ticks, and open no streams
    #[arg(long, conflicts_with = "churn")]
    pub(crate) flood: bool,

    /// Open streams as fast as the server accepts them, and close each stream once its snapshot is
    /// complete
    #[arg(long)]
    pub(crate) churn: bool,

    /// Process id of the server on this machine, to measure its processor time and memory,
    /// including child processes
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Path of streams; {symbols} stands for the list
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/prices/stream?symbols={symbols}",
        help_heading = "Other servers"
    )]
    pub(crate) stream_path: String,

    /// Path for publishing ticks
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/v1/prices",
        help_heading = "Other servers"
    )]
    pub(crate) publish_path: String,

    /// Publish one complete tick per request instead of NDJSON
    #[arg(long, help_heading = "Other servers")]
    pub(crate) no_batch: bool,
}

/// Parses the address of a server, which may have a path.
fn server(text: &str) -> Result<Url, String> {
    let expected = "expected an address such as http://127.0.0.1:8080";
    let mut url = Url::parse(text).map_err(|error| format!("{error} ({expected})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(expected.to_owned());
    }
    // Without the slash, a join would replace the last part of the path.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn symbol(text: &str) -> Result<Symbol, String> {
    Symbol::new(text).map_err(|error| error.to_string())
}

/// Parses a number of ticks per second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text
        .parse::<f64>()
        .ok()
        .filter(|rate| (0.0..=1e7).contains(rate));
    rate.ok_or_else(|| "expected 0 to 10000000 ticks per second".to_owned())
}

/// Parses a number of updates per second that a server accepts.
fn updates(text: &str) -> Result<f64, String> {
    let rate = text
        .parse::<f64>()
        .ok()
        .filter(|rate| (0.1..=100.0).contains(rate));
    rate.ok_or_else(|| "expected 0.1 to 100 updates per second".to_owned())
}

/// Parses a name or a pattern. A URL is refused here: the URL would pass as a name, but no symbol
/// would ever match.
fn name_or_pattern(text: &str) -> Result<String, String> {
    if text.contains("://") {
        Err("set the address of a server with --url".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Parses a number of at least 1.
fn positive(text: &str) -> Result<usize, String> {
    text.parse::<usize>()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "expected a positive integer".to_owned())
}
