//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::Deserialize;

use reqwest::Url;
use tickcast::Symbol;

use crate::settings::{Age, HumanDuration, Listen};
use crate::source::Columns;

/// Streams live prices to browsers, terminals and programs as plain Server-Sent Events.
///
/// Without a command it serves; without a source it serves a simulated market.
#[derive(Debug, Parser)]
#[command(name = "tickcast", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Layer,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take ticks in and stream them out (the default)
    Serve(Layer),
    /// Send ticks from a file or standard input to a server
    Publish(PublishArgs),
    /// Watch a server's prices: a live table on a terminal, lines in a pipe
    Watch(WatchArgs),
    /// Write a server's ticks to a file, every one, and say where there may be a hole
    Record(RecordArgs),
    /// Measure a server: open streams, publish, and see what arrives when
    Bench(BenchArgs),
    /// Look at, or mend, a tape on disk that no server is using
    #[command(subcommand)]
    Tape(TapeCommand),
    /// Look at the settings without starting anything
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TapeCommand {
    /// Read all of it; say what it holds, or what is wrong first
    Check {
        /// The folder that --data names
        dir: PathBuf,
    },
    /// Set aside what is damaged and all that comes after it; readers will be told that there may be a hole
    Repair {
        /// The folder that --data names
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Validate the settings; say nothing if they are good
    Check(Layer),
    /// Print each setting and where it comes from
    Show(Layer),
}

/// The settings as one layer gives them: flags and environment, or the configuration file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default)]
pub(crate) struct Layer {
    /// TOML file with any of these settings, written_like_this, and [[source]] tables
    #[arg(long, env = "TICKCAST_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    /// Where readers and publishers connect; a port alone means 127.0.0.1 [default: 127.0.0.1:8080]
    #[arg(long, env = "TICKCAST_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<Listen>,

    /// Where operators connect: metrics, health and POST /reload [default: 127.0.0.1:9180]
    #[arg(long, env = "TICKCAST_ADMIN", value_name = "IP:PORT")]
    pub(crate) admin: Option<Listen>,

    /// Where ticks come from besides POST /v1/prices; repeatable: sim[:SEED][?rate=N],
    /// replay:FILE[?speed=N|max][&rate=N][&loop], stdin (both with [?columns=NAMES][&symbol=SYMBOL]), udp:IP:PORT, binance:btcusdt,..., coinbase:BTC-USD,...,
    /// coinbase-advanced:BTC-USD,..., kraken:BTC/USD,... (all with [?channel=NAME][&url=URL][&silence=TIME]), none;
    /// each may also say [&name=NAME][&prefix=TEXT][&allow_late][&unchanged=drop][&max_ahead=TIME][&stale_after=TIME]
    /// [default: sim]
    #[arg(long = "source", id = "source", env = "TICKCAST_SOURCE", value_name = "SOURCE")]
    #[serde(skip)]
    pub(crate) sources: Vec<String>,

    /// What publishers must present as a bearer token [default: made at start-up and printed once]
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) publish_token: Option<String>,

    /// A file that holds the publish token, and nothing else but a line's end
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN_FILE", value_name = "FILE")]
    pub(crate) publish_token_file: Option<PathBuf>,

    /// How long a stop may take; streams are spread over 1 ms each, three quarters of this at most [default: 8s]
    #[arg(long, env = "TICKCAST_DRAIN", value_name = "TIME")]
    pub(crate) drain: Option<HumanDuration>,

    /// Least time between two writes to a stream while ticks keep coming [default: 5ms]
    #[arg(long, env = "TICKCAST_FLUSH_INTERVAL", value_name = "TIME")]
    pub(crate) flush_interval: Option<HumanDuration>,

    /// How far a reader may fall behind before its ticks are merged [default: 1s]
    #[arg(long, env = "TICKCAST_MAX_LAG", value_name = "TIME")]
    pub(crate) max_lag: Option<HumanDuration>,

    /// How sockets are written: uring (one system call for hundreds), epoll (one for each), or auto: uring where the
    /// kernel has and allows it [default: auto]
    #[arg(long, env = "TICKCAST_IO_BACKEND", value_name = "BACKEND")]
    pub(crate) io_backend: Option<IoBackend>,

    /// Most connections: more streams are told to come back later [default: what an eighth of the memory is enough
    /// for, at 16 KiB each, and at most as many as open files are allowed, less some 300]
    #[arg(long, env = "TICKCAST_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) max_connections: Option<usize>,

    /// Keep the tape in this folder: a restart goes on where it ended, and so do readers [default: in memory]
    #[arg(long, env = "TICKCAST_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// When the disk is made to confirm what is written: always (before a publisher is answered), interval, or none
    /// [default: interval]
    #[arg(long, env = "TICKCAST_SYNC", value_name = "WHEN")]
    pub(crate) sync: Option<Sync>,

    /// How often, with sync = interval [default: 100ms]
    #[arg(long, env = "TICKCAST_SYNC_INTERVAL", value_name = "TIME")]
    pub(crate) sync_interval: Option<HumanDuration>,

    /// About how many bytes of ticks are kept on disk [default: 1073741824]
    #[arg(long, env = "TICKCAST_RETENTION_BYTES", value_name = "N")]
    pub(crate) retention_bytes: Option<u64>,

    /// How long ticks are kept on disk, such as 30days [default: for ever, within --retention-bytes]
    #[arg(long, env = "TICKCAST_RETENTION_TIME", value_name = "AGE")]
    pub(crate) retention_time: Option<Age>,

    /// Most symbols on the market [default: 100000, fewer with less than 4 GiB of memory]
    #[arg(long, env = "TICKCAST_MAX_SYMBOLS", value_name = "N")]
    pub(crate) max_symbols: Option<usize>,

    /// Most closed candles of all symbols together, 88 bytes each [default: 1000000, fewer
    /// with less than 4 GiB of memory]
    #[arg(long, env = "TICKCAST_MAX_CANDLES", value_name = "N")]
    pub(crate) max_candles: Option<usize>,

    /// How far ahead of the server's clock a posted tick's time may be; beyond, it is refused [default: 1m]
    #[arg(long, env = "TICKCAST_MAX_AHEAD", value_name = "TIME")]
    pub(crate) max_ahead: Option<HumanDuration>,

    /// How far ahead of the server's clock a time counts at most, for lateness, reference and candles [default: 5s]
    #[arg(long, env = "TICKCAST_MAX_SKEW", value_name = "TIME")]
    pub(crate) max_skew: Option<HumanDuration>,

    /// How long no price may be posted before those that were are stale; 0s: for ever [default: 15s]
    #[arg(long, env = "TICKCAST_STALE_AFTER", value_name = "TIME")]
    pub(crate) stale_after: Option<HumanDuration>,

    /// Most ticks kept on the tape in memory [default: 262144, fewer with less than 1 GiB of memory]
    #[arg(long, env = "TICKCAST_TAPE_TICKS", value_name = "N")]
    pub(crate) tape_ticks: Option<usize>,

    /// Most bytes of ticks kept on the tape in memory [default: 67108864, fewer with less than 1 GiB of memory]
    #[arg(long, env = "TICKCAST_TAPE_BYTES", value_name = "N")]
    pub(crate) tape_bytes: Option<usize>,

    /// How the log is written to standard error [default: human]
    #[arg(long, env = "TICKCAST_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// When the disk is made to confirm what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sync {
    /// Before a publisher is answered
    Always,
    /// Every so often
    Interval,
    /// When the system likes
    None,
}

/// How sockets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IoBackend {
    /// By io_uring where the kernel has and allows it
    Auto,
    /// By io_uring: one system call for hundreds of sockets
    Uring,
    /// One system call a socket
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

    /// The server
    #[arg(long, env = "TICKCAST_URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    pub(crate) url: Url,

    /// What the server was given, or has printed, as its publish token
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,

    /// The name of this publisher: its prices are stale once it falls silent, whatever others publish
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,

    /// The columns of a CSV without a header, such as time,price,size; `-` stands for one to ignore, and time_s, time_us and
    /// time_ns for times in other units than milliseconds
    #[arg(long, value_name = "NAMES")]
    pub(crate) columns: Option<Columns>,

    /// The symbol of all rows, for a CSV without such a column
    #[arg(long, value_name = "SYMBOL", value_parser = symbol)]
    pub(crate) symbol: Option<Symbol>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Names, and patterns such as BTC* [default: all]
    #[arg(value_parser = name_or_pattern)]
    pub(crate) symbols: Vec<String>,

    /// The server
    #[arg(long, env = "TICKCAST_URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    pub(crate) url: Url,

    /// At most so many updates a second of each symbol, 0.1 to 100 [default: 10 on a terminal, all in a pipe]
    #[arg(long, value_name = "N", value_parser = updates)]
    pub(crate) rate: Option<f64>,

    /// A line for each tick, also on a terminal
    #[arg(long, conflicts_with = "json")]
    pub(crate) plain: bool,

    /// A JSON object for each tick
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// NDJSON; compressed where it ends in .zst. It must not exist yet
    pub(crate) file: PathBuf,

    /// Names, and patterns such as BTC* [default: all]
    #[arg(value_parser = name_or_pattern)]
    pub(crate) symbols: Vec<String>,

    /// The server
    #[arg(long, env = "TICKCAST_URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    pub(crate) url: Url,

    /// Begin after this cursor, or with `start`, the oldest tick the server has [default: with the newest tick of each]
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<String>,

    /// Stop after so many ticks [default: when interrupted]
    #[arg(long, value_name = "N")]
    pub(crate) ticks: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The server, over plain HTTP
    #[arg(long, env = "TICKCAST_URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    pub(crate) url: Url,

    /// What the server was given, or has printed, as its publish token
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,

    /// How many streams to open
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) streams: usize,

    /// How many of them never read anything
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) stalled: usize,

    /// Ticks to publish a second, each when it is due; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1000.0, value_parser = rate)]
    pub(crate) rate: f64,

    /// How many symbols move, one after the other
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) symbols: u64,

    /// How many of the symbols each stream asks for, a choice of its own [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) symbols_per_stream: Option<usize>,

    /// Look into every Nth stream only and count the bytes of the others, where reading all would be too much for one core
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    pub(crate) sample_every: usize,

    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) seconds: HumanDuration,

    /// How long to run before measuring
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub(crate) warm_up: HumanDuration,

    /// Publish as fast as the server takes it, and open no streams
    #[arg(long, conflicts_with = "churn")]
    pub(crate) flood: bool,

    /// Open streams as fast as the server takes them, and close each once its snapshot is there
    #[arg(long)]
    pub(crate) churn: bool,

    /// The server's process on this machine, for its processor time and memory, its children's included
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Where streams are asked for; {symbols} stands for the list
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/prices/stream?symbols={symbols}",
        help_heading = "Other servers"
    )]
    pub(crate) stream_path: String,

    /// Where ticks are published
    #[arg(long, value_name = "PATH", default_value = "/v1/prices", help_heading = "Other servers")]
    pub(crate) publish_path: String,

    /// Publish one finished tick a request instead of NDJSON
    #[arg(long, help_heading = "Other servers")]
    pub(crate) no_batch: bool,
}

/// Reads the address of a server, which may have a path.
fn server(text: &str) -> Result<Url, String> {
    let expected = "an address such as http://127.0.0.1:8080 is expected";
    let mut url = Url::parse(text).map_err(|error| format!("{error}; {expected}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(expected.to_owned());
    }
    // Without the slash, joining would replace the last part of the path.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn symbol(text: &str) -> Result<Symbol, String> {
    Symbol::new(text).map_err(|error| error.to_string())
}

/// A number of ticks a second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=1e7).contains(rate));
    rate.ok_or_else(|| "0 to 10000000 ticks a second are expected".to_owned())
}

/// A number of updates a second that a server takes.
fn updates(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.1..=100.0).contains(rate));
    rate.ok_or_else(|| "0.1 to 100 updates a second are expected".to_owned())
}

/// A name or a pattern. An address would do for a name, and nothing would ever come of it.
fn name_or_pattern(text: &str) -> Result<String, String> {
    if text.contains("://") {
        Err("a server's address goes with --url".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// At least one.
fn positive(text: &str) -> Result<usize, String> {
    text.parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(|| "a number from 1 on is expected".to_owned())
}
