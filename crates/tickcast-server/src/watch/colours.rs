//! The colours of the table.

use ratatui::style::Color;

pub(super) const UP: Color = Color::Green;
pub(super) const DOWN: Color = Color::Red;
pub(super) const WARNING: Color = Color::Yellow;
pub(super) const MUTED: Color = Color::DarkGray;
