//! What can be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::Deserialize;

use crate::settings::Span;

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

    /// Where readers and publishers connect [default: 127.0.0.1:8080]
    #[arg(long, env = "TICKCAST_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Where operators connect: metrics and health [default: 127.0.0.1:9180]
    #[arg(long, env = "TICKCAST_ADMIN", value_name = "IP:PORT")]
    pub(crate) admin: Option<SocketAddr>,

    /// Where ticks come from besides POST /v1/prices; repeatable: sim[:SEED][?rate=N],
    /// replay:FILE[?speed=N|max][&rate=N][&loop], stdin, none [default: sim]
    #[arg(long = "source", id = "source", env = "TICKCAST_SOURCE", value_name = "SOURCE")]
    #[serde(skip)]
    pub(crate) sources: Vec<String>,

    /// What publishers must present as a bearer token [default: made at start-up and printed once]
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) publish_token: Option<String>,

    /// How streams are spread when the server stops: at most this long, 1 ms a stream [default: 10s]
    #[arg(long, env = "TICKCAST_DRAIN", value_name = "TIME")]
    pub(crate) drain: Option<Span>,

    /// Least time between two writes to a stream while ticks keep coming [default: 5ms]
    #[arg(long, env = "TICKCAST_FLUSH", value_name = "TIME")]
    pub(crate) flush: Option<Span>,

    /// How far a reader may fall behind before its ticks are merged [default: 1s]
    #[arg(long, env = "TICKCAST_PATIENCE", value_name = "TIME")]
    pub(crate) patience: Option<Span>,

    /// Most symbols on the market [default: 100000]
    #[arg(long, env = "TICKCAST_MAX_SYMBOLS", value_name = "N")]
    pub(crate) max_symbols: Option<usize>,

    /// Most ticks kept on the tape [default: 262144]
    #[arg(long, env = "TICKCAST_TAPE_TICKS", value_name = "N")]
    pub(crate) tape_ticks: Option<usize>,

    /// Most bytes of ticks kept on the tape [default: 67108864]
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

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// NDJSON, JSON array or CSV, plain, .gz or .zst; `-` for standard input
    #[arg(default_value = "-")]
    pub(crate) file: String,

    /// The server
    #[arg(long, env = "TICKCAST_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,

    /// What the server was given, or has printed, as its publish token
    #[arg(long, env = "TICKCAST_PUBLISH_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}
