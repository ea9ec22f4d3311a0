//! The tables `[[access.publisher]]` of the configuration file.

use std::collections::HashSet;
use std::num::NonZeroU32;

use serde::Deserialize;
use tickcast::Filter;
use tickcast::access::{Grant, SourceName};

use crate::auth::PublishToken;
use crate::secret::{PREFIX, SecretHash};

/// Minimum length of a token that is not given as a hash, in bytes.
const MIN_TOKEN_BYTES: usize = 16;

/// Maximum number of publishers. Each is a source in the metrics and in the statuses of readers.
const MAX_PUBLISHERS: usize = 256;

/// Checks that a text can be the token of a publisher.
pub(crate) fn check_token(token: &str) -> Result<(), String> {
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    let is_hash = token.starts_with(PREFIX);
    match printable && !is_hash && token.len() >= MIN_TOKEN_BYTES {
        true => Ok(()),
        false => Err(format!(
            "expected at least {MIN_TOKEN_BYTES} printable ASCII characters without spaces, or `{PREFIX}` and a hash"
        )),
    }
}

/// A table `[[access.publisher]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublisherTable {
    name: String,
    token: String,
    symbols: Option<Vec<String>>,
    rate: Option<NonZeroU32>,
    new_symbols: Option<u32>,
}

/// Reads the tokens of the publishers.
pub(super) fn tokens(tables: &[PublisherTable]) -> Result<Vec<PublishToken>, String> {
    if tables.len() > MAX_PUBLISHERS {
        let count = tables.len();
        return Err(format!(
            "access: {count} publishers are given, the limit is {MAX_PUBLISHERS}"
        ));
    }
    let (mut names, mut tokens) = (HashSet::new(), HashSet::new());
    let read = |(i, table): (usize, &PublisherTable)| {
        let at = |problem: &dyn std::fmt::Display| format!("access.publisher {}: {problem}", i + 1);
        let (hash, grant) = table.read().map_err(|error| at(&error))?;
        if !names.insert(table.name.clone()) {
            return Err(at(&format!("the name {} occurs twice", table.name)));
        }
        if !tokens.insert(hash.to_string()) {
            return Err(at(&"the token is that of another publisher"));
        }
        Ok(PublishToken::granted(hash, grant))
    };
    tables.iter().enumerate().map(read).collect()
}

impl PublisherTable {
    fn read(&self) -> Result<(SecretHash, Grant), String> {
        let name: SourceName = self
            .name
            .parse()
            .map_err(|error| format!("name: {error}"))?;
        let hash =
            SecretHash::of_setting(&self.token).map_err(|error| format!("token: {error}"))?;
        if !self.token.starts_with(PREFIX) {
            check_token(&self.token).map_err(|error| format!("token: {error}"))?;
        }
        let symbols = match &self.symbols {
            None => Filter::all(),
            Some(list) => Filter::parse(list.iter().map(String::as_str))
                .map_err(|error| format!("symbols: {error}"))?,
        };
        let mut grant = Grant::of(name, symbols);
        if let Some(rate) = self.rate {
            grant = grant.max_rate(rate);
        }
        if let Some(symbols) = self.new_symbols {
            grant = grant.max_new_symbols(symbols);
        }
        Ok((hash, grant))
    }
}
