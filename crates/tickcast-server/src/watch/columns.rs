//! The columns that fit on the screen, and their widths. A number is shown completely or not at
//! all.

/// The mark for a number that does not fit into its column.
pub(super) const TOO_WIDE: &str = "####";

/// Screen columns between two columns of the table.
const GAP: u16 = 1;

/// Width to which long names are shortened before a column is left out, or before a price does not
/// fit.
const NAME_LEAST: u16 = 12;

/// Width that names get first from the remaining space. At this width most names fit, with a state
/// beside them.
const NAME_USUAL: u16 = 16;

/// Width to which the change column may shrink. A longer change is not shown, so that one long
/// change does not remove the column from all rows.
const CHANGE_LEAST: u16 = 12;

/// A column of the table, in the order on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Symbol,
    Price,
    Change,
    Percent,
    Rate,
    Trend,
}

impl Column {
    /// Columns besides symbol and price, the most important first.
    const KEPT: [Self; 4] = [Self::Percent, Self::Change, Self::Rate, Self::Trend];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Price => "price",
            Self::Change => "change",
            Self::Percent => "%",
            Self::Rate => "/s",
            Self::Trend => "trend",
        }
    }

    fn least(self, natural: u16) -> u16 {
        if self == Self::Change {
            natural.min(CHANGE_LEAST)
        } else {
            natural
        }
    }
}

/// Returns the columns that fit into `width`, in order, with their widths. `natural` returns the
/// width of a column's longest text.
pub(super) fn fit(width: u16, natural: impl Fn(Column) -> u16) -> Vec<(Column, u16)> {
    let mut name = natural(Column::Symbol).min(NAME_LEAST).min(width);
    let price = natural(Column::Price).min(width.saturating_sub(name + GAP));
    let mut left = width.saturating_sub(name + GAP + price);
    let mut fitting = vec![(Column::Price, price)];
    for column in Column::KEPT {
        let needs = natural(column);
        let widths = [needs, column.least(needs)];
        if let Some(wide) = widths.into_iter().find(|wide| wide + GAP <= left) {
            left -= wide + GAP;
            fitting.push((column, wide));
        }
    }
    let mut widen = |column: Column, wide: &mut u16, most: u16| {
        let more = left.min(natural(column).min(most).saturating_sub(*wide));
        *wide += more;
        left -= more;
    };
    widen(Column::Symbol, &mut name, NAME_USUAL);
    fitting
        .iter_mut()
        .for_each(|(column, wide)| widen(*column, wide, u16::MAX));
    widen(Column::Symbol, &mut name, u16::MAX);
    fitting.push((Column::Symbol, name));
    fitting.sort_unstable();
    fitting
}

/// Returns the number, or a mark if the number is too wide.
pub(super) fn whole(number: String, width: u16) -> String {
    if number.len() <= usize::from(width) {
        number
    } else {
        TOO_WIDE[..TOO_WIDE.len().min(width.into())].to_owned()
    }
}

/// Returns the name, or its beginning with an ellipsis.
pub(super) fn shortened(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    let kept = name.chars().take(width.saturating_sub(1));
    kept.chain((width > 0).then_some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the widths of the columns; `natural` is in the order of [`Column`].
    fn fitting(width: u16, natural: [u16; 6]) -> Vec<(Column, u16)> {
        fit(width, |column| natural[column as usize])
    }

    #[test]
    fn columns_are_left_out_by_priority() {
        use Column::{Change, Percent, Price, Rate, Symbol, Trend};
        let natural = [7, 11, 9, 7, 5, 24];
        let shown = |width| {
            fitting(width, natural)
                .into_iter()
                .map(|(column, _)| column)
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(80), [Symbol, Price, Change, Percent, Rate, Trend]);
        assert_eq!(shown(67), [Symbol, Price, Change, Percent, Rate]);
        assert_eq!(shown(42), [Symbol, Price, Change, Percent]);
        assert_eq!(shown(30), [Symbol, Price, Percent]);
        assert_eq!(shown(20), [Symbol, Price]);
    }

    #[test]
    fn names_are_shortened_before_prices_and_get_the_remaining_space() {
        assert_eq!(
            fitting(46, [32, 33, 33, 8, 5, 24]),
            [(Column::Symbol, 12), (Column::Price, 33)]
        );
        assert_eq!(
            fitting(36, [32, 33, 33, 8, 5, 24]),
            [(Column::Symbol, 12), (Column::Price, 23)]
        );
        assert_eq!(
            fitting(60, [32, 10, 8, 60, 60, 60])[0],
            (Column::Symbol, 32)
        );
        let long_change = fitting(50, [7, 12, 33, 8, 5, 24]);
        assert!(
            long_change.contains(&(Column::Change, 14)),
            "{long_change:?}"
        );
    }

    #[test]
    fn nothing_is_cut_silently() {
        assert_eq!(whole("12345".to_owned(), 5), "12345");
        assert_eq!(whole("12345".to_owned(), 4), "####");
        assert_eq!(whole("12345".to_owned(), 2), "##");
        assert_eq!(
            (shortened("ABCDEF", 6), shortened("ABCDEF", 4)),
            ("ABCDEF".to_owned(), "ABC…".to_owned())
        );
    }
}
