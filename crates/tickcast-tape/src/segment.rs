//! Segments: the files of the tape.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tickcast_core::{Digest, Seq};

use crate::bytes::{u32_at, u64_at};
use crate::error::ReadError;
use crate::footer::Footer;
use crate::index::{FIRST_BLOCK, Index, Part, Stride};
use crate::times::Times;

/// Length of the header of a segment: a mark, a version, the sequence number of the first entry, a
/// checksum.
pub(crate) const HEAD: usize = FIRST_BLOCK as usize;
const MARK: &[u8; 8] = b"TICKTAPE";
const VERSION: u32 = 2;

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
    index: Mutex<Index>,
    /// Digest of the tape before the first entry.
    before: Digest,
    /// What the footer says, if the segment has one.
    sealed: Mutex<Option<Sealed>>,
    /// Whether a part of the segment was found to be damaged.
    damaged: AtomicBool,
    /// Whether the disk has confirmed that the file is in its folder.
    pub(crate) listed: AtomicBool,
    /// Time at which this process created or opened the segment.
    pub(crate) since: Instant,
}

/// What does not change any more in a sealed segment.
#[derive(Debug, Clone, Copy)]
struct Sealed {
    /// Digest of the tape after the last entry.
    after: Digest,
    /// Times of all ticks.
    times: Times,
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
            sealed: Mutex::default(),
            damaged: AtomicBool::new(false),
            listed: AtomicBool::new(true),
            since: Instant::now(),
        }
    }

    /// Makes a segment of a file with a footer.
    pub(crate) fn of_sealed((path, file): (PathBuf, File), footer: Footer) -> Self {
        let segment = Self::of(path, file, (footer.first, footer.before));
        segment.written.store(footer.at, Ordering::Release);
        // The disk has confirmed the entries before the footer was written.
        segment.durable.store(footer.at, Ordering::Release);
        segment.last.store(footer.last.get(), Ordering::Release);
        segment.set_sealed(footer);
        segment
    }

    /// Takes over what a footer of this segment says.
    pub(crate) fn set_sealed(&self, footer: Footer) {
        let (after, times) = (footer.after, footer.index.times());
        *self.index() = footer.index;
        *self.sealed_mut() = Some(Sealed { after, times });
    }

    /// Returns the footer of a complete segment. `after` is the digest of the tape after the last
    /// entry.
    pub(crate) fn footer(&self, after: Digest) -> Footer {
        Footer {
            first: self.first,
            last: self.last(),
            before: self.before,
            after,
            at: self.written(),
            index: self.index().clone(),
        }
    }

    /// Returns the last entry of a sealed segment, and the digest of the tape there.
    pub(crate) fn sealed_end(&self) -> Option<(Seq, Digest)> {
        let after = self.sealed_mut().as_ref()?.after;
        Some((self.last(), after))
    }

    /// Returns the times of the ticks of a sealed segment.
    pub(crate) fn sealed_times(&self) -> Option<Times> {
        self.sealed_mut().as_ref().map(|sealed| sealed.times)
    }

    fn sealed_mut(&self) -> MutexGuard<'_, Option<Sealed>> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks whether this is the index of the segment.
    pub(crate) fn has_index(&self, index: &Index) -> bool {
        *self.index() == *index
    }

    pub(crate) fn set_index(&self, index: Index) {
        *self.index() = index;
    }

    /// Notes that a part of the segment cannot be read.
    pub(crate) fn note_damage(&self, error: &ReadError) {
        if !self.damaged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                %error,
                "the tape on disk is damaged: exports and streams that need this part end with an error"
            );
        }
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Checks whether the disk has confirmed everything that is written.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.durable.load(Ordering::Relaxed) >= self.written()
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

    /// Writes the footer of a complete segment, and releases the reserved bytes that the segment does
    /// not use. `after` is the digest of the tape after the last entry. All times must be known, and the
    /// disk must have confirmed the entries: a footer says that they are there, also after a crash.
    pub(crate) fn seal(&self, after: Digest) -> io::Result<()> {
        let footer = self.footer(after);
        self.durable.fetch_max(footer.at, Ordering::Relaxed);
        let bytes = footer.encode();
        // The age of a segment is the time since its last entry.
        let modified = self.file.metadata()?.modified()?;
        self.file.write_all_at(&bytes, footer.at)?;
        self.file.set_len(footer.at + bytes.len() as u64)?;
        self.file.set_modified(modified)?;
        self.set_sealed(footer);
        Ok(())
    }

    /// Removes the footer, so that the segment can grow again.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        *self.sealed_mut() = None;
        self.release_after(self.written())
    }

    /// Releases the reserved bytes that a complete segment does not use, and what may be after its
    /// entries.
    pub(crate) fn release(&self) {
        if let Err(error) = self.file.set_len(self.written()) {
            tracing::warn!(%error, "the unused space of a segment cannot be released");
        }
    }

    pub(crate) fn last(&self) -> Seq {
        Seq::new(self.last.load(Ordering::Acquire))
    }

    /// Records a written block of `length` bytes with the entries `first` to `last`. `before` is
    /// the digest of the tape before the block. The times of its ticks may be known.
    pub(crate) fn grow(
        &self,
        (first, last): (Seq, Seq),
        length: u64,
        (before, times): (Digest, Option<Times>),
    ) {
        let offset = self.written();
        let end = offset + length;
        let mut index = self.index();
        index.add(first, offset, before);
        times
            .into_iter()
            .for_each(|times| index.add_times(times, (offset, end)));
        drop(index);
        self.written.store(end, Ordering::Release);
        self.last.store(last.get(), Ordering::Release);
    }

    /// Returns the block at which a search for the entry `seq` must start.
    pub(crate) fn find(&self, seq: Seq) -> Stride {
        self.part(seq).stride
    }

    /// Returns the stride that contains the entry `seq`.
    pub(crate) fn part(&self, seq: Seq) -> Part {
        // The order of these loads matters: entries that `last` counts must be included in
        // `written`.
        let (last, end) = (self.last(), self.written());
        let part = self.index().part(seq, (last, end));
        part.unwrap_or(Part {
            stride: Stride::new(self.first, FIRST_BLOCK, self.before),
            end,
            last,
        })
    }

    /// Returns a stride with ticks whose times are not known. The segment must be complete.
    pub(crate) fn untimed(&self) -> Option<Part> {
        self.index().untimed((self.last(), self.written()))
    }

    /// Stores the times of the ticks of a stride that were not known.
    pub(crate) fn note_times(&self, part: &Part, times: Times) {
        self.index().note_times(part, times);
    }

    /// Returns the digest of the tape before the first entry.
    pub(crate) const fn before(&self) -> Digest {
        self.before
    }

    fn index(&self) -> MutexGuard<'_, Index> {
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
