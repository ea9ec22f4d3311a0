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

    /// Returns the close of the tick `seq`, if it was new.
    pub(crate) fn of(&self, seq: Seq) -> Option<Price> {
        let at = self.0.binary_search_by_key(&seq, |(of, _)| *of).ok()?;
        Some(self.0[at].1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Epoch, Limits, Now, Sequencer, SourceId, SourceOptions, Tick, Time};

    #[test]
    fn a_close_is_new_once_and_is_forgotten_with_its_tick() {
        let limits = Limits::default().tape_ticks(4);
        let mut log = Sequencer::new(Epoch::new(1), limits);
        let mut publish = |text: &str| {
            let tick = Tick::from_json(text.as_bytes()).unwrap();
            let (options, uptime) = (SourceOptions::default(), Duration::ZERO);
            let wall = Time::from_millis(1_782_907_200_000).unwrap();
            let now = Now { wall, uptime };
            let accepted = log.accept(&tick, SourceId(0), options, now).unwrap();
            let seq = accepted.seq().unwrap();
            (
                log.new_close(seq).map(|close| close.to_string()),
                log.new_closes().0.len(),
            )
        };
        let new = |close: &str, held| (Some(close.to_owned()), held);
        assert_eq!(
            publish(r#"{"symbol":"A","price":1,"prev_close":3}"#),
            new("3", 1)
        );
        assert_eq!(
            publish(r#"{"symbol":"A","price":2,"prev_close":3}"#),
            (None, 1)
        );
        assert_eq!(publish(r#"{"symbol":"A","price":3}"#), (None, 1));
        assert_eq!(
            publish(r#"{"symbol":"A","price":4,"prev_close":5}"#),
            new("5", 2)
        );
        assert_eq!(
            publish(r#"{"symbol":"B","price":4,"prev_close":5}"#),
            new("5", 2)
        );
    }
}
