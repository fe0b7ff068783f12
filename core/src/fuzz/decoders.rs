//! Decoders that take all bytes at once.

use std::path::Path;

use crate::manifest::Manifest;
use crate::plan::{Layout, SegmentPlace, Selection};
use crate::protocol::http::{parse_head, verdict};
#[cfg(feature = "engine")]
use crate::protocol::scrape;
use crate::protocol::{tracker, udp_tracker, web_url};
use crate::torrent::bencode::{self, Limits, Node};
use crate::torrent::magnet::Magnet;
use crate::torrent::metainfo::Metainfo;
use crate::url::Url;

use super::Input;

/// The scan, and `serde_bencode` after it: both accept the same inputs and read the same values.
pub fn bencode(data: &[u8]) {
    let limits = Limits { max_bytes: 1 << 20, max_values: 10_000 };
    let scanned = bencode::scan(data, &limits);
    let decoded = bencode::decode(data, &limits);
    assert_eq!(scanned.is_ok(), decoded.is_ok());
    if let (Ok(scan), Ok(value)) = (&scanned, &decoded) {
        let root = scan.root();
        assert_eq!(root.raw(), &data[bencode::before(data)..scan.used()]);
        assert_eq!(root.bytes(), bencode::as_bytes(value));
        for key in root.entries().step_by(2).filter_map(|key| key.bytes()) {
            let node = root.get(key);
            assert_eq!(node.and_then(Node::int), bencode::int(value, key));
            assert_eq!(node.and_then(Node::bytes), bencode::bytes(value, key));
            assert_eq!(node.is_some_and(Node::is_dict), bencode::dict(value, key).is_some());
        }
        // The canonical form of a tolerated input needs no tolerance.
        let canonical = scan.canonical();
        let again = bencode::scan(&canonical, &limits);
        assert!(again.is_ok_and(|again| again.is_exact() && again.canonical() == canonical));
        assert!(!scan.is_exact() || scan.oddity(root).is_none());
    }
    if let Ok(prefix) = bencode::scan_prefix(data, &limits) {
        assert!(prefix.used() <= data.len());
        assert!(bencode::scan(&data[..prefix.used()], &limits).is_ok());
    }
}

/// A `.torrent`: parsed and planned. Its `info` keeps its infohash when it is wrapped again.
pub fn torrent(data: &[u8]) {
    #[cfg(feature = "engine")]
    let _ = Metainfo::about(data);
    let Ok(metainfo) = Metainfo::parse(data) else { return };
    assert_eq!(Metainfo::infohash_of(data).ok(), Some(metainfo.infohash));
    let again = Metainfo::parse(&Metainfo::wrap(metainfo.raw_info(), &[]));
    assert_eq!(again.ok().map(|again| again.infohash), Some(metainfo.infohash));
    for selection in [Selection::of(&metainfo, &[], &[]).ok(), Some(Selection::all(&metainfo))] {
        let Some(selection) = selection else { continue };
        let layout = Layout::new(&metainfo, &selection);
        let geometry = layout.geometry();
        let total_bytes = geometry.bytes(0..geometry.piece_count()).end;
        assert!(layout.needed_bytes() <= total_bytes);
        for file in layout.files() {
            let path = file.path();
            assert!(path.is_relative(), "{path:?}");
            let leaves = |part| !matches!(part, std::path::Component::Normal(_));
            assert!(!path.components().any(leaves), "{path:?}");
        }
        let lengths: Vec<u64> = layout.files().map(|file| file.length()).collect();
        // Every needed byte has exactly one place, in order.
        let mut at = 0;
        for segment in layout.segments(0..total_bytes) {
            assert!(segment.range.start >= at && segment.range.start < segment.range.end);
            at = segment.range.end;
            if let SegmentPlace::File { file, offset } = segment.place {
                let length = segment.range.end - segment.range.start;
                assert!(offset + length <= lengths[file as usize]);
            }
        }
    }
}

/// A magnet link.
pub fn magnet(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if Magnet::parse(&text).is_ok() {
        assert!(Magnet::is_one(&text));
    }
}

/// A Cargo.toml.
pub fn manifest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Manifest::parse(&text, Path::new("Cargo.toml"));
}

/// URLs of web seeds and trackers, and their masked form.
pub fn urls(data: &[u8]) {
    let mut input = Input(data);
    let (first, second) = (input.chunk(), input.chunk());
    let (base, location) = (String::from_utf8_lossy(first), String::from_utf8_lossy(second));
    let url = Url::from(&*base);
    let shown = url.to_string();
    if let Some(parts) = url.parts() {
        // The login is between `://` and the last `@` before the path.
        let authority = base.len() - parts.scheme.len() - 3 - parts.target.len();
        if let Some(login) = base
            .get(parts.scheme.len() + 3..)
            .and_then(|rest| rest.get(..authority)?.strip_suffix(parts.host)?.strip_suffix('@'))
        {
            // If the login occurs only once, it must not be shown.
            let is_shown = base.matches(login).count() == 1 && shown.contains(login);
            // A login may contain the mask itself.
            let is_mask = login.contains('…');
            assert!(login.len() < 4 || is_mask || !is_shown, "{shown} shows {login}");
        }
    }
    let _ = (url.origin(), url.authorization(), url.without_login(), url.redacted(&location));
    let _ = udp_tracker::parts(&base);
    let urls = web_url::FileUrls::new(&url, second.len() % 2 == 0, second);
    let of_file = urls.in_form(0, input.0.split(|byte| *byte == b'/'));
    assert!(!of_file.exposed().trim_start().contains(['\r', '\n', ' ']), "{of_file:?}");
}

/// The head of an HTTP response, and its verdict for a requested range.
pub fn http_head(data: &[u8]) {
    let mut input = Input(data);
    let (start, length) = (u64::from(input.number()), u64::from(input.byte()) + 1);
    let file_bytes = start + length + u64::from(input.number());
    if let Ok(Some((head, used))) = parse_head(input.0) {
        assert!(used <= input.0.len());
        let _ = verdict::judge(&head, &(start..start + length), file_bytes);
    }
}

/// A tracker's HTTP response to an announce and to a scrape.
pub fn tracker_reply(data: &[u8]) {
    if let Ok(reply) = tracker::parse_reply(data) {
        assert!(reply.peers.len() <= tracker::MAX_PEERS);
    }
    #[cfg(feature = "engine")]
    let _ = scrape::parse_scrape(data, crate::Infohash::from_bytes([7; 20]));
}
