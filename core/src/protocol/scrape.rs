//! Tracker scrapes (BEP 15, 48): the number of peers of a torrent, without joining its swarm
//! (feature `engine`).

use percent_encoding::percent_encode;

use super::UNRESERVED;
use super::tracker::{MAX_REPLY_BYTES, Reply, interval_or_default};
use super::udp_tracker::UdpTrackerSession;
use crate::torrent::bencode::{self, Limits, Node};
use crate::torrent::infohash::Infohash;
use crate::url::Url;

#[cfg(test)]
mod tests;

/// A tracker that ignores the infohash returns all of its torrents, so the number of values is
/// limited.
const LIMITS: Limits = Limits { max_bytes: MAX_REPLY_BYTES, max_values: 200_000 };

/// The action of a scrape over UDP.
const SCRAPE: u32 = 2;

/// The number of peers of a torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Peers that have everything.
    pub seeds: Option<u64>,
    /// Peers that do not.
    pub leechers: Option<u64>,
}

/// Returns the scrape URL for an announce URL; `None` if the tracker does not support scrapes,
/// which the announce URL shows.
pub fn scrape_url(announce: &Url, infohash: Infohash) -> Option<Url> {
    let announce = announce.exposed().trim().split('#').next().unwrap_or_default();
    let (path, query) = announce.split_once('?').unwrap_or((announce, ""));
    let (before, last) = path.rsplit_once('/')?;
    let rest = last.strip_prefix("announce")?;
    let joint = if query.is_empty() || query.ends_with('&') { "" } else { "&" };
    let infohash = percent_encode(infohash.as_bytes(), UNRESERVED);
    Some(format!("{before}/scrape{rest}?{query}{joint}info_hash={infohash}").into())
}

/// Parses the counts for this torrent; `None` if the reply is not a scrape's, is a refusal, or does
/// not have the torrent.
pub fn parse_scrape(reply: &[u8], infohash: Infohash) -> Option<ScrapeCounts> {
    let scan = bencode::scan(reply, &LIMITS).ok()?;
    let root = scan.root();
    if root.get(b"failure reason").and_then(Node::bytes).is_some() {
        return None;
    }
    let torrent = root.get(b"files")?.get(infohash.as_bytes())?;
    let count = |key| torrent.get(key).and_then(Node::int).and_then(|it| u64::try_from(it).ok());
    Some(ScrapeCounts { seeds: count(b"complete"), leechers: count(b"incomplete") })
}

impl UdpTrackerSession {
    /// Starts a scrape, replacing any pending request; its [`Reply`] has counts and no peers.
    pub fn scrape(&mut self, infohash: Infohash) {
        self.ask(SCRAPE, infohash.as_bytes().to_vec(), scraped);
    }
}

/// Parses what follows the transaction ID in the answer for one torrent: seeders, completed,
/// leechers.
fn scraped(bytes: &[u8], _ipv6: bool) -> Option<Reply> {
    let words = bytes.first_chunk::<12>()?;
    let [seeders, leechers] =
        [0, 8].map(|at| u32::from_be_bytes([0, 1, 2, 3].map(|byte| words[at + byte])));
    Some(Reply {
        interval: interval_or_default(0),
        complete: Some(seeders.into()),
        incomplete: Some(leechers.into()),
        ..Reply::default()
    })
}
