//! A ledger in files: `book.json`, and one file per reader with one entry per line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use ledger::{Book, Reader};

pub(crate) fn write(folder: &Path, book: &Book, readers: &[Reader]) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("book.json"), serde_json::to_vec(book)?)?;
    for reader in readers {
        let mut file = BufWriter::new(File::create(folder.join(format!("{}.jsonl", reader.name)))?);
        let head = Reader {
            entries: Vec::new(),
            ..reader.clone()
        };
        writeln!(file, "{}", serde_json::to_string(&head)?)?;
        for entry in &reader.entries {
            writeln!(file, "{}", serde_json::to_string(entry)?)?;
        }
        file.flush()?;
    }
    Ok(())
}

pub(crate) fn read(folder: &Path) -> Result<(Book, Vec<Reader>)> {
    let book = fs::read(folder.join("book.json"))
        .with_context(|| format!("no ledger in {}", folder.display()))?;
    let mut readers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != "jsonl")
        {
            continue;
        }
        let mut lines = BufReader::new(File::open(&path)?).lines();
        let head = lines
            .next()
            .with_context(|| format!("{} is empty", path.display()))??;
        let mut reader: Reader = serde_json::from_str(&head)?;
        for line in lines {
            reader.entries.push(serde_json::from_str(&line?)?);
        }
        readers.push(reader);
    }
    Ok((serde_json::from_slice(&book)?, readers))
}
