//! Splits a CSV row into cells.

use std::borrow::Cow;

/// Reason why a row cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum QuotesError {
    #[error("a quote is opened but not closed on the same line")]
    Open,
    #[error("text follows a closing quote")]
    After,
}

/// Splits a row into cells as RFC 4180 describes, and trims each cell. A row is always one line. An
/// open quote is an error of its line, not the start of a cell that contains the following lines.
pub(super) fn split(row: &str, delimiter: char) -> Result<Vec<Cow<'_, str>>, QuotesError> {
    let blank = |c: char| c.is_whitespace() && c != delimiter;
    let mut cells = Vec::new();
    let mut rest = Some(row);
    while let Some(row) = rest {
        let cell;
        (cell, rest) = match row.trim_start_matches(blank).strip_prefix('"') {
            Some(quoted) => {
                let (text, after) = unquote(quoted)?;
                let after = after.trim_start_matches(blank);
                match after.strip_prefix(delimiter) {
                    None if !after.is_empty() => return Err(QuotesError::After),
                    next => (text, next),
                }
            }
            None => {
                let (text, next) = row
                    .split_once(delimiter)
                    .map_or((row, None), |(text, next)| (text, Some(next)));
                (Cow::Borrowed(text), next)
            }
        };
        cells.push(match cell {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        });
    }
    Ok(cells)
}

/// Returns the text before the closing quote, and the rest after the quote.
fn unquote(quoted: &str) -> Result<(Cow<'_, str>, &str), QuotesError> {
    let mut from = 0;
    loop {
        let end = from + quoted[from..].find('"').ok_or(QuotesError::Open)?;
        let after = &quoted[end + 1..];
        if !after.starts_with('"') {
            let text = &quoted[..end];
            let text = if from > 0 {
                Cow::Owned(text.replace("\"\"", "\""))
            } else {
                Cow::Borrowed(text)
            };
            return Ok((text, after));
        }
        // A doubled quote stands for one quote in the text.
        from = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_and_blanks_are_handled() {
        assert_eq!(
            split("A, \"1,5\" ,5\" x,,", ',').unwrap(),
            ["A", "1,5", "5\" x", "", ""]
        );
        assert_eq!(
            split("\t\"a \"\"b\"\"\"\t c ", '\t').unwrap(),
            ["", "a \"b\"", "c"]
        );
        assert_eq!(split("", ',').unwrap(), [""]);
        assert_eq!(split("A,\"1.5", ','), Err(QuotesError::Open));
        assert_eq!(split("A,\"1\"2,3", ','), Err(QuotesError::After));
    }

    proptest! {
        #[test]
        fn written_rows_are_split_into_their_cells(cells in prop::collection::vec(r#"[a-z";,\t]{0,4}"#, 2..5)) {
            for delimiter in [b',', b';', b'\t'] {
                let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
                writer.write_record(&cells).unwrap();
                let row = String::from_utf8(writer.into_inner().unwrap()).unwrap();
                let trimmed: Vec<_> = cells.iter().map(|cell| cell.trim()).collect();
                prop_assert_eq!(split(row.trim_end_matches('\n'), delimiter as char).unwrap(), trimmed);
            }
        }
    }
}
