//! Changes to streams that are open.

use std::sync::Arc;

use super::Hub;
use crate::lane::{Change, Command, ProposedChange};
use crate::subscription::{Edit, EditError, Effective, StreamId};

/// How often a change is worked out anew where it was outdated when it came to its lane.
const MAX_CHANGE_ATTEMPTS: usize = 8;

impl Hub {
    /// Changes what an open resumable stream is subscribed to; `None`: there is no such stream. What follows from the change is
    /// worked out here, not in the lane.
    pub(crate) async fn change(&self, id: StreamId, edit: Edit) -> Option<Result<Effective, EditError>> {
        // Held so that selecting goes on from there.
        let mut before = None;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.ask(id, None).await?;
            let (from, effective) = match current.and_then(|current| {
                let effective = edit.clone().apply(current.clone())?;
                Ok((current, effective))
            }) {
                Ok(both) => both,
                Err(error) => return Some(Err(error)),
            };
            let prepared = match self.0.prepare_wholly(effective.filter.clone()).await {
                Ok(prepared) => prepared,
                Err(refusal) => return Some(Err(EditError::Refused(refusal))),
            };
            drop(before.replace(Arc::clone(&prepared)));
            match self.ask(id, Some((from, effective, Some(prepared)))).await? {
                // Somebody else was quicker, or the market has grown by too much since.
                Err(EditError::Outdated) => {}
                answer => return Some(answer),
            }
        }
        Some(Err(EditError::Outdated))
    }

    /// Asks the lanes what a stream is subscribed to, or has them change it.
    async fn ask(
        &self,
        id: StreamId,
        change: Option<ProposedChange>,
    ) -> Option<Result<Effective, EditError>> {
        let (answer, mut answers) = tokio::sync::mpsc::channel(1);
        let asked_at = self.0.log.head();
        for lane in self.lanes() {
            let (change, answer) = (change.clone(), answer.clone());
            lane.inbox.send(Command::Change(Box::new(Change { id, change, asked_at, answer })));
        }
        drop(answer);
        // It is one lane's; the others drop the question.
        answers.recv().await
    }
}
