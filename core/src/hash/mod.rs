//! SHA-1, fast at every opt-level.
//!
//! Cargo compiles build-dependencies at opt-level 0, under `--release` too, and a library cannot
//! change that. Measured there, the `sha1` crate hashes about 50 MiB/s, which is slower than a
//! laptop's disk or network. Therefore the loop over the data is in code that does not depend on
//! the opt-level: [`Sha1`] is one block of assembly if the CPU has instructions for SHA-1, and the
//! `sha1` crate otherwise, as decided at run time when the hasher is created.
//!
//! Invariants: the Rust code does a bounded amount of work per `update`, whatever the length: whole
//! blocks are hashed in place, and at most 63 bytes are copied at either end. The digest depends
//! only on the bytes, not on how they are split or aligned, or on the engine. `sha1.rs` is the only
//! file of the workspace with unsafe code.
//!
//! Hashing cannot fail.

mod sha1;
#[cfg(test)]
mod tests;

pub use self::sha1::Sha1;

/// Formats bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parses exactly `2 * N` hexadecimal digits of either case.
pub fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut digits = digits.chars().map(|digit| digit.to_digit(16));
    for byte in &mut bytes {
        *byte = (digits.next()?? << 4 | digits.next()??) as u8;
    }
    digits.next().is_none().then_some(bytes)
}
