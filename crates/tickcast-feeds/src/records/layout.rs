//! The columns of a CSV: from its header, or named by the user if there is no header.

use std::str::FromStr;

use tickcast::Symbol;
use tickcast::tick::{Extras, RESERVED, Value};

use super::unit::Unit;

/// Members of a tick that are not extras.
const OWN: [&str; 5] = ["symbol", "price", "change", "prev_close", "time"];

/// The column in which an export of this server stores extras, as a JSON object.
pub(super) const EXTRAS: &str = "extras";

/// Information from the user that the CSV itself does not contain. Pass it to
/// [`Records::open`](super::Records::open) or [`Replay::layout`](crate::replay::Replay::layout).
/// Default: the CSV has a header with all columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Layout {
    /// The columns, if there is no header. Default: the first line is the header.
    pub columns: Option<Columns>,
    /// The symbol of all rows, if there is no symbol column. Default: none.
    pub symbol: Option<Symbol>,
}

/// The columns of a CSV, as members of a tick. Made by `parse`, from names such as
/// `time,symbol,price,-`; `-` is a column that is ignored. Field of a [`Layout`].
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    names: Vec<Option<String>>,
    /// The unit of `time`.
    unit: Unit,
}

/// Reason why these columns cannot form ticks. Returned by [`Layout::check`] and by
/// `"…".parse::<Columns>()`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// No column has the name of this required member: `price` or `symbol`. Contains the name.
    #[error("column {0} is missing")]
    Missing(&'static str),
    /// Two columns have the same name. Contains the name.
    #[error("column {0} appears twice")]
    Twice(String),
    /// A name is not valid for a member of a tick. Contains the reason.
    #[error("{0}; `-` stands for a column to ignore")]
    Name(String),
    /// The layout has a symbol for all rows and a column `symbol`.
    #[error("a symbol for all rows cannot be set if there is a column symbol")]
    TwoSymbols,
}

impl Layout {
    /// Checks whether the user gave no information.
    pub(super) const fn is_empty(&self) -> bool {
        self.columns.is_none() && self.symbol.is_none()
    }

    /// Checks whether the rows can form ticks. A layout without columns is valid, because the
    /// header is not known yet.
    ///
    /// # Errors
    /// If the column `price` is missing. If the symbol is missing or given twice.
    pub fn check(&self) -> Result<(), ColumnsError> {
        self.columns
            .as_ref()
            .map_or(Ok(()), |columns| columns.check(self.symbol))
    }
}

impl Columns {
    /// Reads a header; folds names to lower case and blanks to `_`. Returns the columns and the
    /// ignored names. A name is ignored if no member of a tick can have the name.
    pub(super) fn of_header(
        cells: &[impl AsRef<str>],
    ) -> Result<(Self, Vec<String>), ColumnsError> {
        let names: Vec<_> = cells.iter().map(|cell| fold(cell.as_ref())).collect();
        // A column `n` marks an export, which also contains the other fields that the server added.
        // The sink removes these fields. In other files, the reserved names have other meanings.
        let recorded = names.iter().any(|name| name == "n");
        let (mut extras, mut passed) = (Extras::new(), Vec::new());
        let mut columns = Vec::<Option<String>>::new();
        for (cell, name) in cells.iter().zip(names) {
            let own = OWN.contains(&name.as_str()) || name == EXTRAS;
            if own && columns.iter().flatten().any(|before| *before == name) {
                return Err(ColumnsError::Twice(name));
            }
            let kept = own
                || recorded && RESERVED.contains(&name.as_str())
                || extras.push(&name, Value::Null).is_ok();
            if !kept && !name.is_empty() {
                passed.push(cell.as_ref().to_owned());
            }
            columns.push(Some(name).filter(|_| kept));
        }
        Ok((
            Self {
                names: columns,
                unit: Unit::default(),
            },
            passed,
        ))
    }

    /// Checks whether the rows can form ticks.
    pub(super) fn check(&self, symbol: Option<Symbol>) -> Result<(), ColumnsError> {
        match (self.at("symbol"), symbol) {
            _ if self.at("price").is_none() => Err(ColumnsError::Missing("price")),
            (None, None) => Err(ColumnsError::Missing("symbol")),
            (Some(_), Some(_)) => Err(ColumnsError::TwoSymbols),
            _ => Ok(()),
        }
    }

    /// Returns the minimum number of cells of a row. If the end of a row is missing, the price may
    /// lack digits. Also, a tick without its time would count as a new tick.
    pub(super) fn required(&self) -> usize {
        ["symbol", "price", "time"]
            .iter()
            .filter_map(|name| self.at(name))
            .max()
            .map_or(0, |at| at + 1)
    }

    pub(super) fn names(&self) -> &[Option<String>] {
        &self.names
    }

    pub(super) const fn unit(&self) -> Unit {
        self.unit
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.names
            .iter()
            .position(|column| column.as_deref() == Some(name))
    }
}

/// Parses names such as `time,price,-,size`. The names `time_s`, `time_us` and `time_ns` are times
/// in other units.
impl FromStr for Columns {
    type Err = ColumnsError;

    fn from_str(text: &str) -> Result<Self, ColumnsError> {
        let (mut extras, mut columns) = (Extras::new(), Vec::<Option<String>>::new());
        let mut unit = Unit::default();
        for name in text.split(',').map(str::trim) {
            let time = Unit::of_column(name);
            unit = time.unwrap_or(unit);
            let name = time.map_or(name, |_| "time");
            if matches!(name, "" | "-") {
                columns.push(None);
                continue;
            }
            let own = OWN.contains(&name);
            if own && columns.iter().flatten().any(|before| before == name) {
                return Err(ColumnsError::Twice(name.to_owned()));
            }
            if !own {
                extras
                    .push(name, Value::Null)
                    .map_err(|error| ColumnsError::Name(error.to_string()))?;
            }
            columns.push(Some(name.to_owned()));
        }
        Ok(Self {
            names: columns,
            unit,
        })
    }
}

fn fold(name: &str) -> String {
    name.trim()
        .chars()
        .map(|c| {
            if c.is_whitespace() {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> (String, Vec<String>) {
        let cells: Vec<_> = text.split(',').collect();
        let (columns, passed) = Columns::of_header(&cells).unwrap();
        let names: Vec<_> = columns
            .names
            .iter()
            .map(|name| name.as_deref().unwrap_or("-"))
            .collect();
        (names.join(","), passed)
    }

    #[test]
    fn headers_are_read_in_any_case_with_unknown_columns() {
        assert_eq!(
            header("Symbol,LAST,Price, Adj Close,"),
            ("symbol,last,price,adj_close,-".into(), vec![])
        );
        let (names, passed) = header("symbol,price,Größe,seq,%,Bid,bid");
        assert_eq!(names, "symbol,price,-,-,-,bid,-");
        assert_eq!(passed, ["Größe", "seq", "%", "bid"]);
        let exported = "symbol,price,change,change_pct,time,n,extras";
        assert_eq!(header(exported), (exported.into(), vec![]));
        let many: String = (0..20).map(|i| format!(",x{i}")).collect();
        assert_eq!(
            header(&format!("symbol,price{many}")).1,
            ["x16", "x17", "x18", "x19"]
        );
        assert_eq!(
            Columns::of_header(&["price", "Price"]),
            Err(ColumnsError::Twice("price".to_owned()))
        );
    }

    #[test]
    fn named_columns_are_checked() {
        let parse = |text: &str, symbol: Option<&str>| {
            let symbol = symbol.map(|symbol| Symbol::new(symbol).unwrap());
            Layout {
                columns: Some(text.parse()?),
                symbol,
            }
            .check()
        };
        assert_eq!(parse("time,price,-,bidSize,", Some("A")), Ok(()));
        assert_eq!("time,price,-".parse::<Columns>().unwrap().required(), 2);
        assert_eq!(
            "price,time_us".parse::<Columns>().unwrap().unit(),
            Unit::Microseconds
        );
        let says = |text, symbol| parse(text, symbol).unwrap_err().to_string();
        assert_eq!(says("time,price", None), "column symbol is missing");
        assert_eq!(says("time,close", Some("A")), "column price is missing");
        assert_eq!(
            says("symbol,price", Some("A")),
            ColumnsError::TwoSymbols.to_string()
        );
        assert_eq!(says("price,price", Some("A")), "column price appears twice");
        assert_eq!(
            says("price,time,time_s", Some("A")),
            "column time appears twice"
        );
        assert_eq!(
            says("price,Adj Close", Some("A")),
            "`Adj Close` is not a valid name for an extra (expected [A-Za-z][A-Za-z0-9_]{0,31}); \
             `-` stands for a column to ignore"
        );
    }
}
