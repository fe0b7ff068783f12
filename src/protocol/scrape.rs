//! Scrapes of HTTP trackers (BEP 48): how many have a torrent, without taking part in it (feature `cli`).

use percent_encoding::percent_encode;

use super::UNRESERVED;
use super::tracker::{MAX_REPLY_BYTES, MAX_TEXT_CHARS};
use crate::bencode::{self, Limits, Node};
use crate::infohash::Infohash;

#[cfg(test)]
mod tests;

/// A tracker that passes over the infohash tells of all its torrents: there is a limit to that.
const LIMITS: Limits = Limits { max_bytes: MAX_REPLY_BYTES, max_depth: 8, max_values: 200_000 };

/// How many have a torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Peers that have everything.
    pub seeds: Option<u64>,
    /// Peers that do not.
    pub leeches: Option<u64>,
}

/// The URL that scrapes, by that which announces; `None` where a tracker's URL says that it has none.
pub fn scrape_url(announce: &str, infohash: Infohash) -> Option<String> {
    let announce = announce.trim().split('#').next().unwrap_or_default();
    let (path, query) = announce.split_once('?').unwrap_or((announce, ""));
    let (before, last) = path.rsplit_once('/')?;
    let rest = last.strip_prefix("announce")?;
    let joint = if query.is_empty() || query.ends_with('&') { "" } else { "&" };
    let infohash = percent_encode(infohash.as_bytes(), UNRESERVED);
    Some(format!("{before}/scrape{rest}?{query}{joint}info_hash={infohash}"))
}

/// What a scrape's reply says of this torrent.
///
/// # Errors
/// Why it says nothing: it is no scrape, names a reason, or does not have the torrent.
pub fn parse_scrape(reply: &[u8], infohash: Infohash) -> Result<Counts, String> {
    let scan = bencode::scan(reply, &LIMITS).map_err(|why| why.to_string())?;
    let root = scan.root();
    if let Some(reason) = root.get(b"failure reason").and_then(Node::bytes) {
        return Err(format!("it refuses: {}", super::printable(reason, MAX_TEXT_CHARS)));
    }
    let files = root.get(b"files").ok_or("it is no scrape")?;
    let torrent = files.get(infohash.as_bytes()).ok_or("it does not know the torrent")?;
    let count = |key| torrent.get(key).and_then(Node::int).and_then(|it| u64::try_from(it).ok());
    Ok(Counts { seeds: count(b"complete"), leeches: count(b"incomplete") })
}
