//! Cursors and the ids of events.

use tickcast_core::{Check, Cursor, Epoch, EventId, Position, ResumeError, Seq, resume};

/// Checks cursors and ids. A cursor has one spelling: an accepted text is written again exactly as
/// it was read. The bytes are also used as the parts of a cursor, which must read back.
pub fn cursor(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check_text(text);
    }
    if let Some((parts, _)) = data.split_first_chunk::<28>() {
        check_parts(parts);
    }
}

fn check_text(text: &str) {
    let id = text.parse::<EventId>();
    let cursor = text.parse::<Cursor>();
    if let Ok(cursor) = cursor {
        assert_eq!(cursor.to_string(), text, "a cursor has one spelling");
        assert_eq!(id.map(|id| (id.cursor, id.filter)), Ok((cursor, None)));
        assert!(cursor.position.as_of >= cursor.position.seq);
    }
    // The head of the log is at a position that many cursors of the corpus have passed.
    let (epoch, head) = (Epoch::new(0xabc), Seq::new(1000));
    let resumed = resume(text, epoch, head);
    let Ok(id) = id else {
        assert_eq!(resumed, Err(ResumeError::Invalid));
        return;
    };
    assert_eq!(id.to_string(), text, "an id has one spelling");
    let mut written = Vec::new();
    id.write(&mut written);
    assert_eq!(written, text.as_bytes());
    match resumed {
        Ok(resume) => {
            assert_eq!(id.cursor.epoch, epoch);
            assert_eq!(
                (resume.position, resume.filter),
                (id.cursor.position, id.filter)
            );
            assert!(resume.position.as_of <= head);
        }
        Err(ResumeError::Epoch) => assert_ne!(id.cursor.epoch, epoch),
        Err(_) => assert!(id.cursor.epoch == epoch && id.cursor.position.as_of > head),
    }
}

/// Checks that a cursor of any parts reads back.
fn check_parts(parts: &[u8; 28]) {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&parts[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let (one, other) = (number(8), number(16));
    let check = Check::from_bits(u32::from_le_bytes([
        parts[24], parts[25], parts[26], parts[27],
    ]));
    let position = Position {
        seq: Seq::new(one.min(other)),
        as_of: Seq::new(one.max(other)),
        check,
    };
    let cursor = Cursor {
        epoch: Epoch::new(number(0)),
        position,
    };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
}
