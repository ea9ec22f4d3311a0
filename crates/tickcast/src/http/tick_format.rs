//! Ticks as lines of NDJSON or CSV.

use tickcast_core::{TickView, Time};

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TickFormat {
    /// One tick per line, in the JSON that readers receive.
    Ndjson,
    /// CSV with a header line.
    Csv,
}

/// The CSV header. The last column holds all other members of a tick, as JSON.
pub(super) const COLUMNS: &[u8] = b"symbol,price,change,change_pct,time,n,extras\n";

impl TickFormat {
    /// Appends a tick if its time is within the range.
    pub(super) fn write(self, json: &[u8], (from, to): (Time, Time), out: &mut Vec<u8>) {
        let Some(facts) = TickView::read(json).filter(|facts| (from..=to).contains(&facts.time))
        else {
            return;
        };
        match self {
            Self::Ndjson => {
                out.extend_from_slice(json);
                out.push(b'\n');
            }
            Self::Csv => write_row(&facts, out),
        }
    }
}

fn write_row(facts: &TickView<'_>, out: &mut Vec<u8>) {
    let TickView {
        symbol,
        price,
        change,
        change_pct,
        time,
        n,
        extras,
    } = facts;
    let percent = change_pct.unwrap_or_default();
    out.extend_from_slice(
        format!(
            "{symbol},{price},{change},{percent},{},{n},",
            time.as_millis()
        )
        .as_bytes(),
    );
    if let Some(members) = extras.strip_prefix(b",") {
        out.extend_from_slice(b"\"{");
        for byte in members {
            out.extend_from_slice(if *byte == b'"' {
                b"\"\""
            } else {
                std::slice::from_ref(byte)
            });
        }
        out.extend_from_slice(b"}\"");
    }
    out.push(b'\n');
}
