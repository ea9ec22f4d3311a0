//! Snapshots of the market at one cursor, shared by all answers that need one.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tickcast_core::{Cursor, Frame, Symbol};

use super::price_list::PriceList;
use super::{AnswerPermit, Busy, Cut};

/// The newest tick of each symbol, as of one cursor.
pub(crate) struct Snapshot {
    pub(crate) cursor: Cursor,
    /// The ticks, in order of symbol names.
    pub(crate) ticks: Vec<(Symbol, Frame)>,
    /// The answer with all ticks.
    whole: Mutex<WholeAnswer>,
    /// The memory permit of the ticks and of the answer. A snapshot without a permit is small.
    _room: Option<AnswerPermit>,
}

/// The answer with all ticks. It is written once, as far as anyone has asked for it.
struct WholeAnswer {
    pieces: Vec<Bytes>,
    /// The rest of the text. `None` after the last piece.
    rest: Option<PriceList>,
}

/// The reason why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSnapshot {
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Cut(#[from] Cut),
}

impl Snapshot {
    /// Makes a snapshot of ticks, which are in order of symbol names.
    pub(super) fn new(
        cursor: Cursor,
        ticks: Vec<(Symbol, Frame)>,
        room: Option<AnswerPermit>,
    ) -> Self {
        Self {
            cursor,
            ticks,
            whole: Mutex::new(WholeAnswer {
                pieces: Vec::new(),
                rest: Some(PriceList::new(cursor)),
            }),
            _room: room,
        }
    }

    /// Returns a piece of the answer with all ticks, and whether it is the last one. The first
    /// request for a piece writes it, and all others share it. Pieces are requested in order. A slow
    /// client holds a piece, which is a part of its connection, and not the snapshot.
    pub(crate) fn piece(&self, index: usize) -> (Bytes, bool) {
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if index == whole.pieces.len()
            && let Some(rest) = &mut whole.rest
        {
            rest.write(&self.ticks, usize::MAX, |_| true);
            let (piece, is_last) = rest.take_piece(&self.ticks);
            whole.pieces.push(piece);
            if is_last {
                whole.rest = None;
            }
        }
        let piece = whole.pieces.get(index).cloned().unwrap_or_default();
        let is_last = whole.rest.is_none() && index + 1 >= whole.pieces.len();
        (piece, is_last)
    }
}
