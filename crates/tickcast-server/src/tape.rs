//! `tickcast tape`: checks or repairs a tape on disk.

use anyhow::Error;
use tickcast_tape::{CheckReport, OpenError};

use crate::cli::TapeCommand;
use crate::exit::CliError;

pub(crate) fn run(command: &TapeCommand) -> Result<(), CliError> {
    let failed = |error| match error {
        OpenError::NoTape(_) => CliError::Usage(error.to_string()),
        error => CliError::Work(Error::new(error)),
    };
    match command {
        TapeCommand::Check { dir } => print_report(tickcast_tape::check(dir).map_err(failed)?),
        TapeCommand::Repair { dir } => {
            let (findings, aside) = tickcast_tape::repair(dir).map_err(failed)?;
            aside
                .iter()
                .for_each(|file| println!("set aside: {}", file.display()));
            print_report(findings);
        }
    }
    Ok(())
}

fn print_report(findings: CheckReport) {
    let CheckReport {
        files,
        without_footer,
        start: floor,
        head,
    } = findings;
    println!(
        "{} ticks in {files} files, {} to {}",
        head.get() - floor.get(),
        floor.next().get(),
        head.get()
    );
    if without_footer > 0 {
        println!(
            "{without_footer} complete files have no footer: the next start reads them, and writes their footers"
        );
    }
}
