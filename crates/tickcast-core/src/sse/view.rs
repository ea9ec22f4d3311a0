//! Parser for the JSON of an encoded tick.

use crate::{Price, Symbol, Time};

/// The fields of a tick's JSON, as written. Returned by [`TickView::read`]. Only the JSON of a
/// [`Frame`](crate::Frame) that this crate encoded can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickView<'a> {
    /// The symbol.
    pub symbol: Symbol,
    /// The price, a decimal.
    pub price: &'a str,
    /// The change, a decimal.
    pub change: &'a str,
    /// The change in percent, a decimal. `None` if there is no reference other than zero.
    pub change_pct: Option<&'a str>,
    /// The time at which the tick happened.
    pub time: Time,
    /// Number of the tick among the ticks of its symbol, counted without gaps.
    pub n: u64,
    /// The extras, as the tail of a JSON object: `,"bid":1.5`.
    pub extras: &'a [u8],
}

impl<'a> TickView<'a> {
    /// Reads the JSON of a tick, or returns `None` for any other JSON.
    #[must_use]
    pub fn read(json: &'a [u8]) -> Option<Self> {
        let mut rest = json.strip_prefix(b"{\"symbol\":\"")?;
        let symbol = Symbol::new(take(&mut rest, b'"')?).ok()?;
        rest = rest.strip_prefix(b"\",\"price\":")?;
        let price = number(&mut rest)?;
        rest = rest.strip_prefix(b",\"change\":")?;
        let change = number(&mut rest)?;
        let change_pct = match rest.strip_prefix(b",\"change_pct\":") {
            Some(tail) => {
                rest = tail;
                Some(number(&mut rest)?)
            }
            None => None,
        };
        rest = rest.strip_prefix(b",\"time\":")?;
        let time = Time::from_millis(number(&mut rest)?.parse().ok()?).ok()?;
        rest = rest.strip_prefix(b",\"n\":")?;
        let n = number(&mut rest)?.parse().ok()?;
        let extras = rest.strip_suffix(b"}")?;
        (extras.is_empty() || extras[0] == b',').then_some(Self {
            symbol,
            price,
            change,
            change_pct,
            time,
            n,
            extras,
        })
    }

    /// Returns the price, the change, and the change in percent if there is a reference. Returns
    /// `None` if the price or the change is not a decimal.
    #[must_use]
    pub fn amounts(&self) -> Option<(Price, Price, Option<Price>)> {
        let amount = |text: &str| Price::read_back(text).ok();
        Some((
            amount(self.price)?,
            amount(self.change)?,
            self.change_pct.and_then(amount),
        ))
    }
}

/// Returns the text before `end`. `end` itself stays in `rest`.
fn take<'a>(rest: &mut &'a [u8], end: u8) -> Option<&'a str> {
    let at = memchr::memchr(end, rest)?;
    let (text, tail) = rest.split_at(at);
    *rest = tail;
    std::str::from_utf8(text).ok()
}

/// Returns the text before the next comma or brace.
fn number<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let at = memchr::memchr2(b',', b'}', rest)?;
    let (text, tail) = rest.split_at(at);
    *rest = tail;
    std::str::from_utf8(text)
        .ok()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_field_is_read_as_written() {
        let json = br#"{"symbol":"A","price":0.10,"change":-1,"change_pct":2.5,"time":7,"n":3,"note":"a,}","bid":1}"#;
        let view = TickView::read(json).unwrap();
        assert_eq!(
            (view.symbol.as_str(), view.price, view.change),
            ("A", "0.10", "-1")
        );
        assert_eq!(
            (view.change_pct, view.time.as_millis(), view.n),
            (Some("2.5"), 7, 3)
        );
        assert_eq!(view.extras, br#","note":"a,}","bid":1"#);
        let short =
            TickView::read(br#"{"symbol":"A","price":0.10,"change":-1,"time":7,"n":3}"#).unwrap();
        assert_eq!((short.change_pct, short.extras), (None, &b""[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled_without_a_panic(bytes: Vec<u8>, cut in 0usize..80) {
            let _ = TickView::read(&bytes);
            let json = br#"{"symbol":"A","price":0.10,"change":-1,"change_pct":2.5,"time":7,"n":3,"bid":1}"#;
            prop_assert_eq!(TickView::read(&json[..json.len().min(cut)]).is_some(), cut >= json.len());
        }
    }
}
