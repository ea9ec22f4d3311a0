//! `tickcast tape`: looks at a tape on disk, or mends it.

use anyhow::Error;
use tickcast_tape::{Findings, OpenError};

use crate::cli::TapeCommand;
use crate::exit::Failure;

pub(crate) fn run(command: &TapeCommand) -> Result<(), Failure> {
    let failed = |error| match error {
        OpenError::NoTape(_) => Failure::Usage(error.to_string()),
        error => Failure::Work(Error::new(error)),
    };
    match command {
        TapeCommand::Check { dir } => say(tickcast_tape::check(dir).map_err(failed)?),
        TapeCommand::Repair { dir } => {
            let (findings, aside) = tickcast_tape::repair(dir).map_err(failed)?;
            aside.iter().for_each(|file| println!("set aside: {}", file.display()));
            say(findings);
        }
    }
    Ok(())
}

fn say(findings: Findings) {
    let Findings { files, floor, head } = findings;
    println!("{} ticks in {files} files, {} to {}", head.get() - floor.get(), floor.next().get(), head.get());
}
