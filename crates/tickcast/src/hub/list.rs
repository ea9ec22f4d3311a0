//! Lists the open streams for operators.

use std::cmp::Reverse;

use tokio::sync::mpsc;

use super::Hub;
use crate::lane::Command;
use crate::stats::StreamStats;

impl Hub {
    /// Returns at most `max` open streams, those of the delayed markets included: first those that
    /// have accepted nothing for the longest time. It takes some milliseconds of each lane if there
    /// are many streams, so it is for operators, not for readers.
    pub async fn streams(&self, max: usize) -> Vec<StreamStats> {
        let hubs: Vec<_> = self.markets().collect();
        let lanes: Vec<_> = hubs.iter().flat_map(Self::lanes).collect();
        let (send, mut answers) = mpsc::channel(lanes.len().max(1));
        for lane in lanes {
            lane.inbox.send(Command::List(max, send.clone()));
        }
        // A lane that has ended drops the request.
        drop(send);
        let mut streams = Vec::new();
        while let Some(listed) = answers.recv().await {
            streams.extend(listed);
        }
        streams.sort_by_key(|stream| Reverse(stream.stalled));
        streams.truncate(max);
        streams
    }
}
