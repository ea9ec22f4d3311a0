//! The configuration file, and the names of settings in the file and in the environment.

use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::Table;

use super::SettingsError;
use crate::access::AccessTable;
use crate::cli::{Cli, Layer};
use crate::source::{SOURCE_KEYS, SourceTable};
use crate::tls::TlsTable;

/// Prefix of all settings in the environment.
const PREFIX: &str = "TICKCAST_";

/// The contents of a configuration file.
#[derive(Default)]
pub(super) struct File {
    pub(super) layer: Layer,
    pub(super) sources: Vec<SourceTable>,
    pub(super) access: Option<AccessTable>,
    pub(super) tls: TlsTable,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        let refuse =
            |error: &dyn std::fmt::Display| SettingsError(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| refuse(&error))?;
        Self::parse(&text).map_err(|error| refuse(&error))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut table: Table = text.parse().map_err(|error| one_line(&error, text))?;
        let mut known = setting_names();
        known.retain(|name| name != "config");
        known.push("access".to_owned());
        check_keys(table.keys(), &known, "key")?;
        let sources = match table.remove("source") {
            None => Vec::new(),
            Some(sources) => {
                for source in sources
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(toml::Value::as_table)
                {
                    check_keys(source.keys(), &SOURCE_KEYS, "key of [[source]]")?;
                }
                read_value("source", sources)?
            }
        };
        // The setting `tls` is a word or a table.
        let tls = match table.get("tls").is_some_and(toml::Value::is_table) {
            true => table.remove("tls"),
            false => None,
        };
        let tls = tls.map(|tls| read_value("tls", tls)).transpose()?;
        let access = table.remove("access");
        let access = access.map(|access| read_value("access", access));
        let access = access.transpose().map_err(|error| without_values(&error))?;
        if table
            .get("publish_token")
            .is_some_and(|token| !token.is_str())
        {
            // The error of the library would show the token.
            return Err("publish_token must be a text in quotes".to_owned());
        }
        let layer = table.try_into().map_err(|error| one_line(&error, text))?;
        Ok(Self {
            layer,
            sources,
            access,
            tls: tls.unwrap_or_default(),
        })
    }
}

/// Refuses environment variables that have the prefix but are not settings.
pub(super) fn check_environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(), SettingsError> {
    let known = Cli::command()
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|arg| arg.get_env()?.to_str().map(str::to_owned))
        .collect::<Vec<_>>();
    let found: Vec<_> = variables
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    let ours = found.iter().filter(|name| name.starts_with(PREFIX));
    check_keys(ours, &known, "environment variable").map_err(SettingsError)
}

/// Returns the names of the settings: the names of the flags.
fn setting_names() -> Vec<String> {
    let command = Cli::command();
    let serve = command
        .find_subcommand("serve")
        .into_iter()
        .flat_map(clap::Command::get_arguments);
    serve.map(|arg| arg.get_id().as_str().to_owned()).collect()
}

fn check_keys<'k>(
    keys: impl IntoIterator<Item = &'k String>,
    known: &[impl AsRef<str>],
    what: &str,
) -> Result<(), String> {
    for key in keys {
        if known.iter().any(|name| name.as_ref() == key) {
            continue;
        }
        let nearest = known.iter().max_by(|a, b| {
            let likeness = |name: &str| strsim::jaro_winkler(name, key);
            likeness(a.as_ref()).total_cmp(&likeness(b.as_ref()))
        });
        let nearest = nearest.map(AsRef::as_ref).unwrap_or_default();
        return Err(format!(
            "unknown {what} {key:?}; the nearest known name is {nearest:?}"
        ));
    }
    Ok(())
}

/// Reads the value of a key. The error names the place in it, such as `access.delays 1`.
fn read_value<T: DeserializeOwned>(key: &str, value: toml::Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().iter().map(|segment| match segment {
            Segment::Seq { index } => format!(" {}", index + 1),
            Segment::Map { key } => format!(".{}", key.escape_debug()),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        });
        let path: String = path.collect();
        format!("{key}{path}: {}", one_line(error.inner(), ""))
    })
}

/// Formats an error in one line. The TOML library's own text shows the line of the file, which may
/// contain a secret.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message: Vec<_> = error.message().lines().map(str::trim).collect();
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    format!("{}{}", line.unwrap_or_default(), message.join(" "))
}

/// Returns a message without the value that it complains of, because the value may be a secret.
fn without_values(message: &str) -> String {
    match message.split_once("invalid type: ") {
        Some((before, after)) => {
            let expected = after
                .rsplit_once("expected ")
                .map_or("", |(_, expected)| expected);
            format!("{before}a value is not of its type: expected {expected}")
        }
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> String {
        File::parse(text).err().unwrap()
    }

    #[test]
    fn every_kind_of_setting_is_read() {
        let file = File::parse(
            r#"
            listen = "0.0.0.0:80"
            drain = "2s"
            max_symbols = 5
            log_format = "json"
            [[source]]
            from = "sim:7"
            prefix = "DEMO:"
            allow_late = true
            unchanged = "drop"
            map = { AAPL = "Apple" }
            "#,
        )
        .unwrap();
        assert_eq!(file.layer.listen, Some("0.0.0.0:80".parse().unwrap()));
        assert_eq!(file.layer.max_symbols, Some(5));
        assert_eq!(file.sources[0].map["AAPL"], "Apple");
    }

    #[test]
    fn errors_are_reported_in_one_line() {
        assert_eq!(
            says("lissten = 1"),
            r#"unknown key "lissten"; the nearest known name is "listen""#
        );
        assert_eq!(
            says("[[source]]\nform = \"sim\""),
            r#"unknown key of [[source]] "form"; the nearest known name is "from""#
        );
        for text in [
            "listen = 5",
            "listen = \"x\"",
            "drain = \"soon\"",
            "a = = 1",
            "[[source]]\nprefix = \"x\"",
            "[[source]]\nfrom = \"sim\"\nmap = { \"A\\nB\" = 1 }",
        ] {
            assert!(!says(text).contains('\n'), "{text}: {}", says(text));
        }
        assert!(
            says("drain = \"soon\"").contains("\"soon\" is not a time such as 5ms, 10s or 2min")
        );
    }

    #[test]
    fn errors_name_the_value_in_its_table() {
        for (text, expected) in [
            (
                "[access]\ndelays = [5, \"15m\"]",
                "access.delays 2: a value is not of its type: expected u32",
            ),
            (
                "[access]\nrevoked_subjects = [\"ada\", 3]",
                "access.revoked_subjects 2: a value is not of its type: expected a string",
            ),
            (
                "[[access.publisher]]\nname = \"a\"\ntoken = \"x\"\nsymbols = []\nrate = 0",
                "access.publisher 1.rate: invalid value: integer `0`, expected a nonzero u32",
            ),
        ] {
            assert_eq!(says(text), expected);
        }
    }

    #[test]
    fn misspelled_variables_are_refused() {
        let check = |name: &str| check_environment([(name.into(), OsString::new())].into_iter());
        assert!(
            check("TICKCAST_LISTEN").is_ok()
                && check("PATH").is_ok()
                && check("TICKCAST_URL").is_ok()
        );
        assert_eq!(
            check("TICKCAST_LISTNE").unwrap_err().to_string(),
            r#"unknown environment variable "TICKCAST_LISTNE"; the nearest known name is "TICKCAST_LISTEN""#
        );
    }
}
