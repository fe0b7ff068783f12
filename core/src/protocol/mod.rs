//! Sans-IO protocol code: bytes and time in, bytes and events out.
//!
//! Layer 1. Codecs and state machines that open no socket and read no clock. `net` does both: it
//! calls this module with the bytes that it read and the time since some fixed moment.
//!
//! - [`wire`]: handshake and messages of the peer protocol (BEP 3, 6), and the envelope of
//!   extension messages (BEP 10).
//! - [`extension`]: the extension handshake (BEP 10).
//! - [`peer`]: one peer connection in both directions (handshake, bitfield, requests, blocks), also
//!   before the metainfo is known.
//! - [`ut_metadata`]: fetches the metainfo from peers (BEP 9), from several of them at once.
//! - [`upload`]: the upload rate, and which peers are served.
//! - [`pex`]: peer exchange in both directions (BEP 11); `compact`: the compact address format.
//! - [`tracker`]: HTTP announces and their replies (BEP 3, 7, 23), and tracker tiers (BEP 12).
//! - `scrape`: tracker scrapes (BEP 48), only for the command line.
//! - [`udp_tracker`]: announces over UDP, with retransmission and connection IDs (BEP 15, 41).
//! - [`socks`]: the SOCKS 5 client (RFC 1928, 1929).
//! - `dht`: a search of the DHT (BEP 5; feature `dht`).
//! - [`http`]: response heads of web seeds, and what they mean for the requested bytes.
//! - [`web_url`]: the URL of a file on a web seed (BEP 19).
//!
//! Invariants: every length that a peer, tracker or server states is bounded before it is used.
//! Their texts are made printable and short before anyone sees them. Payloads are passed on as
//! slices of the caller's buffer, never copied and never processed byte by byte, because a build
//! script runs at opt-level 0. Errors are small types of this module; `net` knows which party they
//! concern and adds that to the message.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

mod compact;
#[cfg(feature = "dht")]
pub mod dht;
pub mod extension;
pub mod http;
pub mod peer;
pub mod pex;
mod requests;
#[cfg(feature = "engine")]
pub mod scrape;
pub mod socks;
pub mod tracker;
pub mod udp_tracker;
pub mod upload;
pub mod ut_metadata;
pub mod web_url;
pub mod wire;

/// All characters except RFC 3986's unreserved ones.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes untrusted text safe for a log line: at most `max_chars` characters, none of which control
/// the terminal.
fn printable(bytes: &[u8], max_chars: usize) -> String {
    // UTF-8 uses at most four bytes per character, so no further bytes can matter.
    let bytes = bytes.get(..max_chars.saturating_mul(4)).unwrap_or(bytes);
    let unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().map(|c| if unfit(c) { ' ' } else { c }).collect();
    text.trim().chars().take(max_chars).collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn strangers_words_are_short_and_move_no_cursor() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(printable(bytes, 8), expected);
        check(b"qB/4.6", "qB/4.6");
        check(b"\x1b[2Jab\r\n", "[2Jab");
        check("\u{202e}évil".as_bytes(), "évil");
        check(&[b'x'; 100], "xxxxxxxx");
        check(b"\xff\xfea", "\u{fffd}\u{fffd}a");
        check(b"", "");
    }
}
