//! The report on a batch of published ticks.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tickcast_core::{Cursor, Outcome, Rejected, Symbol, TickError};

use super::read::Read;
use crate::http::Problem;

/// Maximum number of rejections in the list. All rejections are counted.
const MAX_LISTED_REJECTIONS: usize = 100;

/// The outcome of a batch, so far or at the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Report {
    accepted: u64,
    /// Ticks that were dropped because they are older than the newest tick of their symbol.
    late: u64,
    /// Ticks that were dropped because they equal the newest tick of their symbol.
    unchanged: u64,
    rejected_count: u64,
    /// The first hundred rejections.
    rejected: Vec<Rejection>,
    /// The newest tape cursor after the whole batch was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// The number of rejected items that are not JSON.
    #[serde(skip)]
    unreadable: u64,
    /// The number of rejected items that the publisher may not publish.
    #[serde(skip)]
    forbidden: u64,
    /// The reason why the remaining ticks were not handled: they could not be stored, or the
    /// publisher sends too fast.
    #[serde(skip)]
    pub(super) stopped: Option<TickError>,
    /// The index of the first item that was not handled yet.
    #[serde(skip)]
    pub(super) next: u64,
    /// The part of the body that was handled when this report was stored.
    #[serde(skip)]
    pub(super) read: Option<Read>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Rejection {
    /// The item's index in the array, or its line number, from 0.
    index: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    error: String,
}

/// A report in the format that the log stores.
#[derive(Serialize, Deserialize)]
struct Remembered<R> {
    report: R,
    unreadable: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    forbidden: u64,
    #[serde(default)]
    read: Option<Read>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Report {
    /// Checks whether any tick was accepted.
    pub(super) const fn has_published(&self) -> bool {
        self.accepted > 0
    }

    /// Returns the report in the format that the log stores.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Serialization cannot fail: all keys are text.
        let Self {
            unreadable,
            forbidden,
            read,
            ..
        } = *self;
        serde_json::to_vec(&Remembered {
            report: self,
            unreadable,
            forbidden,
            read,
        })
        .unwrap_or_default()
    }

    /// Restores a report from the bytes of [`to_bytes`](Self::to_bytes). Items before `next` were
    /// handled.
    pub(super) fn restored(bytes: &[u8], next: u64) -> Self {
        let remembered: Option<Remembered<Self>> = serde_json::from_slice(bytes).ok();
        remembered.map_or_else(
            Self::default,
            |Remembered {
                 report,
                 unreadable,
                 forbidden,
                 read,
             }| Self {
                unreadable,
                forbidden,
                next,
                read,
                ..report
            },
        )
    }

    /// Checks whether the report can belong to a body with this length and checksum.
    pub(super) fn is_of(&self, read: Read) -> bool {
        self.read.is_none_or(|own| own == read)
    }

    pub(super) fn reject(&mut self, index: u64, rejected: &Rejected) {
        self.unreadable += u64::from(matches!(
            rejected.error,
            TickError::NotJson(_) | TickError::Unfinished
        ));
        self.forbidden += u64::from(rejected.error == TickError::NotPermitted);
        self.rejected_count += 1;
        self.next = self.next.max(index + 1);
        if self.rejected.len() < MAX_LISTED_REJECTIONS {
            let symbol = rejected.symbol.map(|symbol| symbol.to_string());
            self.rejected.push(Rejection {
                index,
                symbol,
                error: rejected.error.to_string(),
            });
        }
    }

    pub(super) fn count(
        &mut self,
        index: u64,
        symbol: Symbol,
        outcome: Result<Outcome, TickError>,
    ) {
        match outcome {
            Ok(Outcome::Accepted(_)) => self.accepted += 1,
            Ok(Outcome::Late) => self.late += 1,
            Ok(Outcome::Unchanged) => self.unchanged += 1,
            // A tick that could not be stored counts as not handled, so the client may send the
            // tick again.
            Err(error @ TickError::Storage(_)) => return self.stop(error),
            Err(error) => {
                return self.reject(
                    index,
                    &Rejected {
                        symbol: Some(symbol),
                        error,
                    },
                );
            }
        }
        self.next = self.next.max(index + 1);
    }

    /// Completes the report.
    pub(super) fn close(&mut self, cursor: Cursor, read: Read) {
        self.rejected.sort_by_key(|rejection| rejection.index);
        self.read = Some(read);
        self.cursor = Some(cursor.to_string());
    }

    /// Records why the remaining ticks are not handled. The client may send them again.
    pub(super) fn stop(&mut self, why: TickError) {
        self.stopped.get_or_insert(why);
    }

    /// Returns the answer if the remaining ticks were not handled. The ticks that were accepted
    /// before remain published.
    pub(super) fn stop_problem(&mut self) -> Option<Problem> {
        let why = self.stopped.take()?;
        Some(self.broken_off(Problem::from(why)))
    }

    /// Returns the status and a summary for a batch in which every item was rejected.
    const fn failure(&self) -> Option<(StatusCode, &'static str)> {
        match self.rejected_count {
            0 => None,
            _ if self.accepted + self.late + self.unchanged > 0 => None,
            all if all == self.unreadable => {
                Some((StatusCode::BAD_REQUEST, "no tick could be read"))
            }
            all if all == self.forbidden => Some((StatusCode::FORBIDDEN, "no tick was accepted")),
            _ => Some((StatusCode::UNPROCESSABLE_ENTITY, "no tick was accepted")),
        }
    }

    /// Returns the answer if the rest of the body did not arrive, or was not handled. The ticks
    /// that were accepted before remain published. The counts together are the number of items that
    /// were handled, from the first.
    pub(super) fn broken_off(&self, problem: Problem) -> Problem {
        problem
            .with("accepted", self.accepted)
            .with("late", self.late)
            .with("unchanged", self.unchanged)
            .with("rejected_count", self.rejected_count)
    }
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let Some((status, what)) = self.failure() else {
            return axum::Json(self).into_response();
        };
        let first = self
            .rejected
            .first()
            .map(|rejection| rejection.error.as_str())
            .unwrap_or_default();
        let problem = Problem::new(status, format!("{what}: {first}"));
        let members = serde_json::to_value(&self).unwrap_or_default();
        let members = members.as_object().into_iter().flatten();
        members
            .fold(problem, |problem, (name, value)| {
                problem.with(name, value.clone())
            })
            .into_response()
    }
}
