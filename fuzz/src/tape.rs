//! The tape on disk.

mod files;
mod footer;
mod format;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;
use tickcast_core::{
    Digest, Frame, KeyProgress, Limits, Now, Recorded, Reference, Seq, SourceId, SourceOptions,
    Symbol, Tick, Time,
};
use tickcast_tape::{Batch, Opened, Options, ReadError, Sync, encode_key, open, write_snapshot};

pub use files::tape_files;
pub use footer::tape_footer;
pub use format::{tape_segment, tape_snapshot};

/// One entry of a tape: the symbol, and the JSON of its tick, or `None` for its removal.
type TapeEntry = (Symbol, Option<Vec<u8>>);

/// Returns an empty folder, in memory if the system has a folder there.
pub(crate) fn scratch() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tickcast-fuzz-");
    let folder = builder
        .tempdir_in("/dev/shm")
        .or_else(|_| builder.tempdir());
    folder.expect("a folder can be created")
}

/// A log on disk, as the library writes it.
struct Log(Opened);

impl Log {
    fn open(folder: &Path, options: Options) -> Self {
        Self(open(folder, options, Limits::default()).expect("the tape is whole"))
    }

    /// Accepts a tick and writes its entry.
    fn publish(&mut self, tick: &Tick) {
        let now = Now {
            wall: Time::from_millis(1_782_907_300_000).unwrap_or_default(),
            ..Now::default()
        };
        let options = SourceOptions::default().allow_late(true);
        let before = self.position();
        let accepted = self
            .0
            .sequencer
            .accept(tick, SourceId::default(), options, now);
        // The time of a restored tick may be too far ahead, and a restored market may be full.
        let Ok(accepted) = accepted else { return };
        self.record(before, accepted.symbol, now.wall);
    }

    fn remove(&mut self, symbol: Symbol) {
        let before = self.position();
        if let Some(removed) = self.0.sequencer.remove(&symbol, Now::default()) {
            self.record(before, removed.symbol, Time::default());
        }
    }

    fn record(&mut self, before: (Seq, Digest), id: tickcast_core::SymbolId, now: Time) {
        let Opened {
            sequencer, writer, ..
        } = &mut self.0;
        let prev_close = sequencer.quote(id).and_then(|quote| match quote.reference {
            Reference::PrevClose(close) => Some(close),
            Reference::FirstOfDay { .. } => None,
        });
        let market = sequencer.market();
        let mut batch = Batch::default();
        batch.begin(before, now);
        batch.push(&Recorded {
            symbol: market.symbol(id),
            prev_close,
            json: market.newest(id).map(Frame::json),
        });
        let digest = sequencer.tape().digest();
        writer
            .commit(&mut batch, digest)
            .expect("the disk has room");
    }

    /// Returns the position of the newest entry, and the digest there.
    fn position(&self) -> (Seq, Digest) {
        let sequencer = &self.0.sequencer;
        (sequencer.cursor().seq(), sequencer.tape().digest())
    }

    /// Writes a snapshot of the market. Its base is an earlier position, as if the market had
    /// changed while the snapshot was written.
    fn checkpoint(&self, base: (Seq, Digest)) {
        let Opened {
            sequencer, tape, ..
        } = &self.0;
        let ids = sequencer.market().ids_from(0);
        let symbols = ids.filter_map(|id| sequencer.symbol_snapshot(id));
        let keys: Vec<_> = sequencer.keys().iter().map(encode_key).collect();
        write_snapshot(tape, base, symbols, &keys).expect("the disk has room");
    }

    /// Returns the entries on disk, and the sequence number before the first.
    fn entries(&self) -> (Seq, Vec<TapeEntry>) {
        let (start, entries, error) = self.entries_until_error();
        assert!(error.is_none(), "an opened tape is readable: {error:?}");
        (start, entries)
    }

    /// Returns the entries on disk up to the first that cannot be read, and the error.
    fn entries_until_error(&self) -> (Seq, Vec<TapeEntry>, Option<ReadError>) {
        let tape = &self.0.tape;
        let (start, mut entries) = (tape.start(), Vec::new());
        let mut at = start;
        while at < tape.head() {
            let reached = tape.read(at, |_, recorded| {
                entries.push((recorded.symbol, recorded.json.map(<[u8]>::to_vec)));
                ControlFlow::Continue(())
            });
            match reached {
                Ok(reached) => {
                    assert!(reached > at, "the tape is read to its head");
                    at = reached;
                }
                Err(error) => return (start, entries, Some(error)),
            }
        }
        (start, entries, None)
    }

    /// Returns everything that a restart must keep: the newest tick, the count and the reference of
    /// each symbol.
    fn market(&self) -> Vec<String> {
        let sequencer = &self.0.sequencer;
        let symbol = |(name, id)| {
            let frame = sequencer
                .market()
                .newest(id)
                .map(|frame| String::from_utf8_lossy(frame.json()));
            let quote = sequencer
                .quote(id)
                .map(|quote| (quote.n, quote.price.to_string(), quote.time));
            format!("{name} {frame:?} {quote:?}")
        };
        sequencer.market().names_after(None).map(symbol).collect()
    }
}

/// Returns options for a tape in a temporary folder.
fn options() -> Options {
    Options::default()
        .sync(Sync::Never)
        .retention_bytes(4 << 20)
        .forget(std::time::Duration::MAX)
}

/// A whole tape: two segments and a snapshot.
struct WholeTape {
    /// The names and the contents of the files, in order of names.
    files: Vec<(String, Vec<u8>)>,
    entries: Vec<TapeEntry>,
}

/// The snapshot is in the first segment, so that both segments are read at the start.
static WHOLE: LazyLock<WholeTape> = LazyLock::new(|| whole_tape(false));

/// The snapshot is in the second segment. The first is opened by its footer.
static BY_FOOTER: LazyLock<WholeTape> = LazyLock::new(|| whole_tape(true));

fn whole_tape(late_snapshot: bool) -> WholeTape {
    let folder = scratch();
    let tick = |text: &str| Tick::from_json(text.as_bytes()).expect("the tick is valid");
    let (mut log, mut base) = (Log::open(folder.path(), options()), None);
    for text in [
        r#"{"symbol":"AAPL","price":189.50,"time":1782907200000,"bid":189.49}"#,
        r#"{"symbol":"BTC-USD","price":64250.10,"time":1782907201000,"prev_close":64000}"#,
        r#"{"symbol":"AAPL","price":189.25,"time":1782907202000}"#,
        r#"{"symbol":"OLD","price":-1e-7,"time":1782907203000}"#,
    ] {
        log.publish(&tick(text));
        base.get_or_insert_with(|| log.position());
    }
    let base = base.expect("there are ticks");
    let progress = KeyProgress {
        key: "k-1",
        next: 4,
        done: true,
        report: b"{}",
    };
    log.0.sequencer.record_key(
        progress,
        Time::from_millis(1_782_907_203_000).unwrap_or_default(),
    );
    log.checkpoint(base);
    drop(log);
    // Without a retention time, each request for room begins a segment.
    let mut log = Log::open(
        folder.path(),
        options().retention_time(std::time::Duration::ZERO),
    );
    log.0.writer.make_room().expect("the disk has room");
    log.remove(Symbol::new("OLD").expect("the symbol is valid"));
    let late = log.position();
    log.publish(&tick(
        r#"{"symbol":"AAPL","price":190,"time":1782907204000,"prev_close":188.5}"#,
    ));
    log.publish(&tick(
        r#"{"symbol":"BTC-USD","price":64251,"time":1782907205000,"halted":false}"#,
    ));
    if late_snapshot {
        log.checkpoint(late);
    }
    let (_, entries) = log.entries();
    drop(log);
    let files = std::fs::read_dir(folder.path())
        .expect("the folder exists")
        .flatten();
    let mut files: Vec<_> = files
        .filter_map(|file| {
            let name = file
                .file_name()
                .into_string()
                .ok()
                .filter(|name| name != "lock")?;
            Some((name, std::fs::read(file.path()).ok()?))
        })
        .collect();
    files.sort();
    for (_, bytes) in files
        .iter_mut()
        .filter(|(name, _)| name.ends_with(".ticks"))
    {
        // The reserved space of a segment is much longer than its blocks.
        let written = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        bytes.truncate(written + 64);
    }
    WholeTape { files, entries }
}
