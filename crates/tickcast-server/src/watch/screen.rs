//! The drawing of the board.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::board::Board;
use super::colours::{DOWN, MUTED, UP, WARNING};
use super::columns::shortened;
use super::{keys, lines, table};
use crate::{origin, words};

pub(super) fn draw(board: &Board, now: Duration, frame: &mut Frame<'_>) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(header(board, head.width.into())), head);
    if board.connected && board.count() == 0 {
        frame.render_widget(Paragraph::new(format!(" {}", lines::NOTHING)), body);
    } else {
        frame.render_widget(table::table(board, now, body), body);
    }
    frame.render_widget(Paragraph::new(footer(board)), foot);
}

/// Returns the header. On a narrow screen the most important parts stay: the connection, then the
/// note about simulated prices, then the sources that are not live. All other parts are shown
/// completely or not at all.
fn header(board: &Board, width: usize) -> Line<'static> {
    let connection = if board.connected {
        match board.delay {
            None => Span::styled("● live", UP),
            Some(delay) => Span::styled(format!("● {}", words::delayed(delay)), WARNING),
        }
    } else if board.lost.is_empty() {
        Span::styled("○ connecting", WARNING)
    } else {
        Span::styled(
            shortened(
                &format!("○ not connected: {}; trying again", board.lost),
                width.saturating_sub(1),
            ),
            DOWN,
        )
    };
    let mut left = width.saturating_sub(1 + connection.width());
    let mut parts = vec![Span::from(" "), connection];
    let simulated = Span::styled(origin::SIMULATED, WARNING);
    let simulated =
        Some(simulated).filter(|simulated| board.simulated && simulated.width() + 2 <= left);
    let before = simulated
        .as_ref()
        .map_or(0, |simulated| simulated.width() + 2);
    let troubles = troubles(board, left.saturating_sub(before + 2));
    let lag = board
        .lag
        .filter(|_| board.connected && board.delay.is_none())
        .map(|lag| format!("lag {lag} ms"));
    let rest = [
        simulated,
        troubles,
        Some(Span::from(format!("{} symbols", board.count()))),
        Some(Span::from(format!("{:.0}/s", board.rate))),
        lag.map(Span::from),
        Some(Span::from(board.url.clone())),
    ];
    for part in rest.into_iter().flatten().filter(|part| part.width() > 0) {
        if part.width() + 2 > left {
            continue;
        }
        left -= part.width() + 2;
        parts.extend([Span::from("  "), part]);
    }
    let title = " tickcast ".bold().reversed();
    if title.width() <= left {
        parts.insert(0, title);
    }
    Line::from(parts)
}

/// Returns the sources that are not live. If they do not all fit, the text ends with the number of
/// the others.
fn troubles(board: &Board, width: usize) -> Option<Span<'static>> {
    let all: Vec<_> = board
        .troubles
        .iter()
        .map(|(source, state)| format!("{source} {state}"))
        .collect();
    let said = |shown: usize| match all.len() - shown {
        0 => all.join("  "),
        more => format!("{}  +{more}", all[..shown].join("  ")),
    };
    let fitting = (1..=all.len())
        .rev()
        .map(said)
        .find(|text| text.chars().count() <= width);
    let short = || shortened(&format!("{} sources not live", all.len()), width);
    (!all.is_empty()).then(|| Span::styled(fitting.unwrap_or_else(short), WARNING))
}

fn footer(board: &Board) -> Line<'static> {
    let order = if board.reversed { ", reversed" } else { "" };
    let help = Span::styled(
        format!(" {}  sorted by {}{order}", keys::HELP, board.sort.name()),
        MUTED,
    );
    if !board.typing && board.filter.is_empty() {
        return Line::from(help);
    }
    // The user must see the filter while typing.
    let cursor = if board.typing { "▏" } else { "" };
    Line::from(vec![
        Span::styled(
            format!(" filter: {}{cursor} ", board.filter),
            Style::new().fg(WARNING),
        ),
        help,
    ])
}
