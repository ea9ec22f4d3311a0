//! Settings. A flag overrides the environment, the environment overrides the file, and the file
//! overrides the default. All settings are validated before a port is bound.

mod addresses;
mod budget;
mod control_group;
mod error;
mod file;
mod listen;
mod loader;
mod memory;
mod span;
mod tls;
mod token;

use std::fmt::Display;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use tickcast::tape::{Options as TapeOptions, Sync as TapeSync};
use tickcast::{HubBuilder, Limits, Publisher, SourceOptions};

use crate::access::{AccessSettings, AccessTable, Origins};
use crate::auth::PublishToken;
use crate::cli::{IoBackend, Layer, LogFormat, Sync};
use crate::client_address::AddressSettings;
use crate::source::{SourceSpec, SourceTable, make_names_unique};
use crate::tls::TlsSettings;
pub(crate) use error::SettingsError;
use file::File;
pub(crate) use listen::Listen;
pub(crate) use loader::Loader;
pub(crate) use memory::MemoryBudget;
pub(crate) use span::{Age, HubDuration, HumanDuration, Validity};

/// The validated settings of the server.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) sources: Vec<SourceSpec>,
    /// The tokens of publishers. Empty: one has to be generated.
    pub(crate) publish_tokens: Vec<PublishToken>,
    /// The certificates of the public listener, and those of the operators' listener.
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) admin_tls: Option<TlsSettings>,
    /// The address that redirects to the public listener.
    pub(crate) redirect: Option<SocketAddr>,
    /// Who may read.
    pub(crate) access: AccessSettings,
    /// The origins whose pages may read with the logins of their visitors.
    pub(crate) origins: Origins,
    pub(crate) drain: HumanDuration,
    pub(crate) lanes: usize,
    pub(crate) pin_lanes: bool,
    pub(crate) flush_interval: HubDuration,
    pub(crate) max_lag: HubDuration,
    pub(crate) io_backend: IoBackend,
    /// Maximum number of connections. The server serves at most as many connections as the system
    /// allows.
    pub(crate) max_connections: usize,
    pub(crate) max_prepared_streams: usize,
    pub(crate) addresses: AddressSettings,
    pub(crate) limits: Limits,
    /// Maximum number of bytes of all filters in use.
    pub(crate) max_filter_bytes: usize,
    /// Maximum number of bytes of the market that all answers in progress may hold.
    pub(crate) max_answer_bytes: usize,
    pub(crate) max_buffered_bytes: usize,
    pub(crate) max_send_buffer_bytes: usize,
    pub(crate) memory_budget: MemoryBudget,
    /// The rules for posted ticks. The next field is the time without a posted tick after which
    /// posted prices are stale.
    pub(crate) post_options: SourceOptions,
    pub(crate) stale_after: HumanDuration,
    /// The folder and the options of the tape on disk. `None` keeps the tape in memory.
    pub(crate) data: Option<(PathBuf, TapeOptions)>,
    pub(crate) log_format: LogFormat,
    /// Each setting, with its value and its origin.
    pub(crate) shown: Vec<SettingRow>,
}

/// A setting as it is displayed.
#[derive(Debug)]
pub(crate) struct SettingRow {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    /// Hash of a hidden value, to detect a change of the value.
    print: u64,
    pub(crate) origin: SettingOrigin,
}

impl SettingRow {
    /// Checks whether `other` is the same setting with a different value.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        self.key == other.key && (&self.value, self.print) != (&other.value, other.print)
    }

    /// Checks whether the value is the default.
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self.origin, SettingOrigin::Default)
    }
}

/// Minimum retention in bytes. A smaller tape is not worth keeping.
const MIN_RETENTION_BYTES: u64 = 4 << 20;

/// Origin of a value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum SettingOrigin {
    Flag,
    Environment,
    File,
    #[default]
    Default,
}

/// Reads the table `[access]` of a configuration file.
///
/// # Errors
///
/// If the file cannot be read or is not valid.
pub(crate) fn access_table(path: &Path) -> Result<AccessTable, SettingsError> {
    Ok(File::read(path)?.access.unwrap_or_default())
}

impl Settings {
    /// Merges the layers and validates the result.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, if a setting is unknown, or if a value is not valid.
    pub(crate) fn load(flags: Layer, matches: &ArgMatches) -> Result<Self, SettingsError> {
        file::check_environment(std::env::vars_os())?;
        let File {
            layer: file,
            sources: tables,
            access,
            tls: tls_table,
        } = match &flags.config {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        let mut layers = Layers {
            matches,
            shown: Vec::new(),
        };
        let listen = layers
            .pick("listen", flags.listen, file.listen, Listen::local(8080))
            .0;
        let admin = layers
            .pick("admin", flags.admin, file.admin, Listen::local(9180))
            .0;
        let data = layers.pick_data(&flags, &file)?;
        let publish_token = layers.pick_token(&flags, &file)?;
        let tls = layers.pick_tls(&flags, &file, tls_table)?;
        let admin_tls = layers.pick_admin_tls(&flags, &file)?;
        let redirect = layers.pick_redirect(flags.redirect, file.redirect, tls.is_some())?;
        layers.check_admin(&flags, &file, (admin, admin_tls.as_ref()))?;
        let (access, origins, named) = layers.pick_access(access)?;
        if let Some(token) = &publish_token
            && let Some(at) = named.iter().position(|own| own.is_same(token))
        {
            // The token would allow everything, whatever the publisher may do.
            let at = at + 1;
            return Err(SettingsError(format!(
                "access.publisher {at}: the token is the publish_token, which allows to publish everything"
            )));
        }
        let publish_tokens = publish_token.into_iter().chain(named).collect();
        // Container runtimes kill a process after ten seconds.
        let drain = layers.pick(
            "drain",
            flags.drain,
            file.drain,
            HumanDuration::from_secs(8),
        );
        let default = HubBuilder::default_lanes();
        let lanes = layers.pick("lanes", flags.lanes, file.lanes, default);
        let pin_lanes = layers.pick("pin_lanes", flags.pin_lanes, file.pin_lanes, false);
        let flush_interval = layers.pick(
            "flush_interval",
            flags.flush_interval,
            file.flush_interval,
            HubDuration::from_millis(5),
        );
        let max_lag = layers.pick(
            "max_lag",
            flags.max_lag,
            file.max_lag,
            HubDuration::from_secs(1),
        );
        let io_backend = layers.pick_word(
            "io_backend",
            flags.io_backend,
            file.io_backend,
            IoBackend::Auto,
        );
        let memory_budget = layers.pick_memory(flags.memory_budget, file.memory_budget)?;
        let available = memory_budget.bytes;
        let max_connections = layers.pick_connections(
            flags.max_connections,
            file.max_connections,
            memory::connections(available),
        )?;
        let max_prepared_streams = layers.pick(
            "max_prepared_streams",
            flags.max_prepared_streams,
            file.max_prepared_streams,
            10_000,
        );
        let addresses = layers.pick_addresses(&flags, &file)?;
        let limits = layers.pick_limits(&flags, &file, memory::fitting(available))?;
        let post_options = SourceOptions::default();
        let max_ahead = layers
            .pick(
                "max_ahead",
                flags.max_ahead,
                file.max_ahead,
                HumanDuration::new(post_options.max_ahead),
            )
            .0;
        let post_options = post_options.max_ahead(max_ahead);
        let stale_after = layers.pick(
            "stale_after",
            flags.stale_after,
            file.stale_after,
            HumanDuration::new(Publisher::DEFAULT_STALE_AFTER),
        );
        let log_format = layers.pick_word(
            "log_format",
            flags.log_format,
            file.log_format,
            LogFormat::Human,
        );
        let sources = layers.pick_sources(flags.sources, tables)?;
        if listen == admin && listen.port() != 0 {
            return Err(SettingsError(format!(
                "listen and admin cannot both be {listen}"
            )));
        }
        let shown = layers.shown;
        Ok(Self {
            listen,
            admin,
            sources,
            publish_tokens,
            tls,
            admin_tls,
            redirect,
            access,
            origins,
            drain,
            lanes,
            pin_lanes,
            flush_interval,
            max_lag,
            io_backend,
            max_connections,
            max_prepared_streams,
            addresses,
            limits,
            max_filter_bytes: memory::filter_bytes(available),
            max_answer_bytes: memory::shared_bytes(available),
            max_buffered_bytes: memory::shared_bytes(available),
            max_send_buffer_bytes: memory::send_buffers(available),
            memory_budget,
            post_options,
            stale_after,
            data,
            log_format,
            shown,
        })
    }
}

/// Returns the hash of a secret, to detect a change without showing the secret.
fn fingerprint(secret: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(secret)
}

/// The layers of the settings, while they are merged.
struct Layers<'m> {
    matches: &'m ArgMatches,
    shown: Vec<SettingRow>,
}

impl Layers<'_> {
    fn pick<T: Display>(
        &mut self,
        key: &'static str,
        flag: Option<T>,
        file: Option<T>,
        default: T,
    ) -> T {
        let (value, origin) = self
            .choose(key, flag, file)
            .unwrap_or((default, SettingOrigin::Default));
        self.show(key, value.to_string(), origin);
        value
    }

    /// Returns who may read, from pages of which origins, and the tokens of publishers with a name. Only the file can say so.
    fn pick_access(
        &mut self,
        table: Option<AccessTable>,
    ) -> Result<(AccessSettings, Origins, Vec<PublishToken>), SettingsError> {
        let origin = table
            .as_ref()
            .map_or(SettingOrigin::Default, |_| SettingOrigin::File);
        let table = table.unwrap_or_default();
        self.shown.push(SettingRow {
            key: "access",
            value: table.shown(),
            print: fingerprint(&table.secret_text()),
            origin,
        });
        let publishers = table.publish_tokens().map_err(SettingsError)?;
        let origins = table.origins().map_err(SettingsError)?;
        Ok((
            table.settings().map_err(SettingsError)?,
            origins,
            publishers,
        ))
    }

    fn pick_positive(
        &mut self,
        key: &'static str,
        flag: Option<usize>,
        file: Option<usize>,
        default: usize,
    ) -> Result<usize, SettingsError> {
        match self.pick(key, flag, file, default) {
            0 => Err(SettingsError(format!("{key} cannot be 0"))),
            value => Ok(value),
        }
    }

    /// Returns the maximum number of connections: the configured number, or the number that fits
    /// into memory. In both cases the server serves at most as many connections as the system
    /// allows.
    fn pick_connections(
        &mut self,
        flag: Option<usize>,
        file: Option<usize>,
        fitting: usize,
    ) -> Result<usize, SettingsError> {
        let key = "max_connections";
        if self.choose(key, flag, file).is_none() {
            self.show(
                key,
                format!("(the limit of the system, at most {fitting})"),
                SettingOrigin::Default,
            );
            return Ok(fitting);
        }
        self.pick_positive(key, flag, file, 0)
    }

    /// Returns the limits of the market and of the tape in memory.
    fn pick_limits(
        &mut self,
        flags: &Layer,
        file: &Layer,
        standard: Limits,
    ) -> Result<Limits, SettingsError> {
        let symbols = self.pick_positive(
            "max_symbols",
            flags.max_symbols,
            file.max_symbols,
            standard.symbols,
        )?;
        let ticks = self.pick_positive(
            "tape_ticks",
            flags.tape_ticks,
            file.tape_ticks,
            standard.tape_ticks,
        )?;
        let bytes = self.pick_positive(
            "tape_bytes",
            flags.tape_bytes,
            file.tape_bytes,
            standard.tape_bytes,
        )?;
        let candles = self.pick_positive(
            "max_candles",
            flags.max_candles,
            file.max_candles,
            standard.candles,
        )?;
        let skew = self.pick(
            "max_skew",
            flags.max_skew,
            file.max_skew,
            HumanDuration::new(standard.max_skew),
        );
        let limits = standard
            .symbols(symbols)
            .tape_ticks(ticks)
            .tape_bytes(bytes);
        Ok(limits.candles(candles).max_skew(skew.0))
    }

    /// Returns the folder and the options of the tape on disk.
    fn pick_data(
        &mut self,
        flags: &Layer,
        file: &Layer,
    ) -> Result<Option<(PathBuf, TapeOptions)>, SettingsError> {
        let folder = self.choose("data", flags.data.clone(), file.data.clone());
        let (shown, origin) = match &folder {
            Some((folder, origin)) => (folder.display().to_string(), *origin),
            None => ("(in memory)".to_owned(), SettingOrigin::Default),
        };
        self.show("data", shown, origin);
        let standard = TapeOptions::default();
        let sync = self.pick_word("sync", flags.sync, file.sync, Sync::Interval);
        let interval = self.pick(
            "sync_interval",
            flags.sync_interval,
            file.sync_interval,
            HumanDuration::from_millis(100),
        );
        let retention_bytes = self.pick(
            "retention_bytes",
            flags.retention_bytes,
            file.retention_bytes,
            standard.retention_bytes,
        );
        let retention_time =
            self.choose("retention_time", flags.retention_time, file.retention_time);
        let (shown, origin) = match &retention_time {
            Some((age, origin)) => (age.to_string(), *origin),
            None => (
                "(unlimited, within retention_bytes)".to_owned(),
                SettingOrigin::Default,
            ),
        };
        self.show("retention_time", shown, origin);
        let retention_time =
            retention_time.map_or(Age::new(standard.retention_time), |(age, _)| age);
        let forget = self.pick(
            "forget",
            flags.forget,
            file.forget,
            Age::new(standard.forget),
        );
        if interval.0.is_zero() {
            return Err(SettingsError(
                "sync_interval cannot be 0; use sync = always to sync as often as possible"
                    .to_owned(),
            ));
        }
        if retention_bytes < MIN_RETENTION_BYTES {
            return Err(SettingsError(format!(
                "retention_bytes cannot be less than {MIN_RETENTION_BYTES}, two segments of the tape"
            )));
        }
        let sync = match sync {
            Sync::Always => TapeSync::Always,
            Sync::Interval => TapeSync::Interval(interval.0),
            Sync::None => TapeSync::Never,
        };
        let options = TapeOptions::default()
            .sync(sync)
            .retention_bytes(retention_bytes)
            .retention_time(retention_time.0)
            .forget(forget.0);
        Ok(folder.map(|(folder, _)| (folder, options)))
    }

    fn pick_word<T: std::fmt::Debug>(
        &mut self,
        key: &'static str,
        flag: Option<T>,
        file: Option<T>,
        default: T,
    ) -> T {
        let (value, origin) = self
            .choose(key, flag, file)
            .unwrap_or((default, SettingOrigin::Default));
        self.show(key, format!("{value:?}").to_lowercase(), origin);
        value
    }

    fn pick_sources(
        &mut self,
        flags: Vec<String>,
        tables: Vec<SourceTable>,
    ) -> Result<Vec<SourceSpec>, SettingsError> {
        let refuse = |error: crate::source::SourceSpecError| SettingsError(error.to_string());
        let flags = (!flags.is_empty()).then_some(flags);
        let (written, specs, origin): (Vec<_>, Result<Vec<_>, _>, _) = match (flags, tables) {
            (None, tables) if !tables.is_empty() => {
                let written = tables.iter().map(SourceTable::written).collect();
                (
                    written,
                    tables.into_iter().map(SourceSpec::from_table).collect(),
                    SettingOrigin::File,
                )
            }
            (flags, _) => {
                let origin = flags
                    .as_ref()
                    .map_or(SettingOrigin::Default, |_| self.given_by("source"));
                let written = flags.unwrap_or_else(|| vec!["sim".to_owned()]);
                let specs = written.iter().map(|text| SourceSpec::parse(text)).collect();
                (written, specs, origin)
            }
        };
        let specs = specs.map_err(refuse)?;
        let mut specs: Vec<_> = specs.into_iter().flatten().collect();
        make_names_unique(&mut specs);
        written
            .into_iter()
            .for_each(|written| self.show("source", written, origin));
        Ok(specs)
    }

    fn show(&mut self, key: &'static str, value: impl Into<String>, origin: SettingOrigin) {
        self.shown.push(SettingRow {
            key,
            value: value.into(),
            print: 0,
            origin,
        });
    }

    fn choose<T>(
        &self,
        key: &'static str,
        flag: Option<T>,
        file: Option<T>,
    ) -> Option<(T, SettingOrigin)> {
        match (flag, file) {
            (Some(value), _) => Some((value, self.given_by(key))),
            (None, Some(value)) => Some((value, SettingOrigin::File)),
            (None, None) => None,
        }
    }

    fn given_by(&self, key: &str) -> SettingOrigin {
        match self
            .matches
            .try_contains_id(key)
            .ok()
            .and_then(|_| self.matches.value_source(key))
        {
            Some(ValueSource::EnvVariable) => SettingOrigin::Environment,
            _ => SettingOrigin::Flag,
        }
    }
}
