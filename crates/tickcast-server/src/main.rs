//! The entry point of the program: runs the command that the arguments select.

mod access;
mod admin;
mod api;
mod app;
mod auth;
mod bench;
mod cli;
mod client_address;
mod config;
mod drain;
mod exit;
mod fetch_site;
mod local_host;
mod logging;
mod metrics;
mod networks;
mod open_streams;
mod origin;
mod overload;
mod page;
mod proxy_protocol;
mod publish;
mod record;
mod reload;
mod remote;
mod requested_names;
mod secret;
mod security_headers;
mod serve;
mod settings;
mod slashes;
mod source;
mod tape;
mod tls;
mod token;
mod watch;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use cli::{Cli, Command, ConfigCommand};
use exit::CliError;
use settings::Settings;

/// The memory allocator. A lane allocates and frees thousands of small buffers of many sizes in
/// every flush.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    match Cli::from_arg_matches(&matches)
        .map_err(CliError::from)
        .and_then(|cli| run(cli, &matches))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli, matches: &clap::ArgMatches) -> Result<(), CliError> {
    match cli.command {
        None => serve::run(loader(cli.serve, matches)),
        Some(Command::Serve(args)) => {
            let matches = matches.subcommand_matches("serve").unwrap_or(matches);
            serve::run(loader(args, matches))
        }
        Some(Command::Publish(args)) => publish::run(args),
        Some(Command::Record(args)) => record::run(args),
        Some(Command::Watch(args)) => watch::run(args),
        Some(Command::Bench(args)) => bench::run(args),
        Some(Command::Token(command)) => token::run(command),
        Some(Command::Tape(command)) => tape::run(&command),
        Some(Command::Config(ConfigCommand::Check(args))) => {
            config::check(args, nested(matches, "check"))
        }
        Some(Command::Config(ConfigCommand::Show(args))) => {
            config::show(args, nested(matches, "show"))
        }
        Some(Command::Completions { shell }) => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "tickcast",
                &mut std::io::stdout(),
            );
            Ok(())
        }
    }
}

/// Returns a function that loads the settings, at the start and at each reload.
fn loader(flags: cli::Layer, matches: &clap::ArgMatches) -> settings::Loader {
    let matches = matches.clone();
    Box::new(move || Settings::load(flags.clone(), &matches))
}

/// Returns the matches of `config NAME`.
fn nested<'m>(matches: &'m clap::ArgMatches, name: &str) -> &'m clap::ArgMatches {
    matches
        .subcommand_matches("config")
        .and_then(|config| config.subcommand_matches(name))
        .unwrap_or(matches)
}
