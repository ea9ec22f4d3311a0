//! What readers with the same filter are brought to the head with, piece by piece.

use tickcast_core::render::{self, LogView, UpdateOrder};
use tickcast_core::{Replica, Seq};

use super::{Draft, Group, GroupId, Groups, Piece};
use crate::lane::session::Said;
use crate::lane::stream::Place;

/// Most bytes of one piece of catching up: what a reader that stops in the middle of one can pin.
pub(in crate::lane) const LONGEST: usize = 64 << 10;

/// How many rendered pieces are remembered.
pub(super) const MEMOS: usize = 8;

/// A piece of catching up.
#[derive(Debug, Clone)]
pub(in crate::lane) struct Step {
    pub(in crate::lane) piece: Piece,
    pub(in crate::lane) ticks: usize,
    /// Where it leads.
    pub(in crate::lane) place: Place,
    /// What it says beyond ticks, to those it is said to.
    pub(in crate::lane) said: Option<Said>,
}

/// What a piece is rendered from: equal requests have equal answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    group: GroupId,
    place: Place,
    until: Seq,
    every: bool,
    head: Seq,
}

impl Groups {
    /// Renders the next piece for a reader who stands at `place` and is to be brought to `until`: every tick up to the head,
    /// or newest values only.
    pub(in crate::lane) fn render(
        &mut self,
        group: GroupId,
        place: Place,
        until: Seq,
        every: bool,
        replica: &Replica,
    ) -> Step {
        let request = Request { group, place, until, every, head: replica.head() };
        if let Some((_, step)) = self.memos.iter().rev().find(|(asked, _)| *asked == request) {
            return step.clone();
        }
        let group = &self.groups[group];
        if UpdateOrder::suits(&group.selection, replica.market()) && place != Place::Head {
            self.moves.catch_up(replica.market(), replica.tape());
        }
        let step = group.step(request, (replica.market(), replica.tape(), Some(&self.moves)));
        if self.memos.len() == MEMOS {
            self.memos.pop_front();
        }
        self.memos.push_back((request, step.clone()));
        step
    }
}

impl Group {
    fn step(&self, request: Request, log: LogView<'_>) -> Step {
        let Request { place, until, every, .. } = request;
        let ((market, tape, _), selection, dialect) = (log, &self.selection, self.dialect);
        let mut draft = Draft::new();
        let out = draft.bytes();
        let (ticks, place) = match place {
            Place::Head => (0, Place::Head),
            Place::Behind(from) => {
                let rendered = if every {
                    render::all_ticks((market, tape), selection, (from, until), dialect, LONGEST, out)
                } else {
                    render::conflated(log, selection, (from, until), dialect, LONGEST, out)
                };
                (rendered.ticks, Place::Behind(rendered.reached))
            }
            Place::Opening { at, reached } => {
                let rendered = render::initial_by_seq(log, selection, (reached, at), dialect, LONGEST, out);
                let reached = rendered.reached;
                let place =
                    if reached < at { Place::Opening { at, reached } } else { Place::Behind(reached) };
                (rendered.ticks, place)
            }
            Place::Snapshot { at, after } => {
                let rendered = render::snapshot_by_name(market, selection, at, after, dialect, LONGEST, out);
                let place = match rendered.reached {
                    None => Place::Behind(at),
                    after => Place::Snapshot { at, after },
                };
                (rendered.ticks, place)
            }
        };
        Step { piece: draft.seal(), ticks, place, said: None }
    }
}
