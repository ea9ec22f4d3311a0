//! Segments: the files of the tape.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tickcast_core::{Digest, Seq, Time};

use crate::bytes::{u32_at, u64_at};

/// Length of the header of a segment: a mark, a version, the sequence number of the first entry, a
/// checksum.
pub(crate) const HEAD: usize = 24;
const MARK: &[u8; 8] = b"TICKTAPE";
const VERSION: u32 = 2;

/// Distance between two entries of the index, in bytes.
const STRIDE: u64 = 64 << 10;

/// One file of the tape, complete or still being written.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first: Seq,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// Number of written bytes. No read goes beyond this number.
    written: AtomicU64,
    /// Number of reserved bytes. Up to this size, a full disk cannot stop a write.
    room: AtomicU64,
    /// Number of bytes that the disk has confirmed.
    pub(crate) durable: AtomicU64,
    /// Sequence number of the last written entry.
    last: AtomicU64,
    /// Index of some of the blocks, about one per stride.
    index: Mutex<Vec<Stride>>,
    /// Digest of the tape before the first entry.
    before: Digest,
    /// Whether the disk has confirmed that the file is in its folder.
    pub(crate) listed: AtomicBool,
    /// Time at which this process created or opened the segment.
    pub(crate) since: Instant,
}

/// Start of a stride: a block in the index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stride {
    first: Seq,
    pub(crate) offset: u64,
    /// Digest of the tape before the block.
    pub(crate) before: Digest,
    /// Times of the stride's ticks, once they were requested.
    span: Option<TimeRange>,
}

/// Times of the ticks of a stride, up to a byte of the file.
#[derive(Debug, Clone, Copy)]
struct TimeRange {
    end: u64,
    times: Option<(Time, Time)>,
}

/// A stride and its current end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) offset: u64,
    pub(crate) end: u64,
    /// Sequence number of the last entry.
    pub(crate) last: Seq,
    /// Earliest and latest time of the ticks. The outer `None` means not known; the inner `None`
    /// means that the stride holds no ticks.
    pub(crate) times: Option<Option<(Time, Time)>>,
}

impl Segment {
    /// Makes a segment of a file that has its name and `room` bytes already.
    pub(crate) fn of_spare(
        (file, path): (File, PathBuf),
        (first, before): (Seq, Digest),
        room: u64,
    ) -> Option<Self> {
        // If a crash loses the header, it also loses the data after it: the disk confirms them
        // together.
        if file.write_all_at(&head(first), 0).is_err() {
            let _ = std::fs::remove_file(&path);
            return None;
        }
        let segment = Self::of(path, file, (first, before));
        segment.room.store(room, Ordering::Release);
        segment.listed.store(false, Ordering::Release);
        Some(segment)
    }

    /// Creates a segment and reserves `room` bytes on the disk.
    pub(crate) fn create(
        folder: &Path,
        (first, before): (Seq, Digest),
        room: u64,
    ) -> io::Result<Self> {
        let path = path(folder, first);
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)?;
        // The header must be safe on disk now. If a crash lost the header but left blocks, the file
        // would count as damaged.
        let result = reserve(&file, room)
            .and_then(|()| file.write_all_at(&head(first), 0))
            .and_then(|()| file.sync_all());
        if let Err(error) = result {
            // An incomplete file would count as a damaged segment.
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
            listed: AtomicBool::new(true),
            since: Instant::now(),
        }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Returns the number of reserved bytes.
    pub(crate) fn room(&self) -> u64 {
        self.room.load(Ordering::Acquire)
    }

    /// Reserves space, so that the segment can grow to `room` bytes in total.
    pub(crate) fn reserve(&self, room: u64) -> io::Result<()> {
        let room = room.max(self.written());
        reserve(&self.file, room)?;
        self.room.store(room, Ordering::Release);
        Ok(())
    }

    /// Removes the bytes after `written` and the reserved ones, because the disk had no space for
    /// them.
    pub(crate) fn release_after(&self, written: u64) -> io::Result<()> {
        self.room.store(written, Ordering::Release);
        self.file.set_len(written)
    }

    /// Releases the reserved bytes that a complete segment does not use.
    pub(crate) fn release(&self) {
        if let Err(error) = self.file.set_len(self.written()) {
            tracing::warn!(%error, "the unused space of a segment cannot be released");
        }
    }

    pub(crate) fn last(&self) -> Seq {
        Seq::new(self.last.load(Ordering::Acquire))
    }

    /// Records a written block of `length` bytes with the entries `first` to `last`. `before` is
    /// the digest of the tape before the block.
    pub(crate) fn grow(&self, (first, last): (Seq, Seq), length: u64, before: Digest) {
        let offset = self.written();
        let mut index = self.index();
        if index
            .last()
            .is_none_or(|stride| offset - stride.offset >= STRIDE)
        {
            index.push(Stride {
                first,
                offset,
                before,
                span: None,
            });
        }
        drop(index);
        self.written.store(offset + length, Ordering::Release);
        self.last.store(last.get(), Ordering::Release);
    }

    /// Returns the block at which a search for the entry `seq` must start.
    pub(crate) fn find(&self, seq: Seq) -> Stride {
        let index = self.index();
        let next = index.partition_point(|stride| stride.first <= seq);
        next.checked_sub(1).map_or(self.start(), |at| index[at])
    }

    /// Returns the start of the first block.
    pub(crate) const fn start(&self) -> Stride {
        Stride {
            first: self.first,
            offset: HEAD as u64,
            before: self.before,
            span: None,
        }
    }

    /// Returns the stride that contains the entry `seq`.
    pub(crate) fn part(&self, seq: Seq) -> Part {
        // The order of these loads matters: entries that `last` counts must be included in
        // `written`.
        let (last, written) = (self.last(), self.written());
        let index = self.index();
        let next = index.partition_point(|stride| stride.first <= seq);
        let stride = next.checked_sub(1).map_or(self.start(), |at| index[at]);
        let (last, end) = index.get(next).map_or((last, written), |next| {
            (Seq::new(next.first.get() - 1), next.offset)
        });
        let times = stride
            .span
            .filter(|span| span.end == end)
            .map(|span| span.times);
        Part {
            offset: stride.offset,
            end,
            last,
            times,
        }
    }

    /// Stores the times of the ticks of a stride.
    pub(crate) fn note_times(&self, part: &Part, times: Option<(Time, Time)>) {
        let mut index = self.index();
        if let Ok(at) = index.binary_search_by_key(&part.offset, |stride| stride.offset) {
            index[at].span = Some(TimeRange {
                end: part.end,
                times,
            });
        }
    }

    fn index(&self) -> MutexGuard<'_, Vec<Stride>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the path of a segment. The file name begins with the sequence number of the first entry.
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

/// Checks the header of a file that must begin with `first`. Returns how the file's version
/// compares with this version, or a description of the damage.
pub(crate) fn check_head(bytes: &[u8], first: Seq) -> Result<std::cmp::Ordering, &'static str> {
    let Some(head) = bytes.get(..HEAD) else {
        return Err("the file has no header");
    };
    if head[..8] != *MARK || u32_at(head, 20) != crc32c::crc32c(&head[..20]) {
        return Err("the header is not the header of a tape");
    }
    if u64_at(head, 12) != first.get() {
        return Err("the file name does not match the header");
    }
    Ok(u32_at(head, 8).cmp(&VERSION))
}

/// Reserves `bytes` bytes for the file.
pub(crate) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        // Not every file system supports this. Without support, a full disk is only detected by a
        // write.
        Err(rustix::io::Errno::OPNOTSUPP) => {}
        reserved => return Ok(reserved?),
    }
    file.set_len(bytes)
}
