//! What a `.torrent` says about itself, for people to read: outside of `info` no hash covers it (feature `engine`).

use super::{MAX_COMMENT_BYTES, Metainfo, scan};
use crate::torrent::bencode::Node;

/// Texts, as their makers or whoever handed them on wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub comment: Option<String>,
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub created: Option<i64>,
    /// No BEP names a key for it; these are in use.
    pub license: Option<String>,
    /// Who published it: a site's mark that changes the infohash, or an address.
    pub source: Option<String>,
}

impl Metainfo {
    /// What the `.torrent` says beside its files; nothing of what is no torrent.
    pub fn about(torrent: &[u8]) -> About {
        let Ok(scan) = scan(torrent) else { return About::default() };
        let (root, info) = (scan.root(), scan.root().get(b"info"));
        let text = |key: &[u8]| {
            let node = root.get(key).or_else(|| info?.get(key))?;
            let bytes = node.bytes()?;
            let bytes = bytes.get(..MAX_COMMENT_BYTES).unwrap_or(bytes);
            let text = String::from_utf8_lossy(bytes).trim().to_owned();
            Some(text).filter(|text| !text.is_empty())
        };
        About {
            comment: text(b"comment"),
            created_by: text(b"created by"),
            created: root.get(b"creation date").and_then(Node::int),
            license: [&b"license"[..], b"licence"].into_iter().find_map(text),
            source: text(b"source").or_else(|| text(b"publisher-url")),
        }
    }
}
