//! Scan of all files of a tape, which checks them and restores the log. Sealed segments before the
//! newest snapshot are not read, only their footers.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tickcast_core::{Digest, Restore, Seq};

use crate::block::Block;
use crate::data_dir::{DataDir, LastRun};
use crate::error::OpenError;
use crate::footer::{Footer, is_remnant};
use crate::seal_thread::{Backlog, Complete};
use crate::segment::{HEAD, Segment, check_head};
use crate::start::{Settings, begin};
use crate::torn::{cut, drop_later, is_torn, lost_with};
use crate::walk::Walk;

/// Result of a scan.
pub(crate) struct Scan {
    pub(crate) segments: VecDeque<Arc<Segment>>,
    pub(crate) restore: Restore,
    /// Sequence number of the snapshot that the scan started with.
    pub(crate) base: Seq,
    /// Whether an older version wrote the newest segment.
    pub(crate) older: bool,
    /// What is left to do for the thread that seals segments.
    pub(crate) backlog: Backlog,
}

/// How much a scan reads and changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Opens segments by their footers, and removes data that a crash has cut off.
    Open,
    /// Reads everything and changes nothing.
    Check,
}

/// Restores the log from all files.
pub(crate) fn scan(
    folder: &DataDir,
    settings: Settings,
    last_run: LastRun,
    mode: Mode,
) -> Result<Scan, OpenError> {
    let change = mode == Mode::Open;
    let scan =
        |by_footers| Scanner::new(folder, settings, last_run, (by_footers, change))?.scan_files();
    match scan(change) {
        // A footer that does not match its segment must not stop the start.
        Err(OpenError::Damaged { file, why, .. }) if change => {
            tracing::warn!(file = %file.display(), "the tape cannot be opened by its footers ({why}); every block is read");
            scan(false)
        }
        result => result,
    }
}

/// A scan in progress.
struct Scanner<'f> {
    folder: &'f DataDir,
    last_run: LastRun,
    by_footers: bool,
    change: bool,
    files: Vec<(Seq, PathBuf)>,
    walk: Walk,
    /// Sequence number of the last entry so far.
    head: Seq,
    older: bool,
    segments: VecDeque<Arc<Segment>>,
    backlog: Backlog,
}

impl<'f> Scanner<'f> {
    fn new(
        folder: &'f DataDir,
        settings: Settings,
        last_run: LastRun,
        (by_footers, change): (bool, bool),
    ) -> Result<Self, OpenError> {
        let files = folder.numbered("ticks")?;
        let oldest = files
            .first()
            .map_or(Seq::ZERO, |(first, _)| Seq::new(first.get() - 1));
        let (restore, snapshot_digest) = begin(folder, settings, oldest)?;
        Ok(Self {
            folder,
            last_run,
            by_footers,
            change,
            files,
            walk: Walk {
                base: restore.head(),
                restore,
                snapshot_digest,
                digest: None,
            },
            head: oldest,
            older: false,
            segments: VecDeque::new(),
            backlog: Backlog::default(),
        })
    }

    fn scan_files(mut self) -> Result<Scan, OpenError> {
        for at in 0..self.files.len() {
            if self.scan_file(at)?.is_break() {
                break;
            }
        }
        self.check_end()?;
        self.reopen_newest()?;
        Ok(Scan {
            segments: self.segments,
            base: self.walk.base,
            restore: self.walk.restore,
            older: self.older,
            backlog: self.backlog,
        })
    }

    /// Adds the segment in a file. Breaks if the tape ends with it, or before it.
    fn scan_file(&mut self, at: usize) -> Result<ControlFlow<()>, OpenError> {
        let (first, path) = self.files[at].clone();
        if first != self.head.next() {
            let why = "the files before this file are missing or end at another position";
            return self.end_before(at, why);
        }
        let file = File::options()
            .read(true)
            .write(self.change)
            .open(&path)
            .map_err(OpenError::io(&path))?;
        let footer = self.footer(at, &file);
        if let Some(footer) = &footer
            && self.add_sealed((&path, &file), footer)?
        {
            return Ok(ControlFlow::Continue(()));
        }
        let mut bytes = Vec::new();
        (&file)
            .read_to_end(&mut bytes)
            .map_err(OpenError::io(&path))?;
        // The creation of the file was interrupted: nothing was ever written to the file.
        if self.is_newest(at) && bytes.iter().all(|b| *b == 0) {
            if self.change {
                tracing::warn!(file = %path.display(), "the creation of a segment was interrupted; the segment will be created again");
                std::fs::remove_file(&path).map_err(OpenError::io(&path))?;
            }
            return Ok(ControlFlow::Continue(()));
        }
        match check_head(&bytes, first) {
            Ok(Ordering::Greater) => return Err(OpenError::Newer(path)),
            Ok(version) => self.older = version.is_lt(),
            Err(why) => return self.end_before(at, why),
        }
        self.read_segment(at, file, &bytes, footer)
    }

    const fn is_newest(&self, at: usize) -> bool {
        at + 1 == self.files.len()
    }

    /// Returns the footer of a segment. The newest segment needs none: it goes on.
    fn footer(&self, at: usize, file: &File) -> Option<Footer> {
        if self.is_newest(at) {
            return None;
        }
        let (first, path) = &self.files[at];
        let footer = match Footer::read(file) {
            Ok(Some(footer)) if footer.first != *first => Err("it is of another segment"),
            read => read,
        };
        footer.unwrap_or_else(|why| {
            tracing::warn!(file = %path.display(), "the footer of a segment is damaged ({why}); the whole segment is read");
            None
        })
    }

    /// Adds a segment by its footer, if the newest snapshot includes its entries. Returns whether it
    /// was added.
    fn add_sealed(
        &mut self,
        (path, file): (&Path, &File),
        footer: &Footer,
    ) -> Result<bool, OpenError> {
        let mut head = [0; HEAD];
        // Requests that were published after the last entry may not be in the snapshot.
        let is_included = self.by_footers && footer.last < self.walk.base;
        let continues = self
            .walk
            .digest
            .is_none_or(|digest| digest == footer.before);
        if !is_included || !continues || file.read_exact_at(&mut head, 0).is_err() {
            return Ok(false);
        }
        if check_head(&head, footer.first) != Ok(Ordering::Equal) {
            return Ok(false);
        }
        let file = file.try_clone().map_err(OpenError::io(path))?;
        let segment = Segment::of_sealed((path.to_owned(), file), footer.clone());
        (self.head, self.older) = (footer.last, false);
        self.walk.digest = Some(footer.after);
        self.segments.push_back(Arc::new(segment));
        self.backlog
            .unverified
            .extend(self.segments.back().cloned());
        Ok(true)
    }

    /// Reads a segment block by block, and adds it. Breaks if a crash cut off its end.
    fn read_segment(
        &mut self,
        at: usize,
        file: File,
        bytes: &[u8],
        footer: Option<Footer>,
    ) -> Result<ControlFlow<()>, OpenError> {
        let (first, path) = self.files[at].clone();
        let later = &self.files[at + 1..];
        let known = self.walk.digest.or_else(|| first_stamp(bytes));
        let segment = Segment::of(path.clone(), file, (first, known.unwrap_or_default()));
        let end = footer
            .as_ref()
            .map_or(bytes.len(), |footer| footer.at as usize);
        let fault = self.walk.read_segment(&bytes[..end], &segment);
        self.head = segment.last();
        let (written, after) = (segment.written(), self.walk.digest.unwrap_or_default());
        let segment = Arc::new(segment);
        self.segments.push_back(Arc::clone(&segment));
        let is_complete = later
            .first()
            .is_some_and(|(next, _)| *next == self.head.next());
        let Some(why) =
            fault.filter(|_| !(is_complete && is_remnant(&bytes[written as usize..end])))
        else {
            self.add_complete(at, (segment, after), footer);
            return Ok(ControlFlow::Continue(()));
        };
        let alone =
            later.is_empty() || (self.last_run == LastRun::Crashed && lost_with(later, self.head)?);
        if !alone || !is_torn(&bytes[written as usize..], self.head, self.last_run) {
            return Err(OpenError::Damaged {
                file: path,
                offset: written,
                why,
            });
        }
        if self.change {
            cut(&segment, written, why).map_err(OpenError::io(&path))?;
        }
        drop_later(later, self.change)?;
        Ok(ControlFlow::Break(()))
    }

    /// Takes over the footer of a segment that was read. If there is none that matches, the segment
    /// is left to be sealed.
    fn add_complete(&mut self, at: usize, complete: Complete, footer: Option<Footer>) {
        let (segment, after) = &complete;
        let own = segment.footer(*after);
        match footer {
            Some(footer) if footer == own => segment.set_sealed(footer),
            None if self.is_newest(at) || self.older => {}
            footer => {
                if footer.is_some() {
                    tracing::warn!(file = %segment.path.display(), "the footer of a segment does not match the segment; the footer is not used");
                }
                self.backlog.complete.push_back(complete);
            }
        }
    }

    /// Makes the newest segment one that goes on. It was complete if a crash lost what followed.
    fn reopen_newest(&mut self) -> Result<(), OpenError> {
        let Some(newest) = self.segments.back_mut() else {
            return Ok(());
        };
        let complete = &mut self.backlog.complete;
        complete.pop_back_if(|(segment, _)| Arc::ptr_eq(segment, newest));
        if self.change {
            if let Some(segment) = Arc::get_mut(newest) {
                segment.reopen()
            } else {
                newest.release_after(newest.written())
            }
            .map_err(OpenError::io(&newest.path))?;
        }
        Ok(())
    }

    /// Ends the tape before a file, if a crash of the system can have lost the data before the file,
    /// or its first page. Otherwise the file is damaged.
    fn end_before(&self, at: usize, why: &'static str) -> Result<ControlFlow<()>, OpenError> {
        let files = &self.files[at..];
        if self.last_run == LastRun::Crashed && lost_with(files, self.head)? {
            drop_later(files, self.change)?;
            return Ok(ControlFlow::Break(()));
        }
        let file = self.files[at].1.clone();
        Err(OpenError::Damaged {
            file,
            offset: 0,
            why,
        })
    }

    /// Checks that the tape ends where the last run and the snapshot say.
    fn check_end(&self) -> Result<(), OpenError> {
        if let LastRun::Closed(seq) = self.last_run
            && seq != self.head
            && let Some(last) = self.segments.back()
        {
            let why =
                "the tape does not end at the position that was recorded when the tape was closed";
            return Err(OpenError::Damaged {
                file: last.path.clone(),
                offset: last.written(),
                why,
            });
        }
        let Walk { base, restore, .. } = &self.walk;
        // A symbol that includes later entries than the tape has would lose as many new ones.
        if restore.head() != self.head || restore.latest_snapshot() > self.head {
            let file = self.folder.path.join(format!("{:020}.market", base.get()));
            return Err(OpenError::Damaged {
                file,
                offset: 0,
                why: "the tape ends before the snapshot of the market",
            });
        }
        Ok(())
    }
}

/// Returns the digest of the tape before a segment, if the first block contains this digest.
pub(crate) fn first_stamp(bytes: &[u8]) -> Option<Digest> {
    let (block, _) = Block::read(bytes.get(HEAD..)?).ok()?;
    block.stamp.map(|stamp| stamp.before)
}
