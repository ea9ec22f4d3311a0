//! `tickcast token`: makes and reads the tokens of readers and publishers.

mod args;
mod input;
mod show;
mod sign;

pub(crate) use args::TokenCommand;

use crate::access::check_token;
use crate::exit::CliError;
use crate::secret::SecretHash;

/// Runs the command.
pub(crate) fn run(command: TokenCommand) -> Result<(), CliError> {
    match command {
        TokenCommand::Sign(args) => sign::run(&args),
        TokenCommand::Show(args) => show::run(args),
        TokenCommand::Hash { token } => {
            let token = input::given(token)?;
            check_token(&token).map_err(CliError::Usage)?;
            println!("{}", SecretHash::of(token.as_bytes()));
            Ok(())
        }
    }
}
