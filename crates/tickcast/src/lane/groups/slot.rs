//! A stream's place in its group.

slotmap::new_key_type! {
    /// A group's number.
    pub(in crate::lane) struct GroupId;
}

/// A stream's place in its group.
#[derive(Debug, Clone, Copy)]
pub(in crate::lane) struct GroupSlot {
    pub(in crate::lane) group: GroupId,
    /// No `usize`: there is one for each stream.
    pub(super) index: u32,
    pub(super) rated: bool,
}

impl GroupSlot {
    /// Moves to where another has left.
    pub(in crate::lane) const fn replace(&mut self, left: Self) {
        self.index = left.index;
    }
}
