//! Converts the rows of a CSV to JSON objects.

use std::str::Utf8Error;

use serde_json::Value;
use tickcast::Symbol;

use super::cells::{QuotesError, split};
use super::layout::{Columns, ColumnsError, EXTRAS, Layout};

/// The delimiters, in the order of the attempts. The comma is last, because numbers and texts also
/// contain commas.
const DELIMITERS: [char; 3] = ['\t', ';', ','];

/// Maximum number of characters in an error that quotes a line without a header.
const EXCERPT_CHARS: usize = 60;

/// A CSV with known columns.
#[derive(Debug)]
pub(super) struct Table {
    delimiter: char,
    columns: Columns,
    symbol: Option<Symbol>,
    /// Whether the columns come from a header.
    header: bool,
}

/// Reason why the columns are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error(
        "the line is neither JSON nor a CSV header with symbol and price: {0:?}; if there is no header, set the columns, \
         and if there is no column symbol, set the symbol"
    )]
    None(String),
    #[error(transparent)]
    Columns(#[from] ColumnsError),
}

/// Reason why a row is rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error("not UTF-8 from byte {} on", .0.valid_up_to() + 1)]
    Utf8(#[from] Utf8Error),
    #[error(transparent)]
    Quotes(#[from] QuotesError),
    #[error("the row has {}, but the header has {expected}", count(*found, "cell"))]
    Header { found: usize, expected: usize },
    #[error("the row has {}, but the column list has {}", count(*found, "cell"), count(*expected, "column"))]
    Named { found: usize, expected: usize },
}

/// The meaning of the first line of a CSV.
#[derive(Debug)]
pub(super) enum Beginning {
    /// `sep=;`, as Excel writes this line. The line names the delimiter, and the header follows.
    Separator(char),
    /// A header, with the names of its ignored columns.
    Header(Table, Vec<String>),
    /// The first row, because the user named the columns.
    Row(Table),
}

impl Table {
    /// Reads the first line, or the line after a separator line.
    pub(super) fn begin(
        line: &[u8],
        separator: Option<char>,
        layout: &Layout,
    ) -> Result<Beginning, HeaderError> {
        // A column whose name is not UTF-8 is ignored, so a lossy conversion of the name does no
        // harm.
        let line = &*String::from_utf8_lossy(line);
        if let Some(separator) = declared(line).filter(|_| separator.is_none()) {
            return Ok(Beginning::Separator(separator));
        }
        let delimiters = separator.map_or(DELIMITERS.to_vec(), |separator| vec![separator]);
        let symbol = layout.symbol;
        if let Some(columns) = layout.columns.clone() {
            let occurs =
                |delimiter: &char| split(line, *delimiter).is_ok_and(|cells| cells.len() > 1);
            let delimiter = delimiters.into_iter().find(occurs).unwrap_or(',');
            return Ok(Beginning::Row(Self {
                delimiter,
                columns,
                symbol,
                header: false,
            }));
        }
        let no_header = || HeaderError::None(line.chars().take(EXCERPT_CHARS).collect());
        let mut found = Err(no_header());
        for delimiter in delimiters {
            let Ok(cells) = split(line, delimiter) else {
                continue;
            };
            let read = Columns::of_header(&cells)
                .and_then(|(columns, passed)| columns.check(symbol).map(|()| (columns, passed)));
            match read {
                Ok((columns, passed)) => {
                    return Ok(Beginning::Header(
                        Self {
                            delimiter,
                            columns,
                            symbol,
                            header: true,
                        },
                        passed,
                    ));
                }
                Err(ColumnsError::Missing(_)) => {}
                Err(error) => found = Err(error.into()),
            }
        }
        found
    }

    /// Returns a row as a JSON object. Empty cells are left out. Numbers, `true` and `false` are
    /// written without quotes, except in the symbol.
    pub(super) fn row(&self, line: &[u8]) -> Result<String, RowError> {
        let cells = split(std::str::from_utf8(line)?, self.delimiter)?;
        let columns = self.columns.names();
        let surplus = cells
            .iter()
            .skip(columns.len())
            .any(|cell| !cell.is_empty());
        if surplus || cells.len() < self.columns.required() {
            let (found, expected) = (cells.len(), columns.len());
            return Err(match self.header {
                true => RowError::Header { found, expected },
                false => RowError::Named { found, expected },
            });
        }
        let symbol = self.symbol.map(|symbol| format!("\"symbol\":\"{symbol}\""));
        let cells = columns
            .iter()
            .zip(&cells)
            .filter(|(_, cell)| !cell.is_empty());
        let members = cells.filter_map(|(name, cell)| match name.as_deref()? {
            "time" => Some(member("time", &self.columns.unit().to_ms(cell))),
            name => Some(member(name, cell)),
        });
        Ok(format!(
            "{{{}}}",
            symbol
                .into_iter()
                .chain(members)
                .collect::<Vec<_>>()
                .join(",")
        ))
    }
}

/// Returns a cell as a member of a JSON object.
fn member(name: &str, cell: &str) -> String {
    let object = cell
        .strip_prefix('{')
        .and_then(|cell| cell.strip_suffix('}'));
    if let Some(members) = object.filter(|_| name == EXTRAS) {
        return members.to_owned();
    }
    let bare = name != "symbol"
        && serde_json::from_str::<Value>(cell)
            .is_ok_and(|value| value.is_number() || value.is_boolean());
    let quote = |text: &str| Value::from(text).to_string();
    format!(
        "{}:{}",
        quote(name),
        if bare { cell.to_owned() } else { quote(cell) }
    )
}

/// Returns a number with its noun: `1 cell`, `2 cells`.
fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Returns the delimiter that a line such as `sep=;` names.
fn declared(line: &str) -> Option<char> {
    let line = line.trim_end_matches(['\r', ' ']).trim_matches('"');
    let (key, value) = line.split_at_checked(4)?;
    let mut separator = value.chars();
    separator
        .next()
        .filter(|_| key.eq_ignore_ascii_case("sep=") && separator.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(columns: Option<&str>, symbol: Option<&str>) -> Layout {
        Layout {
            columns: columns.map(|columns| columns.parse().unwrap()),
            symbol: symbol.map(|symbol| Symbol::new(symbol).unwrap()),
        }
    }

    fn table(header: &str) -> Table {
        match Table::begin(header.as_bytes(), None, &Layout::default()).unwrap() {
            Beginning::Header(table, _) => table,
            other => panic!("{other:?}"),
        }
    }

    fn says(table: &Table, row: &[u8]) -> String {
        table.row(row).unwrap_err().to_string()
    }

    #[test]
    fn a_row_with_a_wrong_number_of_cells_is_rejected() {
        let table = table("symbol,price,size");
        assert_eq!(
            says(&table, b"BRK.A,612,345.00,3"),
            "the row has 4 cells, but the header has 3"
        );
        assert_eq!(
            says(&table, b"A"),
            "the row has 1 cell, but the header has 3"
        );
        assert_eq!(
            table.row(b"A,1.50,,,").unwrap(),
            r#"{"symbol":"A","price":1.50}"#
        );
        assert_eq!(
            table.row(b"A,1.50").unwrap(),
            r#"{"symbol":"A","price":1.50}"#
        );
        let timed = self::table("symbol,price,time,size");
        assert_eq!(
            says(&timed, b"A,1.5"),
            "the row has 2 cells, but the header has 4"
        );
        assert_eq!(
            says(&table, b"A,1,Soci\xe9t\xe9"),
            "not UTF-8 from byte 9 on"
        );
        assert_eq!(
            says(&table, b"A,\"1.5"),
            "a quote is opened but not closed on the same line"
        );
    }

    #[test]
    fn the_header_determines_the_delimiter() {
        for (header, row) in [
            ("symbol;price", "SAP.DE;189,50"),
            ("Symbol\tPrice", "SAP.DE\t189,50"),
            ("symbol,price", "SAP.DE,\"189,50\""),
        ] {
            assert_eq!(
                table(header).row(row.as_bytes()).unwrap(),
                r#"{"symbol":"SAP.DE","price":"189,50"}"#
            );
        }
        let begin = Table::begin(b"\"sep=|\"", None, &Layout::default()).unwrap();
        assert!(matches!(begin, Beginning::Separator('|')), "{begin:?}");
        let begin = Table::begin(b"price|symbol", Some('|'), &Layout::default()).unwrap();
        let Beginning::Header(table, _) = begin else {
            panic!("{begin:?}")
        };
        assert_eq!(table.row(b"1|A").unwrap(), r#"{"price":1,"symbol":"A"}"#);
    }

    #[test]
    fn an_archive_needs_no_header_and_no_symbol_column() {
        let layout = layout(Some("time,price,-,size"), Some("XBTUSD"));
        let begin = Table::begin(b"1704067200000;42101.5;x;0.1", None, &layout).unwrap();
        let Beginning::Row(table) = begin else {
            panic!("{begin:?}")
        };
        let row = table.row(b"1704067200000;42101.5;x;0.1").unwrap();
        assert_eq!(
            row,
            r#"{"symbol":"XBTUSD","time":1704067200000,"price":42101.5,"size":0.1}"#
        );
        assert_eq!(
            says(&table, b"1;2;3;4;5"),
            "the row has 5 cells, but the column list has 4 columns"
        );
        let only_a_symbol = self::layout(None, Some("A"));
        assert!(matches!(
            Table::begin(b"Price", None, &only_a_symbol),
            Ok(Beginning::Header(..))
        ));
        let both = Table::begin(b"symbol,price", None, &only_a_symbol).unwrap_err();
        assert_eq!(both.to_string(), ColumnsError::TwoSymbols.to_string());
    }
}
