//! Words of the library's own: sizes, and what others chose.

/// `"11.1 MiB"`.
#[must_use]
pub fn size(bytes: u64) -> String {
    crate::size::display(bytes)
}

/// The text with nothing in it that moves a cursor or ends a line.
#[must_use]
pub fn printable(text: &str) -> String {
    crate::error::printable(text)
}

/// Reads `"1GiB"`, `"1.5 MB"` or `"4096"`, of more than nothing.
///
/// # Errors
/// How it is written.
pub fn parse_size(text: &str) -> Result<u64, String> {
    crate::size::parse(text)
        .filter(|size| *size > 0)
        .ok_or_else(|| "write a size above 0, such as `500kB`, `4MiB`".into())
}
