//! How the board is drawn.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table};

use super::board::{Board, FLASH, Row};
use super::{keys, lines};

const UP: Color = Color::Green;
const DOWN: Color = Color::Red;
const MUTED: Color = Color::DarkGray;

/// Levels of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Narrower than this there is no room for sparklines.
const ROOMY: u16 = 90;

pub(super) fn draw(board: &Board, now: Duration, frame: &mut Frame<'_>) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(header(board)), head);
    if board.connected && board.count() == 0 {
        frame.render_widget(Paragraph::new(format!(" {}", lines::NOTHING)), body);
    } else {
        frame.render_widget(table(board, now, body), body);
    }
    frame.render_widget(Paragraph::new(footer(board)), foot);
}

fn header(board: &Board) -> Line<'_> {
    let state = if board.connected {
        Span::styled("● live", UP)
    } else if board.lost.is_empty() {
        Span::styled("○ connecting", Color::Yellow)
    } else {
        Span::styled(format!("○ lost: {}; trying again", board.lost), DOWN)
    };
    let mut parts = vec![
        " tickcast ".bold().reversed(),
        " ".into(),
        state,
        format!("  {}  {} symbols  {:.0}/s", board.url, board.count(), board.rate).into(),
    ];
    if let Some(lag) = board.lag.filter(|_| board.connected) {
        parts.push(format!("  lag {lag} ms").into());
    }
    parts.extend(
        board
            .troubles
            .iter()
            .map(|(source, state)| Span::styled(format!("  {source} {state}"), Color::Yellow)),
    );
    Line::from(parts)
}

fn footer(board: &Board) -> Line<'_> {
    let order = if board.reversed { ", reversed" } else { "" };
    let mut parts: Vec<Span<'_>> =
        vec![Span::styled(format!(" {}  sorted by {}{order}", keys::HELP, board.sort.name()), MUTED)];
    if board.typing || !board.filter.is_empty() {
        let cursor = if board.typing { "▏" } else { "" };
        parts.push(Span::styled(format!("  filter: {}{cursor}", board.filter), Color::Yellow));
    }
    Line::from(parts)
}

fn table(board: &Board, now: Duration, area: Rect) -> Table<'static> {
    let roomy = area.width >= ROOMY;
    // One line is the heading.
    let height = usize::from(area.height.saturating_sub(1));
    let rows = board.shown().into_iter().skip(board.top).take(height).map(|row| cells(row, now, roomy));
    let mut widths = vec![
        Constraint::Min(12),
        Constraint::Length(18),
        Constraint::Length(14),
        Constraint::Length(10),
        Constraint::Length(7),
    ];
    let mut heading: Vec<Line<'static>> =
        vec![Line::from("symbol"), right("price"), right("change"), right("%"), right("/s")];
    if roomy {
        widths.push(Constraint::Length(24));
        heading.push(Line::from("last 24 s"));
    }
    Table::new(rows, widths).header(TableRow::new(heading).style(Style::new().fg(MUTED))).column_spacing(1)
}

fn cells(row: &Row, now: Duration, roomy: bool) -> TableRow<'static> {
    let moved = row.moved.filter(|(at, _)| now.saturating_sub(*at) < FLASH).map(|(_, up)| up);
    let (mark, flash) = match moved {
        Some(true) => ("▲", Style::new().fg(UP).add_modifier(Modifier::BOLD)),
        Some(false) => ("▼", Style::new().fg(DOWN).add_modifier(Modifier::BOLD)),
        None => (" ", Style::new()),
    };
    let change = lines::signed(&row.change);
    let side = match change.as_bytes().first() {
        Some(b'+') => Style::new().fg(UP),
        Some(b'-') => Style::new().fg(DOWN),
        _ => Style::new(),
    };
    let percent = row.change_pct.map(|pct| lines::signed(&pct)).unwrap_or_default();
    let name =
        if row.state.is_empty() { row.symbol.to_string() } else { format!("{} {}", row.symbol, row.state) };
    let mut cells = vec![
        Cell::from(name),
        Cell::from(right(format!("{mark} {}", row.price))).style(flash),
        Cell::from(right(change)).style(side),
        Cell::from(right(percent)).style(side),
        Cell::from(right(format!("{:.1}", row.rate))).style(Style::new().fg(MUTED)),
    ];
    if roomy {
        cells.push(Cell::from(sparkline(row)).style(side));
    }
    let dimmed = if row.state.is_empty() { Style::new() } else { Style::new().add_modifier(Modifier::DIM) };
    TableRow::new(cells).style(dimmed)
}

fn sparkline(row: &Row) -> String {
    let shown = row.history.iter().skip(row.history.len().saturating_sub(24));
    let (low, high) =
        shown.clone().fold((f64::MAX, f64::MIN), |(low, high), price| (low.min(*price), high.max(*price)));
    let level = |price: &f64| {
        let share = if high > low { (price - low) / (high - low) } else { 0.0 };
        BARS[((share * 7.0).round() as usize).min(7)]
    };
    shown.map(level).collect()
}

fn right(text: impl Into<String>) -> Line<'static> {
    Line::from(text.into()).right_aligned()
}
