//! Files and pipes of ticks: NDJSON, a JSON array or CSV, plain, gzip or zstd.
//!
//! [`Records`] reads a file and passes each tick as JSON to a [`RecordSink`]. To publish the ticks
//! of a file, use [`Replay`](crate::replay::Replay).

mod cells;
mod layout;
mod lines;
mod table;
#[cfg(test)]
mod tests;
mod unit;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;

use tickcast::error::TickError;
use tickcast::tick::{RawTick, TickSplitter};

pub use layout::{Columns, ColumnsError, Layout};
use lines::Lines;
use table::{Beginning, Table};

/// Maximum number of bytes per read. The first non-blank character must also be within this number
/// of bytes.
const READ_CHUNK_BYTES: usize = 64 << 10;

/// Number of bytes that identify the type of a file.
const HEAD: usize = 4;

/// U+FEFF in UTF-8, which some editors and shells write at the start of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader of a file or a pipe of ticks. Passes the text of each tick to a [`RecordSink`]. The
/// first bytes determine the compression (plain, gzip or zstd) and the format (NDJSON, a JSON array
/// or CSV). Made by [`Records::open`] and [`Records::stdin`].
pub struct Records {
    name: String,
    input: Box<dyn Read + Send>,
    layout: Layout,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("name", &self.name)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

/// A receiver of the records of a file. [`Records::read`] calls its functions.
///
/// For each line that is not empty, exactly one of [`take`](Self::take) and
/// [`reject`](Self::reject) is called. The header of a CSV is not a record. To stop the reading,
/// return [`ControlFlow::Break`]. Then only `pause` is called, once more at the end.
///
/// ```no_run
/// use std::fmt::Display;
/// use std::ops::ControlFlow;
/// use tickcast::Tick;
/// use tickcast_feeds::records::{Layout, RecordSink, Records};
///
/// /// Counts the ticks of a file.
/// #[derive(Default)]
/// struct Count(u64);
///
/// impl RecordSink for Count {
///     fn take(&mut self, _: u64, text: &[u8]) -> ControlFlow<()> {
///         self.0 += u64::from(Tick::from_json(text).is_ok());
///         ControlFlow::Continue(())
///     }
///
///     fn reject(&mut self, line: u64, why: &dyn Display) -> ControlFlow<()> {
///         eprintln!("line {line}: {why}");
///         ControlFlow::Continue(())
///     }
///
///     fn warn(&mut self, line: u64, what: &str) {
///         eprintln!("line {line}: {what}");
///     }
///
///     fn pause(&mut self) -> ControlFlow<()> {
///         ControlFlow::Continue(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut count = Count::default();
/// Records::open("ticks.csv".as_ref(), Layout::default())?.read(&mut count)?;
/// # Ok(())
/// # }
/// ```
pub trait RecordSink {
    /// Accepts the text of one tick: a JSON object without a line end after it. Only its end was
    /// found: the text is not checked yet, so it may not be a tick. A row of a CSV is converted to
    /// JSON first. `line` is the number of the line, from 1; in a JSON array, it is the number of
    /// the element.
    fn take(&mut self, line: u64, text: &[u8]) -> ControlFlow<()>;

    /// Records a line that cannot be passed to `take`, and the reason: a line that is too long
    /// (more than 16 KiB), a row of a CSV that cannot be read, or an array without its end.
    fn reject(&mut self, line: u64, why: &dyn Display) -> ControlFlow<()>;

    /// Reports a fact about all the lines that follow. For example, `ignored columns: a, b` for
    /// columns of a CSV that no member of a tick can have.
    fn warn(&mut self, line: u64, what: &str);

    /// Signals that no more text is available now, and that the next text may take a long time. A
    /// sink that collects ticks should publish the collected ticks now. Called after each chunk of
    /// at most 64 KiB, and at the end.
    fn pause(&mut self) -> ControlFlow<()>;
}

/// An error that ended the reading. All earlier texts remain valid. Returned by [`Records::open`]
/// and [`Records::read`]. The message names the file, without its folder, and the line.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {}{error}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct RecordsError {
    name: String,
    /// The line; `None` if the error concerns the whole file.
    line: Option<u64>,
    error: io::Error,
}

impl Records {
    /// Opens a file. `layout` says what a CSV itself does not contain; it must be
    /// [`Layout::default`] if the file is not a CSV.
    ///
    /// # Errors
    /// If the file cannot be opened. A layout for a file that is not a CSV is an error of
    /// [`read`](Self::read).
    pub fn open(path: &Path, layout: Layout) -> Result<Self, RecordsError> {
        // The name has no folder, because anyone may read why a source failed.
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match File::open(path) {
            Ok(file) => Ok(Self {
                name,
                input: Box::new(file),
                layout,
            }),
            Err(error) => Err(RecordsError {
                name,
                line: None,
                error,
            }),
        }
    }

    /// Returns a reader of standard input. `layout` is as for [`open`](Self::open).
    #[must_use]
    pub fn stdin(layout: Layout) -> Self {
        Self {
            name: "standard input".to_owned(),
            input: Box::new(io::stdin()),
            layout,
        }
    }

    /// Passes all texts to `sink` and calls `pause` at the end, also if the file ends too early.
    /// Blocks until the end of the file, or until `sink` stops the reading, which is not an error.
    ///
    /// # Errors
    /// If the file cannot be read or decompressed, or has an unknown format. If there is a layout,
    /// but the file is not a CSV. If the header of a CSV has no usable columns.
    pub fn read(self, sink: &mut impl RecordSink) -> Result<(), RecordsError> {
        let Self {
            name,
            input,
            layout,
        } = self;
        let mut line = None;
        let result = open_text(input).and_then(|(first, input)| match first {
            None => Ok(()),
            Some(b'{' | b'[') if !layout.is_empty() => Err(invalid(
                "columns and a symbol can be set for a CSV only, but the file is JSON",
            )),
            Some(b'{') => read_json(TickSplitter::lines(), input, &mut line, sink),
            Some(b'[') => read_json(TickSplitter::json(), input, &mut line, sink),
            Some(_) => read_csv(input, &layout, &mut line, sink),
        });
        let _ = sink.pause();
        result.map_err(|error| RecordsError { name, line, error })
    }
}

/// A source of bytes.
type Input = Box<dyn BufRead + Send>;

/// Decompresses the input if necessary, and refuses input that is not text. Returns the first
/// character that is not blank.
fn open_text(input: Box<dyn Read + Send>) -> io::Result<(Option<u8>, Input)> {
    let (head, input) = peek(Box::new(BufReader::with_capacity(READ_CHUNK_BYTES, input)))?;
    let input: Input = match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(input))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(BufReader::new(zstd::Decoder::with_buffer(input)?))
        }
        _ => input,
    };
    let (head, mut input) = peek(input)?;
    match head.as_slice() {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => {
            return Err(invalid(
                "the file is a ZIP archive; unpack the archive, or compress the file with gzip or zstd",
            ));
        }
        // A byte order mark, or ASCII in UTF-16, which has a zero in each pair of bytes.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            return Err(invalid("the file is UTF-16 (expected UTF-8)"));
        }
        _ => {}
    }
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
    input.consume(head.len() - text.len());
    Ok((
        text.iter()
            .copied()
            .find(|byte| !byte.is_ascii_whitespace()),
        input,
    ))
}

/// Reads up to the first character that is not blank, and returns an input that still yields these
/// bytes.
fn peek(mut input: Input) -> io::Result<(Vec<u8>, Input)> {
    let mut head = Vec::new();
    let told = |head: &[u8]| head.len() >= HEAD && !head.trim_ascii().is_empty();
    while !told(&head) && head.len() < READ_CHUNK_BYTES {
        let bytes = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            break;
        }
        head.extend_from_slice(bytes);
        let length = bytes.len();
        input.consume(length);
    }
    let input = Cursor::new(head.clone()).chain(input);
    Ok((head, Box::new(input)))
}

fn invalid(says: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, says)
}

/// Whether the reading continues. If not, the value is the result of the reading.
type Flow = ControlFlow<io::Result<()>>;

/// The value for a sink that wants no more texts.
const ENOUGH: Flow = ControlFlow::Break(Ok(()));

/// Reads to the end, and passes each chunk of bytes to `each`.
fn read_pieces(
    mut input: impl Read,
    line: &mut Option<u64>,
    mut each: impl FnMut(&[u8], &mut Option<u64>) -> Flow,
) -> Flow {
    let mut chunk = vec![0; READ_CHUNK_BYTES];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return ControlFlow::Continue(()),
            Ok(length) => each(&chunk[..length], line)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                *line = Some(line.unwrap_or_default() + 1);
                return ControlFlow::Break(Err(error));
            }
        }
    }
}

fn read_json(
    mut items: TickSplitter,
    input: impl Read,
    line: &mut Option<u64>,
    sink: &mut impl RecordSink,
) -> io::Result<()> {
    let mut flow = ControlFlow::Continue(());
    let read = read_pieces(input, line, |bytes, line| {
        items.push_bytes(bytes, |at, item| {
            flow = give(flow, line, at + 1, item, sink);
        });
        if flow.is_break() || sink.pause().is_break() {
            ENOUGH
        } else {
            ControlFlow::Continue(())
        }
    });
    if let ControlFlow::Break(result) = read {
        return result;
    }
    items.finish(|at, item| flow = give(flow, line, at + 1, item, sink));
    Ok(())
}

/// Passes one text to the sink, unless the sink has ended the reading.
fn give(
    flow: ControlFlow<()>,
    line: &mut Option<u64>,
    number: u64,
    item: RawTick<'_>,
    sink: &mut impl RecordSink,
) -> ControlFlow<()> {
    flow?;
    *line = Some(number);
    match item {
        RawTick::Text(text) => sink.take(number, text),
        RawTick::TooLong => sink.reject(number, &TickError::TooLong),
        RawTick::Unfinished => sink.reject(number, &TickError::Unfinished),
    }
}

fn read_csv(
    input: impl Read,
    layout: &Layout,
    line: &mut Option<u64>,
    sink: &mut impl RecordSink,
) -> io::Result<()> {
    let (mut lines, mut rows) = (
        Lines::default(),
        Rows {
            layout,
            separator: None,
            table: None,
        },
    );
    let read = read_pieces(input, line, |bytes, line| {
        lines.feed(bytes, |number, item| rows.take(line, number, item, sink))?;
        if sink.pause().is_break() {
            ENOUGH
        } else {
            ControlFlow::Continue(())
        }
    });
    match read {
        ControlFlow::Break(result) => result,
        ControlFlow::Continue(()) => {
            let end = lines.finish(|number, item| rows.take(line, number, item, sink));
            end.break_value().unwrap_or(Ok(()))
        }
    }
}

/// The state of the CSV reader.
struct Rows<'l> {
    layout: &'l Layout,
    separator: Option<char>,
    table: Option<Table>,
}

impl Rows<'_> {
    /// Reads a line: the header, or a row.
    fn take(
        &mut self,
        line: &mut Option<u64>,
        number: u64,
        item: RawTick<'_>,
        sink: &mut impl RecordSink,
    ) -> Flow {
        *line = Some(number);
        let text = match item {
            RawTick::Text(text) => text,
            RawTick::TooLong | RawTick::Unfinished => {
                return sink.reject(number, &TickError::TooLong).map_break(Ok);
            }
        };
        if self.table.is_none() {
            match Table::begin(text, self.separator, self.layout) {
                Err(error) => return ControlFlow::Break(Err(invalid(error))),
                Ok(Beginning::Separator(separator)) => self.separator = Some(separator),
                Ok(Beginning::Header(table, passed)) => {
                    if !passed.is_empty() {
                        sink.warn(number, &format!("ignored columns: {}", passed.join(", ")));
                    }
                    self.table = Some(table);
                }
                Ok(Beginning::Row(table)) => {
                    return self.table.insert(table).give(number, text, sink);
                }
            }
            return ControlFlow::Continue(());
        }
        self.table
            .as_ref()
            .map_or(ControlFlow::Continue(()), |table| {
                table.give(number, text, sink)
            })
    }
}

impl Table {
    fn give(&self, number: u64, line: &[u8], sink: &mut impl RecordSink) -> Flow {
        let flow = match self.row(line) {
            Ok(json) => sink.take(number, json.as_bytes()),
            Err(error) => sink.reject(number, &error),
        };
        flow.map_break(Ok)
    }
}
