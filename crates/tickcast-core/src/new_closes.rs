//! The previous closes that came with the ticks in memory.

use std::collections::VecDeque;

use crate::{Price, Seq};

/// The previous closes that were new with a tick, by the sequence number of the tick. They are not in
/// the entries, because every reader runs over the entries, and few ticks bring a new close. One
/// close takes about 64 bytes in addition to the bytes of the tape.
#[derive(Debug, Default)]
pub(crate) struct NewCloses(VecDeque<(Seq, Price)>);

impl NewCloses {
    /// Notes the close of the tick `seq`, and forgets those of ticks up to `before`.
    pub(crate) fn note(&mut self, (seq, close): (Seq, Price), before: Seq) {
        let forgotten = self.0.partition_point(|(of, _)| *of <= before);
        self.0.drain(..forgotten);
        self.0.push_back((seq, close));
    }

    /// Forgets the closes of ticks after `head`.
    pub(crate) fn forget_after(&mut self, head: Seq) {
        let kept = self.0.partition_point(|(of, _)| *of <= head);
        self.0.truncate(kept);
    }

    /// Returns the close of the tick `seq`, if it was new.
    pub(crate) fn of(&self, seq: Seq) -> Option<Price> {
        let at = self.0.binary_search_by_key(&seq, |(of, _)| *of).ok()?;
        Some(self.0[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_are_forgotten_with_their_ticks() {
        let close = |units| Price::from_units(units, 0).unwrap();
        let mut closes = NewCloses::default();
        closes.note((Seq::new(1), close(3)), Seq::ZERO);
        closes.note((Seq::new(4), close(5)), Seq::ZERO);
        assert_eq!(closes.of(Seq::new(1)), Some(close(3)));
        assert_eq!(closes.of(Seq::new(2)), None);
        closes.note((Seq::new(9), close(7)), Seq::new(1));
        assert_eq!(closes.of(Seq::new(1)), None);
        assert_eq!(closes.of(Seq::new(4)), Some(close(5)));
        assert_eq!(closes.of(Seq::new(9)), Some(close(7)));
        assert_eq!(closes.0.len(), 2);
    }
}
