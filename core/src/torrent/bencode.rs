//! Bencode (BEP 3): scans untrusted bytes first, then decodes them.
//!
//! Layer 0; `metainfo` and `protocol` read bencode through this module. `serde_bencode` recurses
//! without limit (a list nested 1,200 deep aborts the process). So [`scan()`] first walks the bytes
//! with an explicit stack and within [`Limits`], and the decoder sees only what is safe to decode.
//! Values that may number in the millions are read from the scan itself, where each is a [`Node`]:
//! at opt-level 0, decoding ten values takes as long as scanning a hundred.
//!
//! No hash covers most of what is read here, and other programs read it leniently. This module does
//! the same, in one place and in one way: it ignores a byte order mark and whitespace before the
//! value and any bytes after it; the first of duplicate keys wins; `-0` and `0123` are valid
//! numbers; an integer that is not a number, or does not fit into 64 bits, counts as absent. The
//! scan records each deviation ([`Scan::oddity`]), because `info` must be exact.
//!
//! Invariants: nothing here recurses on input; strings are skipped whole, so 20 MB of `pieces` cost
//! as much as 20 bytes; every length is checked against the remaining bytes before it is used.
//! Dictionaries with unsorted keys exist in the wild and are accepted.

mod scan;
#[cfg(feature = "fetch")]
#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod variants;

use std::fmt;

#[cfg(feature = "fetch")]
use serde_bencode::value::Value;

pub use scan::{Node, Scan, before, scan, scan_prefix};

/// Limits beyond which bencode is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Total size of the input in bytes.
    pub max_bytes: usize,
    /// Total number of strings, integers, lists and dictionaries; keys count.
    pub max_values: usize,
}

/// Why bytes are not acceptable bencode, and at which offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanError {
    what: &'static str,
    at: usize,
}

const CUT: &str = "unexpected end";
const TOO_LONG: &str = "a string longer than the remaining data";

impl ScanError {
    /// Whether the input ended too early; the bytes so far may be valid.
    pub fn is_cut_short(&self) -> bool {
        [CUT, TOO_LONG].contains(&self.what)
    }

    /// Returns the offset of the offending byte.
    #[cfg(all(test, feature = "fetch"))]
    fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.what, self.at)
    }
}

impl std::error::Error for ScanError {}

/// Scans the bytes, then decodes them.
///
/// # Errors
/// What is wrong, and at which byte.
#[cfg(feature = "fetch")]
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Value, ScanError> {
    let scan = scan(bytes, limits)?;
    let refused = |_| ScanError { what: "the decoder rejected the value", at: 0 };
    serde_bencode::from_bytes(&scan.canonical()).map_err(refused)
}

/// Returns the value of a dictionary's key; `None` if the key is missing or `value` is not a
/// dictionary.
#[cfg(feature = "fetch")]
pub fn get<'v>(value: &'v Value, key: &[u8]) -> Option<&'v Value> {
    match value {
        Value::Dict(entries) => entries.get(key),
        _ => None,
    }
}

/// Returns the string under a key, as bytes.
#[cfg(feature = "fetch")]
pub fn bytes<'v>(value: &'v Value, key: &[u8]) -> Option<&'v [u8]> {
    get(value, key).and_then(as_bytes)
}

/// Returns the integer under a key.
#[cfg(feature = "fetch")]
pub fn int(value: &Value, key: &[u8]) -> Option<i64> {
    match get(value, key) {
        Some(Value::Int(int)) => Some(*int),
        _ => None,
    }
}

/// Returns the dictionary under a key, to which these functions apply again.
#[cfg(feature = "fetch")]
pub fn dict<'v>(value: &'v Value, key: &[u8]) -> Option<&'v Value> {
    get(value, key).filter(|value| matches!(value, Value::Dict(_)))
}

/// Returns the bytes of a string; `None` for other types.
#[cfg(feature = "fetch")]
pub fn as_bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}
