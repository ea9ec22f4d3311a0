//! Exports of ticks. An export is a tape position, and each request for a piece continues reading
//! from there.

use std::ops::ControlFlow;

use bytes::Bytes;
use tickcast_core::{Seq, Symbol, SymbolId, Time};

use super::tick_format::TickFormat;
use crate::answers::{AnswerPermit, Cut, PIECE_BYTES, Pull};
use crate::disk::{DiskTape, ReadError, Skipped};
use crate::hub::Hub;
use crate::workers::Work;

/// Number of entries that are read from memory before other tasks have their turn.
const ENTRIES_PER_TURN: u64 = 1024;

/// Checks whether the range includes all times.
fn is_everything((from, to): (Time, Time)) -> bool {
    from == Time::default() && to == Time::default().saturating_add(std::time::Duration::MAX)
}

/// An export in progress.
pub(super) struct Export {
    hub: Hub,
    symbol: (Symbol, SymbolId),
    range: (Time, Time),
    format: TickFormat,
    /// The log head at the time of the request, and the end of the export. An export without an end
    /// would be a stream.
    until: Seq,
    /// The current position. `None` means that nothing was read yet and that the export starts at
    /// the oldest entry of the tape.
    at: Option<Seq>,
    out: Vec<u8>,
    _place: AnswerPermit,
}

impl Export {
    pub(super) fn new(
        hub: Hub,
        symbol: (Symbol, SymbolId),
        range: (Time, Time),
        format: TickFormat,
        place: AnswerPermit,
    ) -> Self {
        let until = hub.head().1;
        Self {
            hub,
            symbol,
            range,
            format,
            until,
            at: None,
            out: Vec::new(),
            _place: place,
        }
    }

    /// Continues reading from disk, up to a large part of a megabyte or up to one piece of output.
    fn read_disk(&mut self, tape: &DiskTape) -> Result<(), Cut> {
        let begin = self.at;
        let at = begin.unwrap_or_else(|| tape.start());
        match self.read_disk_from(tape, at) {
            // The oldest entries were dropped before the export read anything. The next call starts
            // at the new beginning.
            Err(Cut::Unreadable(ReadError::Expired)) if begin.is_none() && tape.start() > at => {
                Ok(())
            }
            Err(error) => Err(error),
            Ok(reached) => {
                self.at = Some(reached);
                Ok(())
            }
        }
    }

    fn read_disk_from(&mut self, tape: &DiskTape, at: Seq) -> Result<Seq, Cut> {
        let at = match is_everything(self.range) {
            true => at,
            false => match tape.skip(at, self.range)? {
                Skipped::SoFar(reached) => return Ok(reached),
                Skipped::To(reached) if reached >= self.until => return Ok(reached),
                Skipped::To(reached) => reached,
            },
        };
        let Self {
            symbol: (symbol, _),
            range,
            format,
            until,
            out,
            ..
        } = self;
        let reached = tape.read(at, |place, recorded| {
            if recorded.symbol == *symbol
                && place.seq <= *until
                && let Some(json) = recorded.json
            {
                format.write(json, *range, out);
            }
            if out.len() < PIECE_BYTES && place.seq < *until {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        // The entries that should be at this position were never written.
        if reached == at && at < self.until {
            Err(Cut::Missing)
        } else {
            Ok(reached)
        }
    }

    /// Continues reading from memory, up to about a thousand entries or up to one piece of output.
    fn read_memory(&mut self) -> Result<(), Cut> {
        let log = self.hub.log();
        let begin = self.at;
        let from = begin.unwrap_or_else(|| log.start());
        let mut at = from;
        while at < self.until
            && at.get() - from.get() < ENTRIES_PER_TURN
            && self.out.len() < PIECE_BYTES
        {
            let Some(run) = log.run(at) else {
                if begin.is_none() && at == from {
                    // The oldest entries were dropped before the export read anything. The next
                    // call starts at the new beginning.
                    return Ok(());
                }
                return Err(Cut::Unreadable(ReadError::Expired));
            };
            for (seq, entry) in run.entries().take_while(|(seq, _)| *seq <= self.until) {
                at = seq;
                if entry.symbol == self.symbol.1
                    && let Some(frame) = entry.frame()
                {
                    self.format.write(frame.json(), self.range, &mut self.out);
                }
            }
        }
        self.at = Some(at);
        Ok(())
    }

    async fn read_on(mut self) -> Result<Self, Cut> {
        let hub = self.hub.clone();
        let Some(tape) = hub.log().archive().cloned() else {
            // Other tasks run between two reads.
            tokio::task::yield_now().await;
            return self.read_memory().map(|()| self);
        };
        hub.answers()
            .work(Work::Disk, move || self.read_disk(&tape).map(|()| self))
            .await?
    }
}

impl Pull for Export {
    async fn pull(mut self) -> Result<(Bytes, Option<Self>), Cut> {
        let symbol = self.symbol.0;
        self.out = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        loop {
            self = self.read_on().await.inspect_err(|error| {
                // A body that breaks off cannot be mistaken for a complete one.
                tracing::error!(%error, %symbol, "an export ended early");
            })?;
            let piece = |export: &mut Self| Bytes::from(std::mem::take(&mut export.out));
            if self.at >= Some(self.until) {
                return Ok((piece(&mut self), None));
            }
            if self.out.len() >= PIECE_BYTES {
                return Ok((piece(&mut self), Some(self)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;
    use tickcast_core::{Limits, Price, Tick, TickView};
    use tickcast_tape::Options;

    use super::*;
    use crate::answers;

    fn publish(hub: &Hub, count: i64) {
        for n in 0..count {
            let symbol = Symbol::new(["A", "B"][n as usize % 2]).unwrap();
            hub.try_publish(&Tick::new(symbol, Price::from_units(n, 0).unwrap()))
                .unwrap();
        }
        hub.log().wait_visible();
    }

    fn export(hub: &Hub) -> Export {
        let symbol = Symbol::new("A").unwrap();
        let id = hub.log().read(|log| log.market().id(&symbol)).unwrap();
        let all = (
            Time::default(),
            Time::default().saturating_add(Duration::MAX),
        );
        let place = hub.answers().export().unwrap();
        Export::new(hub.clone(), (symbol, id), all, TickFormat::Ndjson, place)
    }

    /// A full tape drops its oldest tick with every new tick. An export starts at the oldest tick
    /// of the tape when its first piece is read. If the tape drops ticks that the export has not
    /// reached yet, the export fails.
    #[tokio::test]
    async fn an_export_from_memory_fails_only_if_ticks_are_dropped_after_its_start() {
        let limits = Limits::default().tape_ticks(4000);
        let hub = Hub::builder().limits(limits).build();
        publish(&hub, 4000);
        let begun = export(&hub);
        publish(&hub, 1000);
        let (piece, rest) = begun.pull().await.unwrap();
        let first = TickView::read(piece.split(|b| *b == b'\n').next().unwrap())
            .unwrap()
            .n;
        assert_eq!(first, 501, "the first thousand were dropped");
        let rest = rest.unwrap();
        publish(&hub, 4000);
        assert!(matches!(
            rest.pull().await,
            Err(Cut::Unreadable(ReadError::Expired))
        ));
    }

    #[tokio::test]
    async fn a_tape_that_ends_too_early_ends_an_export_with_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::builder()
            .tape(folder.path(), Options::default())
            .build();
        publish(&hub, 10);
        // The tape looks like this if the last batch could not be written to disk.
        let broken = Export {
            until: hub.head().1.next(),
            ..export(&hub)
        };
        assert!(matches!(broken.pull().await, Err(Cut::Missing)));
        let whole = answers::body(None, export(&hub))
            .collect()
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 5);
    }
}
