//! Numbers with their nouns.

use std::fmt::Display;

/// Returns a number with its noun: `1 tick`, `2 ticks`.
pub(crate) fn count(number: impl Display, thing: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Returns the label of prices that are so many seconds behind the market: `15 min delayed`.
pub(crate) fn delayed(seconds: u64) -> String {
    let units = [("h", 3_600), ("min", 60), ("s", 1)];
    let fits = |(_, length): &(_, u64)| seconds.is_multiple_of(*length);
    let (unit, length) = units.into_iter().find(fits).unwrap_or(units[2]);
    format!("{} {unit} delayed", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_in_the_largest_unit_that_fits() {
        assert_eq!(
            [7_200, 900, 61].map(delayed),
            ["2 h delayed", "15 min delayed", "61 s delayed"]
        );
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(
            [0, 1, 2].map(|n| count(n, "tick")),
            ["0 ticks", "1 tick", "2 ticks"]
        );
    }
}
