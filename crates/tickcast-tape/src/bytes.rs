//! Encoding of numbers and prices in files.

use tickcast_core::Price;

/// Splits off the next `length` bytes.
pub(crate) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, remaining) = rest.split_at_checked(length)?;
    *rest = remaining;
    Some(taken)
}

/// Writes a price as text, digit for digit, after its length in one byte.
pub(crate) fn write_price(price: Price, out: &mut Vec<u8>) {
    let at = out.len();
    out.push(0);
    price.write(out);
    out[at] = (out.len() - at - 1) as u8;
}

pub(crate) fn read_price(rest: &mut &[u8]) -> Option<Price> {
    Price::read_back(std::str::from_utf8(read_short(rest)?).ok()?).ok()
}

/// Reads bytes after their length in one byte.
pub(crate) fn read_short<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(rest, 1)?[0];
    take(rest, length.into())
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
