//! Entry points for fuzzing: every decoder of untrusted bytes, and the picker as a state machine.
//!
//! Compiled only for `cargo fuzz` (`--cfg fuzzing`), for unit tests, and with the feature `fuzz`, for the tests of
//! academictorrents, which adds its own entry points. Each function takes arbitrary bytes, and asserts invariants that hold for
//! all inputs. The targets in `fuzz/` call them under libFuzzer. Tests run each on its [`seeds`] and [`mutations`] of them, so that
//! a plain `cargo test` covers them, too.

#![allow(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a failed assertion is what a fuzzer looks for"
)]

#[cfg(feature = "unpack")]
mod archives;
mod decoders;
pub mod mutations;
mod picker;
pub mod seeds;
mod sessions;
#[cfg(test)]
mod tests;

#[cfg(feature = "unpack")]
pub use archives::archive;
pub use decoders::*;
pub use picker::picker;
pub use sessions::*;

/// A function under test.
#[cfg(test)]
type FuzzTarget = fn(&[u8]);

/// All targets, by name.
#[cfg(test)]
const TARGETS: &[(&str, FuzzTarget)] = &[
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
    #[cfg(feature = "unpack")]
    ("archive", archive),
    ("picker", picker),
];

/// Arbitrary bytes, read as numbers and slices. After the end, numbers are 0 and slices empty.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn number(&mut self) -> u32 {
        self.take(4).iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    /// A number less than `end`, which must not be 0.
    pub fn below(&mut self, end: u32) -> u32 {
        self.number() % end
    }

    /// The next bytes, at most `most`.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (now, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        now
    }

    /// The bytes after a two-byte length.
    pub fn chunk(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()) << 8 | usize::from(self.byte());
        self.take(length)
    }
}
