//! The arguments of `tickcast token`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use crate::settings::{HumanDuration, Validity};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Sign a token for a reader and print it
    Sign(Box<SignArgs>),
    /// Print what a token says; with --config, check whether the server would accept it
    Show(ShowArgs),
    /// Print the hash of a publisher's token, for the configuration file
    Hash {
        /// The token; without it, or with -, from standard input
        token: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The token; without it, or with -, from standard input
    pub(super) token: Option<String>,

    /// Configuration file of the server that has to accept the token
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// Configuration file of the server: its first HS256 key signs the token
    #[arg(long, value_name = "FILE", group = "key")]
    pub(super) config: Option<PathBuf>,

    /// File with the shared secret of an HS256 key
    #[arg(long, value_name = "FILE", group = "key")]
    pub(super) secret_file: Option<PathBuf>,

    /// File with a private key in PEM format (PKCS#8); needs --alg
    #[arg(long, value_name = "FILE", group = "key", requires = "alg")]
    pub(super) private_key_file: Option<PathBuf>,

    /// Algorithm of the private key
    #[arg(long, requires = "private_key_file")]
    pub(super) alg: Option<SignAlgorithm>,

    /// Name of the key, in the header of the token
    #[arg(long, value_name = "NAME")]
    pub(super) kid: Option<String>,

    /// Who reads; needed with --streams
    #[arg(long, value_name = "NAME")]
    pub(super) subject: Option<String>,

    /// Names and patterns that the reader may read, separated by commas [default: all]
    #[arg(long, value_name = "SYMBOLS", value_delimiter = ',')]
    pub(super) symbols: Option<Vec<String>>,

    /// Maximum number of updates a second of each symbol on each stream, 0.1 to 100
    #[arg(long, value_name = "N")]
    pub(super) rate: Option<f64>,

    /// Maximum number of streams of the subject at a time
    #[arg(long, value_name = "N", requires = "subject")]
    pub(super) streams: Option<u32>,

    /// Minimum age of the prices that the reader receives, as in 15m; the server needs such a delay
    #[arg(long, value_name = "TIME")]
    pub(super) delay: Option<HumanDuration>,

    /// How long the token is valid, as in 15m or 30d; at most 10 years
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(super) expires: Validity,

    /// Name of the token, so that `revoked_tokens` can revoke this token alone
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(super) jti: Option<String>,

    /// Issuer of the token [default: that of the key in the configuration file]
    #[arg(long, value_name = "TEXT")]
    pub(super) issuer: Option<String>,

    /// Audience of the token [default: that of the key in the configuration file]
    #[arg(long, value_name = "TEXT")]
    pub(super) audience: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SignAlgorithm {
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
}
