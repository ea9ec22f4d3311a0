//! The slot of a stream in its group.

slotmap::new_key_type! {
    /// The key of a group.
    pub(in crate::lane) struct GroupId;
}

/// The slot of a stream in its group.
#[derive(Debug, Clone, Copy)]
pub(in crate::lane) struct GroupSlot {
    pub(in crate::lane) group: GroupId,
    /// Index in the list of members. The type is not `usize`, to save memory: there is one slot for
    /// each stream.
    pub(super) index: u32,
    pub(super) rated: bool,
}

impl GroupSlot {
    /// Moves the slot to the place of a removed slot.
    pub(in crate::lane) const fn replace(&mut self, other: Self) {
        self.index = other.index;
    }
}
