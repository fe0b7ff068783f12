//! Descriptive texts of a `.torrent`, for display. No hash covers those outside of `info` (feature
//! `engine`).

use super::{Metainfo, scan, text_of};
use crate::torrent::bencode::Node;

/// Texts as written by the torrent's creator, or by anyone who passed it on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub comment: Option<String>,
    pub created_by: Option<String>,
    /// Unix time in seconds.
    pub created: Option<i64>,
    /// No BEP defines a key for it; see [`Metainfo::license_of`].
    pub license: Option<String>,
    /// Who published the torrent: a site's tag, which changes the infohash, or a URL.
    pub source: Option<String>,
}

impl Metainfo {
    /// Returns the descriptive texts of a `.torrent`; all absent if the bytes are not a torrent.
    pub fn about(torrent: &[u8]) -> About {
        let Ok(scan) = scan(torrent) else { return About::default() };
        let root = scan.root();
        About {
            comment: text_of(root, &[b"comment"]),
            created_by: text_of(root, &[b"created by"]),
            created: root.get(b"creation date").and_then(Node::int),
            license: Metainfo::license_of(torrent),
            source: text_of(root, &[b"source", b"publisher-url"]),
        }
    }
}
