//! One file of the tape.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tickcast_core::{Digest, Seq, Time};

use crate::bytes::{u32_at, u64_at};

/// What every file begins with: a mark, a version, the place of its first entry, a checksum.
pub(crate) const HEAD: usize = 24;
const MARK: &[u8; 8] = b"TICKTAPE";
const VERSION: u32 = 2;

/// A place in the file is remembered every so many bytes.
const STRIDE: u64 = 64 << 10;

/// One file of the tape, being written or complete.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first: Seq,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// How many bytes are written; nobody reads beyond.
    written: AtomicU64,
    /// How many can be written, whatever happens to the disk.
    room: AtomicU64,
    /// How many the disk has confirmed.
    pub(crate) durable: AtomicU64,
    /// The place of the last entry written.
    last: AtomicU64,
    /// Some of the blocks.
    index: Mutex<Vec<Stride>>,
    /// What the tape looks like before its first entry.
    before: Digest,
    /// When this process began with it.
    pub(crate) since: Instant,
}

/// Where in a file a block begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stride {
    first: Seq,
    pub(crate) offset: u64,
    /// What the tape looks like before it.
    pub(crate) before: Digest,
    /// The times of its ticks, once someone has asked.
    span: Option<TimeRange>,
}

/// The times of a stride's ticks, up to some byte of the file.
#[derive(Debug, Clone, Copy)]
struct TimeRange {
    end: u64,
    times: Option<(Time, Time)>,
}

/// A stride up to where it ends by now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) offset: u64,
    pub(crate) end: u64,
    /// The place of its last entry.
    pub(crate) last: Seq,
    /// The earliest and the latest time of its ticks, none where it holds none; `None` where that is not known.
    pub(crate) times: Option<Option<(Time, Time)>>,
}

impl Segment {
    /// Makes a new one, with room for `room` bytes that nothing can take away.
    pub(crate) fn create(folder: &Path, (first, before): (Seq, Digest), room: u64) -> io::Result<Self> {
        let path = path(folder, first);
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        // A head that a crash took, and blocks that it left, would be damage.
        let made = reserve(&file, room)
            .and_then(|()| file.write_all_at(&head(first), 0))
            .and_then(|()| file.sync_all());
        if let Err(error) = made {
            // What was made of it would be taken for a damaged one.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let segment = Self::of(path, file, (first, before));
        segment.room.store(room, Ordering::Release);
        Ok(segment)
    }

    pub(crate) fn of(path: PathBuf, file: File, (first, before): (Seq, Digest)) -> Self {
        let last = first.get() - 1;
        Self {
            first,
            path,
            file,
            written: AtomicU64::new(HEAD as u64),
            room: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            last: AtomicU64::new(last),
            index: Mutex::default(),
            before,
            since: Instant::now(),
        }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// How many can be written, whatever happens to the disk.
    pub(crate) fn room(&self) -> u64 {
        self.room.load(Ordering::Acquire)
    }

    /// Sees to it that so many bytes in all can be written.
    pub(crate) fn reserve(&self, room: u64) -> io::Result<()> {
        let room = room.max(self.written());
        reserve(&self.file, room)?;
        self.room.store(room, Ordering::Release);
        Ok(())
    }

    pub(crate) fn last(&self) -> Seq {
        Seq::new(self.last.load(Ordering::Acquire))
    }

    /// A block of so many bytes, from `first` to `last`, stands at the end of a tape that looked like `before`.
    pub(crate) fn grow(&self, (first, last): (Seq, Seq), length: u64, before: Digest) {
        let offset = self.written();
        let mut index = self.index();
        if index.last().is_none_or(|known| offset - known.offset >= STRIDE) {
            index.push(Stride { first, offset, before, span: None });
        }
        drop(index);
        self.written.store(offset + length, Ordering::Release);
        self.last.store(last.get(), Ordering::Release);
    }

    /// Where to begin to read for the entry `seq`.
    pub(crate) fn find(&self, seq: Seq) -> Stride {
        let index = self.index();
        let behind = index.partition_point(|known| known.first <= seq);
        behind.checked_sub(1).map_or(self.start(), |at| index[at])
    }

    /// Where its first block begins.
    pub(crate) const fn start(&self) -> Stride {
        Stride { first: self.first, offset: HEAD as u64, before: self.before, span: None }
    }

    /// The stride that holds the entry `seq`.
    pub(crate) fn part(&self, seq: Seq) -> Part {
        // In this order: what is counted as there has been written.
        let (last, written) = (self.last(), self.written());
        let index = self.index();
        let behind = index.partition_point(|known| known.first <= seq);
        let stride = behind.checked_sub(1).map_or(self.start(), |at| index[at]);
        let (last, end) =
            index.get(behind).map_or((last, written), |next| (Seq::new(next.first.get() - 1), next.offset));
        let times = stride.span.filter(|span| span.end == end).map(|span| span.times);
        Part { offset: stride.offset, end, last, times }
    }

    /// Remembers the times of a stride's ticks.
    pub(crate) fn note_times(&self, part: &Part, times: Option<(Time, Time)>) {
        let mut index = self.index();
        if let Ok(at) = index.binary_search_by_key(&part.offset, |known| known.offset) {
            index[at].span = Some(TimeRange { end: part.end, times });
        }
    }

    fn index(&self) -> MutexGuard<'_, Vec<Stride>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file's name begins with the place of its first entry.
pub(crate) fn path(folder: &Path, first: Seq) -> PathBuf {
    folder.join(format!("{:020}.ticks", first.get()))
}

fn head(first: Seq) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MARK);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&first.get().to_le_bytes());
    let checksum = crc32c::crc32c(&head[..20]);
    head[20..].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// What is wrong with the head of a file that should begin with `first`, else whether its version is this one.
pub(crate) fn check_head(bytes: &[u8], first: Seq) -> Result<std::cmp::Ordering, &'static str> {
    let Some(head) = bytes.get(..HEAD) else { return Err("it has no head") };
    if head[..8] != *MARK || u32_at(head, 20) != crc32c::crc32c(&head[..20]) {
        return Err("its head is not that of a tape");
    }
    if u64_at(head, 12) != first.get() {
        return Err("its name is not its own");
    }
    Ok(u32_at(head, 8).cmp(&VERSION))
}

/// Sees to it that so many bytes can be written.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        // Not every file system can; then a full disk is noticed when writing.
        Err(rustix::io::Errno::OPNOTSUPP) => {}
        reserved => return Ok(reserved?),
    }
    file.set_len(bytes)
}
