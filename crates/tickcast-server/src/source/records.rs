//! Files and pipes of ticks: NDJSON, a JSON array or CSV, plain, gzip or zstd.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use tickcast::{Item, Items};

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// Ticks' texts, read from a file or a pipe one by one. Compression and format are told by the first bytes.
pub(crate) struct Records {
    name: String,
    input: Box<dyn Read + Send>,
}

/// Who the texts are given to. Either may break the reading off.
pub(crate) trait Taker {
    /// One text, as JSON, with the number of its line, from 1.
    fn take(&mut self, line: u64, item: Item<'_>) -> ControlFlow<()>;

    /// Nothing more is at hand: the next text may be long in coming.
    fn pause(&mut self) -> ControlFlow<()>;
}

/// Reading broke off. What came before stands.
#[derive(Debug, thiserror::Error)]
#[error("{name}: line {line}: {error}")]
pub(crate) struct RecordsError {
    name: String,
    line: u64,
    error: io::Error,
}

impl Records {
    pub(crate) fn open(path: &Path) -> Result<Self, RecordsError> {
        // Without its folder: anyone may read how a source failed.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match File::open(path) {
            Ok(file) => Ok(Self { name, input: Box::new(file) }),
            Err(error) => Err(RecordsError { name, line: 1, error }),
        }
    }

    pub(crate) fn stdin() -> Self {
        Self { name: "standard input".to_owned(), input: Box::new(io::stdin()) }
    }

    /// Gives all texts to `taker`, and pauses at the end, also where that comes too early.
    pub(crate) fn read(self, taker: &mut impl Taker) -> Result<(), RecordsError> {
        let mut line = 1;
        let result = decompress(self.input).and_then(|mut input| match first_byte(&mut input)? {
            Some(b'{') => read_json(Items::lines(), input, &mut line, taker),
            Some(b'[') => read_json(Items::json(), input, &mut line, taker),
            Some(_) => read_csv(input, &mut line, taker),
            None => Ok(()),
        });
        let _ = taker.pause();
        result.map_err(|error| RecordsError { name: self.name, line, error })
    }
}

/// Looks at the first bytes.
fn decompress(input: Box<dyn Read + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(CHUNK, input);
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
    let start = file.fill_buf()?;
    Ok(if start.starts_with(GZIP) {
        Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file)))
    } else if start.starts_with(ZSTD) {
        Box::new(BufReader::new(zstd::Decoder::with_buffer(file)?))
    } else {
        Box::new(file)
    })
}

/// The first byte that is no white space; it stays unread.
fn first_byte(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let found = bytes.get(blank).copied();
        if found.is_some() {
            return Ok(found);
        }
        input.consume(blank);
    }
}

fn read_json(
    mut items: Items,
    mut input: impl Read,
    line: &mut u64,
    taker: &mut impl Taker,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut flow = ControlFlow::Continue(());
    loop {
        let length = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                *line += 1;
                return Err(error);
            }
        };
        items.feed(&chunk[..length], |at, item| flow = give(flow, line, at, item, taker));
        if flow.is_break() || taker.pause().is_break() {
            return Ok(());
        }
    }
    items.finish(|at, item| flow = give(flow, line, at, item, taker));
    Ok(())
}

/// Gives one text, unless the taker has had enough.
fn give(
    flow: ControlFlow<()>,
    line: &mut u64,
    at: u64,
    item: Item<'_>,
    taker: &mut impl Taker,
) -> ControlFlow<()> {
    flow?;
    *line = at + 1;
    taker.take(*line, item)
}

/// Counts what is read.
struct Metered<'c, R> {
    input: R,
    delivered: &'c Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.delivered.set(self.delivered.get() + length as u64);
        Ok(length)
    }
}

fn read_csv(input: impl Read, line: &mut u64, taker: &mut impl Taker) -> io::Result<()> {
    let delivered = Cell::new(0);
    let input = Metered { input, delivered: &delivered };
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(input);
    let headers = reader.headers()?.clone();
    if !["symbol", "price"].iter().all(|wanted| headers.iter().any(|name| name == *wanted)) {
        let found: String = headers.iter().collect::<Vec<_>>().join(",").chars().take(60).collect();
        let says = format!("neither JSON nor a CSV header with symbol and price: {found:?}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, says));
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        *line = record.position().map_or(*line, csv::Position::line);
        let text = to_json(&headers, &record);
        if taker.take(*line, Item::Text(text.as_bytes())).is_break() {
            break;
        }
        // The next record has to be read for first: a line break's second half may be all that is left.
        if reader.position().byte() + 1 >= delivered.get() && taker.pause().is_break() {
            break;
        }
    }
    Ok(())
}

/// A record as a JSON object. Empty cells are left out; what reads as a number or a flag is one, save the symbol.
fn to_json(headers: &csv::StringRecord, record: &csv::StringRecord) -> String {
    let cells = headers.iter().zip(record).filter(|(_, cell)| !cell.is_empty()).map(|(name, cell)| {
        // An export keeps what has no column of its own as an object.
        if let Some(members) =
            cell.strip_prefix('{').and_then(|cell| cell.strip_suffix('}')).filter(|_| name == "extras")
        {
            return members.to_owned();
        }
        let bare = name != "symbol"
            && serde_json::from_str::<serde_json::Value>(cell).is_ok_and(|v| v.is_number() || v.is_boolean());
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        format!("{}:{}", quote(name), if bare { cell.to_owned() } else { quote(cell) })
    });
    format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Default)]
    struct Found {
        texts: Vec<(u64, String)>,
        pauses: usize,
    }

    impl Taker for Found {
        fn take(&mut self, line: u64, item: Item<'_>) -> ControlFlow<()> {
            let Item::Text(text) = item else { panic!("nothing is too long here") };
            self.texts.push((line, String::from_utf8(text.to_vec()).unwrap()));
            ControlFlow::Continue(())
        }

        fn pause(&mut self) -> ControlFlow<()> {
            self.pauses += 1;
            ControlFlow::Continue(())
        }
    }

    fn read(bytes: &[u8]) -> (Vec<(u64, String)>, Option<String>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut found = Found::default();
        let result = Records::open(file.path()).and_then(|records| records.read(&mut found));
        assert!(found.pauses <= 2 + bytes.len() / 1000, "{} pauses", found.pauses);
        (
            found.texts,
            result.err().map(|error| {
                error.to_string().replace(&*file.path().file_name().unwrap().to_string_lossy(), "FILE")
            }),
        )
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_format_and_compression() {
        let lines = "\n{\"a\":1}\n\n{\"b\":2}";
        let expected = vec![(2, "{\"a\":1}".to_owned()), (4, "{\"b\":2}".to_owned())];
        for bytes in [lines.into(), gzip(lines), zstd::encode_all(lines.as_bytes(), 1).unwrap()] {
            assert_eq!(read(&bytes), (expected.clone(), None));
        }
        assert_eq!(read(b"[{\"a\":1},{\"b\":2}]").0.len(), 2);
        assert_eq!(read(b"").0.len(), 0);
    }

    #[test]
    fn csv_cells_become_members() {
        let (found, error) = read(b"symbol,price,size,side,halted\n1,0.10,,buy,true\n\"A\",x,1e3,\"\",\n");
        assert_eq!(error, None);
        let expected = [
            (2, r#"{"symbol":"1","price":0.10,"side":"buy","halted":true}"#.to_owned()),
            (3, r#"{"symbol":"A","price":"x","size":1e3}"#.to_owned()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn csv_is_handed_over_by_what_is_at_hand() {
        let lines: String = (0..20_000).map(|n| format!("A,{n}\r\n")).collect();
        let (found, error) = read(format!("symbol,price\r\n{lines}").as_bytes());
        assert_eq!((found.len(), error), (20_000, None));
    }

    #[test]
    fn a_cut_file_gives_what_it_has_and_says_where_it_ends() {
        let lines: String = (0..20_000).map(|n| format!("{{\"n\":{}}}\n", n * 7919 % 10_007)).collect();
        let mut bytes = gzip(&lines);
        bytes.truncate(bytes.len() / 2);
        let (found, error) = read(&bytes);
        assert!(found.len() > 1000, "{}", found.len());
        let line = found.last().unwrap().0 + 1;
        let error = error.unwrap();
        assert!(error.starts_with(&format!("FILE: line {line}: ")), "{error}");
    }

    #[test]
    fn what_is_no_tick_file_is_refused() {
        let (found, error) = read(b"hello\nworld\n");
        assert!(found.is_empty());
        assert_eq!(
            error.unwrap(),
            "FILE: line 1: neither JSON nor a CSV header with symbol and price: \"hello\""
        );
    }
}
