//! `attack` starts the server for each attack and measures the effect on other clients. `timing` measures
//! whether the time of an answer tells what a reader may not know.

mod health;
mod others;
mod run;
mod server;
mod timing;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use attack::{ATTACKS, Attack};

use run::{Outcome, Plan};

const TABLE_HEAD: &str = "\
| attack | /healthz worst | others' p99 before/during | memory before/peak/after | rest within | verdict | attackers were answered |
|---|---|---|---|---|---|---|";

fn main() -> ExitCode {
    match run_attacks(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("attack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The arguments of the command.
#[derive(Default)]
struct Options {
    program: PathBuf,
    attacks: Vec<&'static Attack>,
    timing: bool,
    size: Option<usize>,
    symbols: Option<usize>,
    on_disk: bool,
}

fn run_attacks(arguments: &[String]) -> Result<()> {
    let options = parse(arguments)?;
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    if options.timing {
        timing::run(&options.program)?;
    }
    if options.attacks.is_empty() {
        return Ok(());
    }
    println!("{TABLE_HEAD}");
    let mut failed = Vec::new();
    for attack in &options.attacks {
        let symbols = options.symbols.unwrap_or(attack.market.symbols);
        let plan = Plan {
            program: &options.program,
            attack,
            size: options.size.unwrap_or(attack.size),
            market: attack.market.with_symbols(symbols),
            on_disk: options.on_disk,
        };
        let line = match run::run(&plan) {
            Ok(outcome) => {
                if !outcome.faults().is_empty() {
                    failed.push(attack.name);
                }
                line(&outcome)
            }
            Err(error) => {
                failed.push(attack.name);
                format!("– | – | – | – | **failed**: {error:#} | –")
            }
        };
        println!("| {} × {} | {line} |", plan.size, attack.name);
    }
    if !failed.is_empty() {
        bail!("the server did not withstand {}", failed.join(", "));
    }
    Ok(())
}

/// Returns the result of an attack, as the rest of its table row.
fn line(outcome: &Outcome) -> String {
    let ms = |time: std::time::Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let [before, peak, after] = outcome.memory.map(|bytes| bytes >> 20);
    let faults = outcome.faults();
    let verdict = if faults.is_empty() {
        "held".to_owned()
    } else {
        format!("**failed**: {}", faults.join("; "))
    };
    let cells = [
        ms(outcome.healthz),
        format!("{} / {}", ms(outcome.before.p99), ms(outcome.during.p99)),
        format!("{before} / {peak} / {after} MB of {}", outcome.bound >> 20),
        outcome.rest.as_ref().map_or_else(
            |_| "–".to_owned(),
            |time| format!("{:.1} s", time.as_secs_f64()),
        ),
        verdict,
        outcome.answers.clone(),
    ];
    cells.join(" | ")
}

fn parse(arguments: &[String]) -> Result<Options> {
    let mut options = Options {
        program: "target/dist/tickcast".into(),
        ..Options::default()
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .with_context(|| format!("{argument} takes a value"))
        };
        match argument.as_str() {
            "--program" => options.program = value()?.into(),
            "--size" => options.size = Some(number(argument, value()?)?),
            "--symbols" => options.symbols = Some(number(argument, value()?)?),
            "--on-disk" => options.on_disk = true,
            "timing" => options.timing = true,
            name => {
                let attack = ATTACKS.iter().find(|attack| attack.name == name);
                options.attacks.push(attack.with_context(|| unknown(name))?);
            }
        }
    }
    if options.attacks.is_empty() && !options.timing {
        options.attacks = ATTACKS.iter().collect();
    }
    Ok(options)
}

fn number(name: &str, value: &str) -> Result<usize> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.with_context(|| format!("{name} takes a number"))
}

fn unknown(name: &str) -> String {
    let mut text = format!(
        "attack {name:?} is unknown; expected --size N, --symbols N, --on-disk, timing, or an attack:"
    );
    for attack in &ATTACKS {
        text.push_str(&format!(
            "\n  {:9} {} {}",
            attack.name, attack.size, attack.what
        ));
    }
    text
}
