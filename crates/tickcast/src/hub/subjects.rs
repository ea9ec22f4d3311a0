//! Counts the open streams of each subject.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of open streams of each subject that has any.
#[derive(Debug, Default)]
pub(crate) struct Subjects(Mutex<HashMap<Arc<str>, u32>>);

/// One open stream of a subject. The stream counts until this value is dropped.
#[derive(Debug)]
pub(crate) struct SubjectPermit {
    subjects: Arc<Subjects>,
    subject: Arc<str>,
}

impl Subjects {
    /// Counts one more stream of a subject, unless the subject already has `max` streams.
    pub(crate) fn admit(self: &Arc<Self>, subject: Arc<str>, max: u32) -> Option<SubjectPermit> {
        let mut open = self.lock();
        let count = open.get(&subject).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        open.insert(Arc::clone(&subject), count + 1);
        Some(SubjectPermit {
            subjects: Arc::clone(self),
            subject,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SubjectPermit {
    fn drop(&mut self) {
        let mut open = self.subjects.lock();
        if let Some(count) = open.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_so_many_streams_and_no_entry_without_any() {
        let subjects = Arc::new(Subjects::default());
        let open = |subject: &str| subjects.admit(subject.into(), 2);
        let (first, second) = (open("a").unwrap(), open("a").unwrap());
        assert!(open("a").is_none());
        let other = open("b").unwrap();
        drop(first);
        let third = open("a").unwrap();
        assert!(open("a").is_none());
        drop((second, third, other));
        assert!(subjects.lock().is_empty());
        assert!(subjects.admit("a".into(), 0).is_none());
    }
}
