//! What is said on the wire, without the wire: bytes and time in, bytes and events out.
//!
//! Layer 1. Codecs and state machines that open no socket and read no clock; `net` owns both, and
//! calls in here with what it read and with the time since some moment of its own.
//!
//! - [`wire`]: handshake and messages of the peer protocol (BEP 3, 6), the envelope of its extensions.
//! - [`extension`]: the extension handshake (BEP 10).
//! - [`peer`]: one connection, both ways: handshake, bitfield, requests, blocks; before the metainfo is known, too.
//! - [`ut_metadata`]: the metainfo from peers (BEP 9), and what several of them send of it.
//! - [`upload`]: how fast we serve, and whom.
//! - [`pex`]: the peers that a peer names, and that it is told of (BEP 11); `compact`: how addresses are written.
//! - [`tracker`]: HTTP announces and their replies (BEP 3, 7, 23), and tiers (BEP 12).
//! - `scrape`: HTTP scrapes (BEP 48), for the command line alone.
//! - [`udp_tracker`]: announces over UDP, their retransmission and the tracker's connection ids (BEP 15, 41).
//! - [`socks`]: what is said to a SOCKS proxy (RFC 1928, 1929).
//! - `dht`: a search of the DHT (BEP 5; feature `dht`).
//! - [`http`]: heads of web seeds' replies, and what they mean for the bytes that were asked for.
//! - [`web_url`]: the URL of a file on a web seed (BEP 19).
//!
//! Invariants: every length that a peer, tracker or server states is bounded before it is used; what
//! they say in words is made printable and short before anybody sees it; payloads are handed on as
//! slices of the caller's buffer, never copied and never walked byte by byte, because a build script
//! runs at opt-level 0. Failures are this module's own small types; who talks to whom, and so what a
//! person should be told, is known in `net`.

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

/// All but RFC 3986's unreserved characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A stranger's words, fit for a line of a log: at most `max_chars`, and nothing that moves a cursor.
fn printable(bytes: &[u8], max_chars: usize) -> String {
    // Four bytes make at most one character, so no more of them need be looked at.
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
