//! Renders the payloads that bring the streams of a group to the head.

use tickcast_core::sse::render::{self, LogView, UpdateOrder};
use tickcast_core::{Replica, Seq};

use super::request::Request;
use super::{Group, GroupId, Groups, MAX_REMEMBERED, PayloadBuilder};
use crate::lane::payload::MAX_SPARE_BYTES;
use crate::lane::rendered::{MAX_PAYLOAD_BYTES, Rendered, StreamPosition};

impl Groups {
    /// Renders the next payload for a stream at `position` on its way to `until`. If `every_tick`
    /// is set, the payload holds every tick; otherwise only the newest tick of each symbol.
    pub(in crate::lane) fn render(
        &mut self,
        group: GroupId,
        position: StreamPosition,
        until: Seq,
        every_tick: bool,
        replica: &Replica,
    ) -> Rendered {
        let request = Request {
            group,
            position,
            until,
            every_tick,
            head: replica.head(),
        };
        if let Some((_, step)) = self
            .memos
            .iter()
            .rev()
            .find(|(remembered, _)| *remembered == request)
        {
            return step.clone();
        }
        let group = &self.groups[group];
        let tape = replica.tape();
        let from = match position {
            StreamPosition::Behind(from) | StreamPosition::Opening { reached: from, .. } => from,
            StreamPosition::Head | StreamPosition::Snapshot { .. } => replica.head(),
        };
        let order = UpdateOrder::is_needed(&group.selection, tape, from)
            .then(|| self.update_orders.fitting(replica));
        let step = group.step(request, (replica.market(), tape, order.as_deref()));
        if self.memos.len() == MAX_REMEMBERED {
            self.memos.pop_front();
        }
        self.memos.push_back((request, step.clone()));
        step
    }
}

impl Group {
    fn step(&self, request: Request, log: LogView<'_>) -> Rendered {
        let Request {
            position,
            until,
            every_tick,
            ..
        } = request;
        let ((market, tape, _), selection, format) = (log, &self.selection, self.format);
        let mut draft = PayloadBuilder::new();
        // The first ticks of a large selection fill the payload, which is then not copied as it grows.
        let is_first = matches!(
            position,
            StreamPosition::Opening { .. } | StreamPosition::Snapshot { .. }
        );
        let out = match is_first && selection.is_wide() {
            true => draft.bytes_of(MAX_PAYLOAD_BYTES + MAX_SPARE_BYTES),
            false => draft.bytes(),
        };
        let (ticks, position) = match position {
            StreamPosition::Head => (0, StreamPosition::Head),
            StreamPosition::Behind(from) => {
                let rendered = if every_tick {
                    render::all_ticks(
                        (market, tape),
                        selection,
                        (from, until),
                        format,
                        MAX_PAYLOAD_BYTES,
                        out,
                    )
                } else {
                    render::conflated(
                        log,
                        selection,
                        (from, until),
                        format,
                        MAX_PAYLOAD_BYTES,
                        out,
                    )
                };
                (rendered.ticks, StreamPosition::Behind(rendered.reached))
            }
            StreamPosition::Opening { at, reached } => {
                let rendered = render::initial_by_seq(
                    log,
                    selection,
                    (reached, at),
                    format,
                    MAX_PAYLOAD_BYTES,
                    out,
                );
                let reached = rendered.reached;
                let position = if reached < at {
                    StreamPosition::Opening { at, reached }
                } else {
                    StreamPosition::Behind(reached)
                };
                (rendered.ticks, position)
            }
            StreamPosition::Snapshot { at, after } => {
                let rendered = render::snapshot_by_name(
                    market,
                    selection,
                    at,
                    after,
                    format,
                    MAX_PAYLOAD_BYTES,
                    out,
                );
                let position = match rendered.reached {
                    None => StreamPosition::Behind(at),
                    after => StreamPosition::Snapshot { at, after },
                };
                (rendered.ticks, position)
            }
        };
        Rendered {
            payload: draft.finish(),
            ticks,
            position,
            progress: None,
        }
    }
}
