//! The token that a command is about.

use std::io::{IsTerminal, Read};

use anyhow::Context;

use crate::exit::CliError;

/// Returns the token of the command line, or of standard input.
pub(super) fn given(token: Option<String>) -> Result<String, CliError> {
    let token = match token.filter(|token| token != "-") {
        Some(token) => token,
        None => {
            let mut input = std::io::stdin();
            if input.is_terminal() {
                eprintln!("paste the token, then press Enter and Ctrl-D");
            }
            let mut token = String::new();
            input
                .read_to_string(&mut token)
                .context("cannot read the token from standard input")?;
            token.trim().to_owned()
        }
    };
    match token.is_empty() {
        true => Err(CliError::Usage("the token is empty".to_owned())),
        false => Ok(token),
    }
}
