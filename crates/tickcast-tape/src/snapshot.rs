//! Snapshots of the market, so that a restart need not read the whole tape.
//!
//! A record that begins with a zero byte is not a symbol but a recently published request.
//!
//! Symbols are written one after another while the market continues to change. Each symbol contains
//! the sequence number up to which it is valid. At a restart, later recorded entries update all
//! symbols to the head.
//!
//! ```text
//! "TICKMARK" │ version u32 │ base u64 │ [digest u32] │ (length u32 │ checksum u32 │ symbol)… │ 0 u32 │ checksum u32 of the count │ count u32
//! ```

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use tickcast_core::{
    Candle, Candles, Check, Digest, Frame, KeyProgress, Position, Quote, Reference, Seq, Symbol,
    SymbolSnapshot, Time,
};

use crate::archive::DiskTape;
use crate::bytes::{read_price, read_short, take, u32_at, u64_at, write_price};
use crate::data_dir::DataDir;

const MARK: &[u8; 8] = b"TICKMARK";
/// Version of the format, and the first version, which contained no digest.
const VERSION: u32 = 2;
const VERSION_1: u32 = 1;

/// Maximum number of bytes of one record: enough for a symbol with more than ten thousand candles.
const MAX_RECORD_BYTES: usize = 8 << 20;

/// Writes a snapshot and removes older snapshots. Each symbol must include at least everything up
/// to `base`; then a restart needs nothing before `base`. The snapshot only becomes valid after the
/// disk has confirmed the part of the tape that the snapshot includes.
///
/// # Errors
/// If the operating system reports an error. The last snapshot is then still present.
pub fn write(
    tape: &DiskTape,
    base: (Seq, Digest),
    snapshots: impl Iterator<Item = SymbolSnapshot>,
    keys: &[Box<[u8]>],
) -> io::Result<()> {
    if tape.segment_set().is_broken() {
        return Err(io::Error::other("the tape cannot be written any more"));
    }
    let confirm = || {
        tape.segment_set().sync();
        if tape.segment_set().is_broken() {
            Err(io::Error::other("the tape cannot be written any more"))
        } else {
            Ok(())
        }
    };
    write_to(&tape.segment_set().folder, base, snapshots, keys, confirm)?;
    tape.segment_set().begin_at(base.0);
    Ok(())
}

pub(crate) fn write_to(
    folder: &DataDir,
    base: (Seq, Digest),
    snapshots: impl Iterator<Item = SymbolSnapshot>,
    keys: &[Box<[u8]>],
    confirm: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let name = format!("{:020}.market", base.0.get());
    write_file((folder, &name), base, snapshots, keys, confirm)?;
    let older = folder.numbered("market").unwrap_or_default();
    for (_, path) in older.iter().filter(|(seq, _)| *seq < base.0) {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// Writes a snapshot to the file with this name.
pub(crate) fn write_file(
    (folder, name): (&DataDir, &str),
    (base, digest): (Seq, Digest),
    snapshots: impl Iterator<Item = SymbolSnapshot>,
    keys: &[Box<[u8]>],
    confirm: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    folder.replace(name, |file| {
        let mut out = BufWriter::new(file);
        out.write_all(MARK)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&base.get().to_le_bytes())?;
        out.write_all(&digest.to_bits().to_le_bytes())?;
        let mut bytes = Vec::new();
        let mut count = 0u32;
        let mut write = |bytes: &[u8]| {
            count += 1;
            out.write_all(&(bytes.len() as u32).to_le_bytes())?;
            out.write_all(&crc32c::crc32c(bytes).to_le_bytes())?;
            out.write_all(bytes)
        };
        for snapshot in snapshots {
            bytes.clear();
            encode(&snapshot, &mut bytes);
            write(&bytes)?;
        }
        keys.iter().try_for_each(|key| write(key))?;
        out.write_all(&0u32.to_le_bytes())?;
        out.write_all(&crc32c::crc32c(&count.to_le_bytes()).to_le_bytes())?;
        out.write_all(&count.to_le_bytes())?;
        out.flush()?;
        confirm()
    })
}

/// Returns the position of a snapshot, as its header says.
pub(crate) fn base_of(path: &Path) -> Option<Seq> {
    let mut head = [0; 20];
    File::open(path).ok()?.read_exact(&mut head).ok()?;
    Some(Seq::new(u64_at(&head, 12)))
}

/// Reads the snapshot of position `base`, record by record. Returns the digest of the tape at
/// `base`, if the snapshot contains the digest.
pub(crate) fn read(
    path: &Path,
    base: Seq,
    mut each: impl FnMut(SnapshotRecord<'_>),
) -> Result<Option<Digest>, &'static str> {
    let unreadable = |_| "the snapshot cannot be read to its end";
    let mut file = BufReader::new(File::open(path).map_err(|_| "the snapshot cannot be opened")?);
    let mut head = [0; 20];
    file.read_exact(&mut head).map_err(unreadable)?;
    let version = u32_at(&head, 8);
    if head[..8] != *MARK
        || ![VERSION, VERSION_1].contains(&version)
        || u64_at(&head, 12) != base.get()
    {
        return Err("the header is not the header of a snapshot");
    }
    let mut digest = None;
    if version == VERSION {
        let mut bits = [0; 4];
        file.read_exact(&mut bits).map_err(unreadable)?;
        digest = Some(Digest::from_bits(u32::from_le_bytes(bits)));
    }
    let mut bytes = Vec::new();
    let mut count = 0u32;
    loop {
        let mut frame = [0; 8];
        file.read_exact(&mut frame).map_err(unreadable)?;
        let (length, checksum) = (u32_at(&frame, 0) as usize, u32_at(&frame, 4));
        if length == 0 {
            let mut end = [0; 4];
            file.read_exact(&mut end).map_err(unreadable)?;
            let whole = crc32c::crc32c(&end) == checksum && u32::from_le_bytes(end) == count;
            return if whole {
                Ok(digest)
            } else {
                Err("symbols are missing")
            };
        }
        if length > MAX_RECORD_BYTES {
            return Err("a symbol's length is invalid");
        }
        bytes.resize(length, 0);
        file.read_exact(&mut bytes).map_err(unreadable)?;
        if crc32c::crc32c(&bytes) != checksum {
            return Err("a symbol's checksum is wrong");
        }
        each(
            if bytes[0] == 0 {
                decode_key(&bytes)
            } else {
                decode(&bytes, version).map(|snapshot| SnapshotRecord::Symbol(Box::new(snapshot)))
            }
            .ok_or("a symbol is invalid")?,
        );
        count += 1;
    }
}

/// One record of a snapshot.
pub(crate) enum SnapshotRecord<'a> {
    Symbol(Box<SymbolSnapshot>),
    /// Progress of a request, and the time of this progress.
    Key(KeyProgress<'a>, Time),
}

/// Encodes the record of a recently published request.
#[must_use]
pub fn encode_key((progress, at): (KeyProgress<'_>, Time)) -> Box<[u8]> {
    let KeyProgress {
        key,
        next,
        done,
        report,
    } = progress;
    let mut out = vec![0, u8::from(done)];
    out.extend_from_slice(&at.as_millis().to_le_bytes());
    out.extend_from_slice(&next.to_le_bytes());
    write_long(key.as_bytes(), &mut out);
    out.extend_from_slice(report);
    out.into()
}

fn decode_key(mut bytes: &[u8]) -> Option<SnapshotRecord<'_>> {
    let rest = &mut bytes;
    let done = take(rest, 2)?[1] != 0;
    let (at, next) = (parse_time(read_u64(rest)?)?, read_u64(rest)?);
    let key = std::str::from_utf8(read_long(rest)?).ok()?;
    Some(SnapshotRecord::Key(
        KeyProgress {
            key,
            next,
            done,
            report: bytes,
        },
        at,
    ))
}

fn encode(snapshot: &SymbolSnapshot, out: &mut Vec<u8>) {
    let SymbolSnapshot {
        symbol,
        as_of,
        updated_at,
        frame,
        quote,
        candles,
    } = snapshot;
    write_short(symbol.as_bytes(), out);
    let (kind, day) = match quote.reference {
        Reference::PrevClose(_) => (0, 0),
        Reference::FirstOfDay { day, .. } => (1u64, day),
    };
    let times = [
        quote.time.as_millis() as u64,
        quote.first_time.as_millis() as u64,
    ];
    for word in [
        as_of.get(),
        updated_at.seq.get(),
        quote.n,
        times[0],
        times[1],
        kind,
        day as u64,
    ] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&updated_at.check.to_bits().to_le_bytes());
    write_price(quote.price, out);
    write_price(quote.reference.price(), out);
    write_long(quote.extras(), out);
    write_long(frame.as_ref().map_or(&[][..], Frame::json), out);
    for (level, open, candle) in candles.bars() {
        out.push(level as u8);
        out.push(u8::from(open));
        out.extend_from_slice(&candle.time.as_millis().to_le_bytes());
        out.extend_from_slice(&candle.count.to_le_bytes());
        [candle.open, candle.high, candle.low, candle.close]
            .into_iter()
            .for_each(|price| write_price(price, out));
    }
}

fn decode(mut bytes: &[u8], version: u32) -> Option<SymbolSnapshot> {
    let rest = &mut bytes;
    let symbol = Symbol::new(std::str::from_utf8(read_short(rest)?).ok()?).ok()?;
    let [as_of, updated_seq, n, time, first_time, kind, day] =
        std::array::from_fn(|_| read_u64(rest));
    let (as_of, n, kind, day) = (Seq::new(as_of?), n?, kind?, day? as i64);
    // The first version contains no check, so a cursor at this position is never accepted as valid.
    let check = if version == VERSION {
        Check::from_bits(u32_at(take(rest, 4)?, 0))
    } else {
        Check::default()
    };
    let updated_at = Position::new(Seq::new(updated_seq?), check);
    if updated_at.seq > as_of {
        return None;
    }
    let times = (parse_time(first_time?)?, parse_time(time?)?);
    let (price, base) = (read_price(rest)?, read_price(rest)?);
    let reference = if kind == 0 {
        Reference::PrevClose(base)
    } else {
        Reference::FirstOfDay { price: base, day }
    };
    let extras = read_long(rest)?;
    let json = read_long(rest)?;
    let frame = (!json.is_empty()).then(|| Frame::restored(symbol, json));
    let quote = Quote::restored((n, price), times, reference, extras, frame.as_ref());
    let mut candles = Candles::new();
    while !rest.is_empty() {
        let (level, open, candle) = read_candle(rest)?;
        candles.restore(level, open, &candle);
    }
    Some(SymbolSnapshot {
        symbol,
        as_of,
        updated_at,
        frame,
        quote,
        candles,
    })
}

fn read_candle(rest: &mut &[u8]) -> Option<(usize, bool, Candle)> {
    let head = take(rest, 2)?;
    let time = parse_time(read_u64(rest)?)?;
    let count = read_u64(rest)?;
    let (open, high, low, close) = (
        read_price(rest)?,
        read_price(rest)?,
        read_price(rest)?,
        read_price(rest)?,
    );
    Some((
        head[0].into(),
        head[1] != 0,
        Candle {
            time,
            open,
            high,
            low,
            close,
            count,
        },
    ))
}

fn write_short(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

fn write_long(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn read_long<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32_at(take(rest, 4)?, 0) as usize;
    take(rest, length)
}

fn read_u64(rest: &mut &[u8]) -> Option<u64> {
    Some(u64_at(take(rest, 8)?, 0))
}

fn parse_time(millis: u64) -> Option<Time> {
    Time::from_millis(i64::try_from(millis).ok()?).ok()
}
