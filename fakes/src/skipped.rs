//! Reports of skipped tests.

use std::io::Write as _;

/// Reports that a test did not run, on the console and in the list that `cargo xtask test` prints
/// at its end. `XTASK_SKIPPED` is the path of this list.
///
/// # Panics
///
/// If the list cannot be written.
pub fn skipped(test: &str, reason: &str) {
    println!("SKIPPED {test}: {reason}");
    if let Some(list) = std::env::var_os("XTASK_SKIPPED") {
        let mut list = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .expect("the list of skipped tests cannot be opened");
        writeln!(list, "{test}: {reason}").expect("the list of skipped tests cannot be written");
    }
}
