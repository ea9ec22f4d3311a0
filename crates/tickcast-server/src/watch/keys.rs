//! The keys of `tickcast watch`.

use std::ops::ControlFlow;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::board::Board;

/// Number of rows per page.
const ROWS_PER_PAGE: isize = 20;

/// The help text about the keys on the screen.
pub(super) const HELP: &str = "q quit  s sort  r reverse  / filter  ↑↓ scroll";

/// Handles an input. A break ends the program.
pub(super) fn handle_key(board: &mut Board, input: &Event) -> ControlFlow<()> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind,
        ..
    }) = *input
    else {
        return ControlFlow::Continue(());
    };
    if kind == KeyEventKind::Release {
        return ControlFlow::Continue(());
    }
    if code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL) {
        return ControlFlow::Break(());
    }
    if board.typing {
        edit(board, code);
        return ControlFlow::Continue(());
    }
    match code {
        KeyCode::Char('q') => return ControlFlow::Break(()),
        KeyCode::Char('s') => board.sort_next(),
        KeyCode::Char('r') => board.reversed = !board.reversed,
        KeyCode::Char('/') => board.typing = true,
        KeyCode::Esc => board.filter.clear(),
        KeyCode::Down | KeyCode::Char('j') => board.scroll(1),
        KeyCode::Up | KeyCode::Char('k') => board.scroll(-1),
        KeyCode::PageDown => board.scroll(ROWS_PER_PAGE),
        KeyCode::PageUp => board.scroll(-ROWS_PER_PAGE),
        KeyCode::Home => board.top = 0,
        KeyCode::End => board.scroll(isize::MAX),
        _ => {}
    }
    ControlFlow::Continue(())
}

fn edit(board: &mut Board, code: KeyCode) {
    board.top = 0;
    match code {
        KeyCode::Char(c) => board.filter.push(c),
        KeyCode::Backspace => {
            board.filter.pop();
        }
        KeyCode::Esc => {
            board.filter.clear();
            board.typing = false;
        }
        KeyCode::Enter => board.typing = false,
        _ => {}
    }
}
