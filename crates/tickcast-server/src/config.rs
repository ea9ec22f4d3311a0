//! `tickcast config`: shows or checks the settings without starting a server.

use clap::ArgMatches;

use crate::cli::Layer;
use crate::exit::CliError;
use crate::settings::{SettingOrigin, SettingRow, Settings};

/// Runs `tickcast config check`.
pub(crate) fn check(flags: Layer, matches: &ArgMatches) -> Result<(), CliError> {
    Settings::load(flags, matches)?;
    Ok(())
}

/// Runs `tickcast config show`.
pub(crate) fn show(flags: Layer, matches: &ArgMatches) -> Result<(), CliError> {
    let settings = Settings::load(flags, matches)?;
    for SettingRow {
        key, value, origin, ..
    } in settings.shown
    {
        let origin = match origin {
            SettingOrigin::Flag => "flag",
            SettingOrigin::Environment => "environment",
            SettingOrigin::File => "file",
            SettingOrigin::Default => "default",
        };
        println!("{key:<18} {value:<32} # {origin}");
    }
    Ok(())
}
