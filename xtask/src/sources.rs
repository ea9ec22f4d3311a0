//! The project's own Rust files, parsed into syntax trees.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders of the Rust files.
const FOLDERS: [&str; 9] = [
    "attack",
    "crates",
    "fakes",
    "fuzz/src",
    "fuzz/tests",
    "ledger",
    "peers",
    "tests",
    "xtask",
];

/// Returns every Rust file below `root`, in order.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// Parses a file.
pub(crate) fn parse(path: &Path) -> Result<syn::File> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    syn::parse_file(&text).with_context(|| path.display().to_string())
}

/// Returns whether an item is only for tests.
pub(crate) fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        // Also `tokio::test`.
        attribute
            .path()
            .segments
            .last()
            .is_some_and(|last| last.ident == "test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|condition| {
                    condition.is_ident("test") || condition.is_ident("doctest")
                })
    })
}
