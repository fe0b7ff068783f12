//! Provides handwritten digits to other crates.

/// The path of `digits.csv.gz`.
pub const PATH: &str = env!("AT_DIGITS_PATH");
