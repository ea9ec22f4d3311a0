//! Numbers with their nouns.

use std::fmt::Display;

/// Returns a number with its noun: `1 tick`, `2 ticks`.
pub(crate) fn count(number: impl Display, thing: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(
            [0, 1, 2].map(|n| count(n, "tick")),
            ["0 ticks", "1 tick", "2 ticks"]
        );
    }
}
