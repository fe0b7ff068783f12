//! Words and sizes that several commands print or parse.

use std::fmt::Display;

use academictorrents::engine::size;

/// `"1 file"`, `"2 files"`.
pub(crate) fn count<N: Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    format!("{number} {what}{}", if number == N::from(1) { "" } else { "s" })
}

/// Parses `"1GiB"`, `"1.5 MB"` or `"4096"`. Zero is invalid.
///
/// # Errors
/// The expected format.
pub(crate) fn parse_size(text: &str) -> Result<u64, &'static str> {
    let size = size::parse(text).filter(|size| *size > 0);
    size.ok_or("expected a size above 0, such as `500kB`, `4MiB`")
}
