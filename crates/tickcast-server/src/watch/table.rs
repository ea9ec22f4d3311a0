//! The table of the board.

use std::time::Duration;

use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Row as TableRow, Table};

use super::board::Board;
use super::colours::{DOWN, MUTED, UP, WARNING};
use super::columns::{Column, fit, shortened, whole};
use super::lines;
use super::row::Row;

/// Levels of a sparkline. The next constant is the number of prices in a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const TREND: u16 = 24;

/// Width of the sign of a move before a price.
const MARK: u16 = 2;

/// The text instead of a missing price. The next constant is used if this text does not fit.
const UNPRICED: &str = "no price yet";
const UNPRICED_SHORT: &str = "—";

/// The sign of a state, if the word of the state does not fit beside the name.
const STATE_SIGN: &str = "!";

/// Minimum number of characters of a name beside the word of a state. A shorter name is complete.
const NAME_BESIDE_STATE: usize = 8;

/// The texts in the row of one symbol.
struct Texts<'a> {
    row: &'a Row,
    state: &'a str,
    price: String,
    change: String,
    percent: String,
    rate: String,
}

impl<'a> Texts<'a> {
    fn of(row: &'a Row, state: &'a str) -> Self {
        let quote = row.quote.as_ref();
        Self {
            row,
            state,
            price: quote.map_or_else(String::new, |quote| quote.price.to_string()),
            change: quote.map_or_else(String::new, |quote| lines::signed(&quote.change)),
            percent: quote
                .and_then(|quote| quote.change_pct)
                .map_or_else(String::new, percentage),
            rate: quote.map_or_else(String::new, |_| format!("{:.1}", row.rate)),
        }
    }

    /// Returns the width that a column needs to show its text completely.
    fn needs(&self, column: Column) -> u16 {
        let length = match column {
            Column::Symbol => {
                self.row.symbol.as_str().len()
                    + self.state.len()
                    + usize::from(!self.state.is_empty())
            }
            Column::Price if self.row.quote.is_none() => UNPRICED.len(),
            Column::Price => self.price.len() + usize::from(MARK),
            Column::Change => self.change.len(),
            Column::Percent => self.percent.len(),
            Column::Rate => self.rate.len(),
            Column::Trend => usize::from(TREND),
        };
        u16::try_from(length.max(column.title().len())).unwrap_or(u16::MAX)
    }
}

/// Returns the visible rows. The columns are as wide as their texts.
pub(super) fn table(board: &Board, now: Duration, area: Rect) -> Table<'static> {
    // One line is the heading.
    let height = usize::from(area.height.saturating_sub(1));
    let in_sight = board.shown().into_iter().skip(board.top).take(height);
    let texts: Vec<_> = in_sight
        .map(|row| Texts::of(row, board.state(&row.symbol)))
        .collect();
    let columns = fit(area.width, |column| {
        texts
            .iter()
            .map(|each| each.needs(column))
            .max()
            .unwrap_or(column.title().len() as u16)
    });
    let heading = columns
        .iter()
        .map(|(column, _)| aligned(*column, Line::from(column.title())));
    let rows = texts.iter().map(|each| {
        let cells = columns
            .iter()
            .map(|(column, width)| aligned(*column, cell(each, *column, *width, now)));
        let doubtful = !board.connected || !each.state.is_empty() || each.row.quote.is_none();
        TableRow::new(cells).style(if doubtful {
            Style::new().add_modifier(Modifier::DIM)
        } else {
            Style::new()
        })
    });
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
    Table::new(rows, widths)
        .header(TableRow::new(heading).style(Style::new().fg(MUTED)))
        .column_spacing(1)
}

fn aligned(column: Column, line: Line<'static>) -> Line<'static> {
    if matches!(column, Column::Symbol | Column::Trend) {
        line
    } else {
        line.right_aligned()
    }
}

fn cell(texts: &Texts<'_>, column: Column, width: u16, now: Duration) -> Line<'static> {
    // A symbol that is not live has no colour, because such a symbol must not look live.
    let side = match texts.change.as_bytes().first() {
        Some(b'+') if texts.state.is_empty() => Style::new().fg(UP),
        Some(b'-') if texts.state.is_empty() => Style::new().fg(DOWN),
        _ => Style::new(),
    };
    match column {
        Column::Symbol => name(texts.row.symbol.as_str(), texts.state, width.into()),
        Column::Price => price(texts, width, now),
        Column::Change => Line::styled(whole(texts.change.clone(), width), side),
        Column::Percent => Line::styled(whole(texts.percent.clone(), width), side),
        Column::Rate => Line::styled(whole(texts.rate.clone(), width), Style::new().fg(MUTED)),
        Column::Trend => Line::styled(sparkline(texts.row), side),
    }
}

fn name(name: &str, state: &str, width: usize) -> Line<'static> {
    if state.is_empty() {
        return Line::from(shortened(name, width));
    }
    let fits = name.len().min(NAME_BESIDE_STATE) + 1 + state.len() <= width;
    let state = if fits { state } else { STATE_SIGN };
    let name = shortened(name, width.saturating_sub(1 + state.len()));
    Line::from(vec![
        Span::from(name),
        Span::from(" "),
        Span::styled(state.to_owned(), WARNING),
    ])
}

fn price(texts: &Texts<'_>, width: u16, now: Duration) -> Line<'static> {
    if texts.row.quote.is_none() {
        let fits = UNPRICED.len() <= usize::from(width);
        return Line::from(if fits { UNPRICED } else { UNPRICED_SHORT });
    }
    let bold = |color: Color| Style::new().fg(color).add_modifier(Modifier::BOLD);
    let (mark, style) = match texts.row.moved(now) {
        Some(true) => ("▲ ", bold(UP)),
        Some(false) => ("▼ ", bold(DOWN)),
        None => ("", Style::new()),
    };
    let room = width.saturating_sub(MARK);
    if texts.price.len() > usize::from(room) {
        // If only the sign does not fit, the number is shown without the sign.
        return Line::styled(whole(texts.price.clone(), width), style);
    }
    Line::styled(format!("{mark}{}", texts.price), style)
}

/// Formats a percentage with a sign and two digits after the decimal point, as the dashboard does.
/// People compare percentages by eye.
fn percentage(percent: tickcast::Price) -> String {
    let text = format!("{:+.2}", percent.to_f64());
    if text.trim_start_matches(['+', '-']) == "0.00" {
        "0.00".to_owned()
    } else {
        text
    }
}

fn sparkline(row: &Row) -> String {
    let (low, high) = row
        .history
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), price| {
            (low.min(*price), high.max(*price))
        });
    let level = |price: &f64| {
        let share = if high > low {
            (price - low) / (high - low)
        } else {
            0.0
        };
        BARS[((share * 7.0).round() as usize).min(7)]
    };
    row.history.iter().map(level).collect()
}
