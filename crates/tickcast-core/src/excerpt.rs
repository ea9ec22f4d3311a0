//! Short excerpts of external text, safe to show in an error.

/// Returns the start of `text`, safe to show in an error: printable ASCII, at most 24 characters of
/// `text`.
pub(crate) fn excerpt(text: &str) -> String {
    const EXCERPT_CHARS: usize = 24;
    let mut shown: String = text
        .chars()
        .take(EXCERPT_CHARS)
        .flat_map(char::escape_default)
        .collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push_str("...");
    }
    shown
}
