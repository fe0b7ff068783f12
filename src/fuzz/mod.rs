//! Entry points for fuzzing: every decoder of untrusted bytes, and two state machines (picker,
//! storage).
//!
//! Layer 4, compiled only for `cargo fuzz` (`--cfg fuzzing`) and for unit tests; not part of the
//! API. Each function takes arbitrary bytes, and asserts invariants that hold for all inputs. The
//! targets in `fuzz/` call them under libFuzzer. [`tests`] runs each on its [`seeds`] and mutations
//! of them, so that a plain `cargo test` covers them, too.

#![allow(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a failed assertion is what a fuzzer looks for"
)]

#[cfg(feature = "unpack")]
mod archives;
mod decoders;
#[cfg(test)]
mod mutations;
mod picker;
pub mod seeds;
mod sessions;
mod storage;
#[cfg(test)]
mod tests;

#[cfg(feature = "unpack")]
pub use archives::archive;
pub use decoders::*;
pub use picker::picker;
pub use sessions::*;
pub use storage::storage;

/// A function under test.
pub type FuzzTarget = fn(&[u8]);

/// All targets that need only bytes, by name. [`storage`] also needs a directory.
pub const TARGETS: &[(&str, FuzzTarget)] = &[
    ("bencode", bencode),
    ("torrent", torrent),
    ("magnet", magnet),
    ("manifest", manifest),
    ("urls", urls),
    ("http_head", http_head),
    ("tracker_reply", tracker_reply),
    ("udp_tracker", udp_tracker),
    #[cfg(feature = "dht")]
    ("dht", dht),
    ("socks", socks),
    ("peer", peer),
    ("metadata", metadata),
    ("stamp", stamp),
    #[cfg(feature = "unpack")]
    ("archive", archive),
    ("picker", picker),
];

/// Arbitrary bytes, read as numbers and slices. After the end, numbers are 0 and slices empty.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn number(&mut self) -> u32 {
        self.take(4).iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    /// A number less than `end`, which must not be 0.
    fn below(&mut self, end: u32) -> u32 {
        self.number() % end
    }

    /// The next bytes, at most `most`.
    fn take(&mut self, most: usize) -> &'a [u8] {
        let (now, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        now
    }

    /// The bytes after a two-byte length.
    fn chunk(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()) << 8 | usize::from(self.byte());
        self.take(length)
    }
}
