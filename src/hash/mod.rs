//! SHA-1 and SHA-256, fast at every opt-level.
//!
//! Cargo compiles build-dependencies at opt-level 0, under `--release` too, and a library cannot change that.
//! Measured there, the `sha1` crate hashes about 50 MiB/s and `sha2` 28, less than a laptop's disk or network
//! brings. So the loops that see every byte are code that the opt-level does not touch:
//!
//! - [`Sha1`] (the pieces, the infohash) is one block of assembly where the CPU has instructions for SHA-1, and the
//!   `sha1` crate elsewhere. Which of the two is decided at run time, when the hasher is made.
//! - [`Sha256`] (the pins of a manifest) is `ring`, which rustls brings anyway, and the `sha2` crate in builds
//!   without rustls.
//!
//! Invariants: the Rust code here does a bounded amount of work per `update`, whatever the length of its bytes:
//! whole blocks are hashed where they lie, and at most 63 bytes are copied at either end. The digest depends on
//! the bytes alone, not on how they were split, where they lay, or which engine hashed them. `sha1.rs` is the only file
//! of the crate with unsafe code.
//!
//! Failures: none. There is no input that cannot be hashed.

mod sha1;
mod sha256;
#[cfg(test)]
mod tests;

pub use self::sha1::Sha1;
pub use self::sha256::Sha256;

/// Bytes of a digest in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that so many hexadecimal digits mean, in either case.
pub fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut digits = digits.chars().map(|digit| digit.to_digit(16));
    for byte in &mut bytes {
        *byte = (digits.next()?? << 4 | digits.next()??) as u8;
    }
    digits.next().is_none().then_some(bytes)
}
