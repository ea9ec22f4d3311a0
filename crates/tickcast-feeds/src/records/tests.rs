//! Tests with files as users have them.

use std::io::Write;

use super::*;

#[derive(Default)]
struct Collected {
    texts: Vec<(u64, String)>,
    rejected: Vec<(u64, String)>,
    said: Vec<String>,
    pauses: usize,
}

impl RecordSink for Collected {
    fn take(&mut self, line: u64, text: &[u8]) -> ControlFlow<()> {
        self.texts
            .push((line, String::from_utf8(text.to_vec()).unwrap()));
        ControlFlow::Continue(())
    }

    fn reject(&mut self, line: u64, why: &dyn Display) -> ControlFlow<()> {
        self.rejected.push((line, why.to_string()));
        ControlFlow::Continue(())
    }

    fn warn(&mut self, line: u64, what: &str) {
        self.said.push(format!("line {line}: {what}"));
    }

    fn pause(&mut self) -> ControlFlow<()> {
        self.pauses += 1;
        ControlFlow::Continue(())
    }
}

fn read_as(layout: Layout, bytes: &[u8]) -> (Collected, Option<String>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut found = Collected::default();
    let result = Records::open(file.path(), layout).and_then(|records| records.read(&mut found));
    assert!(
        found.pauses <= 2 + bytes.len() / 1000,
        "{} pauses",
        found.pauses
    );
    let name = file
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    (
        found,
        result
            .err()
            .map(|error| error.to_string().replace(&name, "FILE")),
    )
}

fn read(bytes: &[u8]) -> (Vec<(u64, String)>, Option<String>) {
    let (found, error) = read_as(Layout::default(), bytes);
    assert_eq!(found.rejected, []);
    (found.texts, error)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_format_and_compression_is_read() {
    let lines = "\n{\"a\":1}\n\n{\"b\":2}";
    let expected = vec![(2, "{\"a\":1}".to_owned()), (4, "{\"b\":2}".to_owned())];
    for bytes in [
        lines.into(),
        gzip(lines),
        zstd::encode_all(lines.as_bytes(), 1).unwrap(),
    ] {
        assert_eq!(read(&bytes), (expected.clone(), None));
    }
    assert_eq!(read(b"[{\"a\":1},{\"b\":2}]").0.len(), 2);
    assert_eq!(read(b"").0.len(), 0);
}

#[test]
fn csv_cells_become_members() {
    let (found, error) =
        read(b"symbol,price,size,side,halted\n1,0.10,,buy,true\n\"A\",x,1e3,\"\",\n");
    assert_eq!(error, None);
    let expected = [
        (
            2,
            r#"{"symbol":"1","price":0.10,"side":"buy","halted":true}"#.to_owned(),
        ),
        (3, r#"{"symbol":"A","price":"x","size":1e3}"#.to_owned()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn csv_rows_are_passed_on_in_batches() {
    let lines: String = (0..20_000).map(|n| format!("A,{n}\r\n")).collect();
    let (found, error) = read(format!("symbol,price\r\n{lines}").as_bytes());
    assert_eq!((found.len(), error), (20_000, None));
}

#[test]
fn a_truncated_file_yields_its_ticks_and_the_line_of_its_end() {
    let lines: String = (0..20_000)
        .map(|n| format!("{{\"n\":{}}}\n", n * 7919 % 10_007))
        .collect();
    let mut bytes = gzip(&lines);
    bytes.truncate(bytes.len() / 2);
    let (found, error) = read(&bytes);
    assert!(found.len() > 1000, "{}", found.len());
    let line = found.last().unwrap().0 + 1;
    let error = error.unwrap();
    assert!(
        error.starts_with(&format!("FILE: line {line}: ")),
        "{error}"
    );
}

#[test]
fn a_file_without_ticks_is_refused() {
    let (found, error) = read(b"hello\nworld\n");
    assert!(found.is_empty());
    let error = error.unwrap();
    let says = "FILE: line 1: the line is neither JSON nor a CSV header with symbol and price: \"hello\"; if";
    assert!(error.starts_with(says), "{error}");
}

#[test]
fn a_byte_order_mark_is_skipped_in_every_format() {
    for text in [
        "{\"symbol\":\"A\",\"price\":1}",
        "[{\"symbol\":\"A\",\"price\":1}]",
        "symbol,price\nA,1\n",
    ] {
        let (found, error) = read(format!("\u{feff}{text}").as_bytes());
        assert_eq!(error, None);
        assert_eq!(found[0].1, "{\"symbol\":\"A\",\"price\":1}");
    }
}

#[test]
fn other_file_types_are_recognised_by_their_first_bytes() {
    let utf16: Vec<u8> = "symbol,price\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [&[0xff, 0xfe][..], &utf16].concat();
    for bytes in [utf16, marked] {
        assert_eq!(
            read(&bytes).1.unwrap(),
            "FILE: the file is UTF-16 (expected UTF-8)"
        );
    }
    let zip = "FILE: the file is a ZIP archive; unpack the archive, or compress the file with gzip or zstd";
    assert_eq!(read(b"PK\x03\x04\x14\0").1.unwrap(), zip);
    let missing = Records::open(Path::new("/no/such.csv"), Layout::default())
        .err()
        .unwrap();
    assert!(
        missing.to_string().starts_with("such.csv: No such file"),
        "{missing}"
    );
}

#[test]
fn a_bad_row_is_rejected_alone_with_its_line_number() {
    let text = b"sep=,\r\nSymbol,Price,Name,A/D\r\nGLE,23.41,Soci\xe9t\xe9,\r\n\r\nB,1,\"open,\r\nBRK.A,612,345.00,3,x\r\nC,2,z,\r\n";
    let (found, error) = read_as(Layout::default(), text);
    assert_eq!(error, None);
    assert_eq!(
        found.texts,
        [(7, r#"{"symbol":"C","price":2,"name":"z"}"#.to_owned())]
    );
    let rejected: Vec<_> = found
        .rejected
        .iter()
        .map(|(line, why)| format!("{line} {why}"))
        .collect();
    assert_eq!(
        rejected,
        [
            "3 not UTF-8 from byte 15 on",
            "5 a quote is opened but not closed on the same line",
            "6 the row has 5 cells, but the header has 4",
        ]
    );
    assert_eq!(found.said, ["line 2: ignored columns: A/D"]);
}

#[test]
fn csv_options_are_refused_for_json() {
    let layout = Layout {
        columns: Some("price,-".parse().unwrap()),
        symbol: Some(tickcast::Symbol::new("A").unwrap()),
    };
    let (found, error) = read_as(layout.clone(), b"1.5,x\n2.5,y");
    assert_eq!(error, None);
    assert_eq!(
        found.texts[1],
        (2, r#"{"symbol":"A","price":2.5}"#.to_owned())
    );
    let error = read_as(layout, b"{}").1.unwrap();
    assert_eq!(
        error,
        "FILE: columns and a symbol can be set for a CSV only, but the file is JSON"
    );
}
