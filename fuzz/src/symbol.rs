//! Symbols.

use tickcast_core::{MAX_SYMBOL_LEN, Symbol};

/// Checks that a text is a symbol exactly if it has the length and the characters of one, and that
/// a symbol is its text.
pub fn symbol(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-/:^=&".contains(byte);
    let valid = (1..=MAX_SYMBOL_LEN).contains(&text.len()) && data.iter().all(allowed);
    let symbol = Symbol::new(text);
    assert_eq!(symbol.is_ok(), valid, "{text:?}");
    let Ok(symbol) = symbol else { return };
    assert_eq!(symbol.as_str(), text);
    assert_eq!(symbol.to_string().parse(), Ok(symbol));
    // Symbols are ordered like their texts.
    for other in ["A", "AAPL", "BTC-USD", "z"] {
        if let Ok(other) = Symbol::new(other) {
            assert_eq!(symbol.cmp(&other), text.cmp(other.as_str()));
            assert_eq!(symbol == other, text == other.as_str());
        }
    }
}
