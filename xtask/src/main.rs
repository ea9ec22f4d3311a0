//! The project's tasks. `cargo xtask test` runs all checks, and `cargo xtask bench` runs all
//! measurements. `cargo xtask dist` builds the program as it is released. `cargo xtask ledger` injects
//! faults into a server and checks its guarantees.
//! `cargo xtask attack` attacks a server and measures the effect on other clients.
//! `cargo xtask fuzz` runs the parsers on inputs that are searched for. `cargo xtask race` runs tests
//! with threads under ThreadSanitizer.

mod attack;
mod bench;
mod circles;
mod fuzz;
mod ledger;
mod names;
mod profile;
mod race;
mod sources;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask test
       cargo xtask names | circles
       cargo xtask dist
       cargo xtask bench [CASE…] [--rounds N] | bench instructions | bench against REV [CASE…] [--pairs N]
       cargo xtask ledger [--runs N] [--seconds N]
       cargo xtask attack [NAME…] [timing] [--size N] [--symbols N] [--on-disk]
       cargo xtask fuzz [NAME…] [--seconds N]
       cargo xtask race [--minutes N]";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((task, [])) if task == "test" => test::run(),
        Some((task, [])) if task == "names" => {
            workspace::root().and_then(|root| names::check(&root))
        }
        Some((task, [])) if task == "circles" => {
            workspace::root().and_then(|root| circles::check(&root))
        }
        Some((task, [])) if task == "dist" => bench::dist(),
        Some((task, cases)) if task == "bench" => bench::run(cases),
        Some((task, arguments)) if task == "ledger" => ledger::run(arguments),
        Some((task, arguments)) if task == "attack" => attack::run(arguments),
        Some((task, arguments)) if task == "race" => race::run(arguments),
        Some((task, arguments)) if task == "fuzz" => fuzz::run(arguments),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
