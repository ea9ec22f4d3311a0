//! The arguments of `cargo xtask bench`.

use anyhow::{Context, Result};

use super::cases::CASES;

/// The argument that counts instructions instead of measuring cases.
const INSTRUCTIONS: &str = "instructions";

/// Returns the number of rounds and the cases. `option` is the name of the argument with the
/// number, and `rounds` is the default number. If only instructions are counted, the number is
/// zero.
pub(super) fn parse(
    arguments: &[String],
    option: &str,
    mut rounds: usize,
) -> Result<(usize, Vec<&'static str>)> {
    if arguments == [INSTRUCTIONS] {
        return Ok((0, Vec::new()));
    }
    let mut selected = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == option {
            let number = arguments.next().and_then(|number| number.parse().ok());
            rounds = number
                .filter(|n| *n > 0)
                .with_context(|| format!("{option} takes a number"))?;
        } else {
            let case = CASES
                .iter()
                .find(|case| case.name.eq_ignore_ascii_case(argument));
            let names = CASES.map(|case| case.name).join(", ");
            selected.push(
                case.with_context(|| {
                    format!(
                        "case {argument:?} is unknown (expected {names}, or {INSTRUCTIONS} alone)"
                    )
                })?
                .name,
            );
        }
    }
    Ok((rounds, selected))
}
