//! Trackers: what they are told and what they answer, the URL of an announce over HTTP and what its reply means
//! (BEP 3, 7, 23), and the order in which a torrent's trackers are asked (BEP 12). Over UDP: [`super::udp_tracker`].
//!
//! Replies are read with tolerance: an address that cannot be a peer's is left out, as is a second
//! one; a missing interval is half an hour. Peers, intervals and texts are bounded.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use percent_encoding::percent_encode;
use serde_bencode::value::Value;

use crate::bencode::{self, Limits, ScanError};
use crate::infohash::Infohash;

use super::{UNRESERVED, compact, printable};

mod rounds;
#[cfg(test)]
mod tests;

pub use rounds::{After, Rounds};

/// The longest reply that is read.
pub const MAX_REPLY_BYTES: usize = 1 << 20;
/// The most peers that one reply is believed.
pub const MAX_PEERS: usize = 2_000;

/// Enough for [`MAX_PEERS`] dictionaries of an address, a port and an id each.
const LIMITS: Limits = Limits { max_bytes: MAX_REPLY_BYTES, max_depth: 8, max_values: 30_000 };
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30 * 60);
const MIN_INTERVAL_SECONDS: u64 = 1;
const MAX_INTERVAL_SECONDS: u64 = 24 * 60 * 60;
pub(super) const MAX_TEXT_CHARS: usize = 200;

/// Begins a refusal in a tracker's own words.
pub const REFUSES: &str = "the tracker ";

/// What a tracker is told.
#[derive(Clone, Debug)]
pub struct Announce {
    /// The torrent.
    pub infohash: Infohash,
    /// Who we are in this session.
    pub peer_id: [u8; 20],
    /// Where we would take connections, if we did.
    pub port: u16,
    /// Bytes sent since `started`.
    pub uploaded_bytes: u64,
    /// Bytes received since `started`.
    pub downloaded_bytes: u64,
    /// Bytes still missing.
    pub left_bytes: u64,
    /// Why we announce; `None`: because the interval is over.
    pub event: Option<AnnounceEvent>,
    /// How many peers we would like.
    pub numwant: u32,
    /// By which the tracker knows us again when our address changes.
    pub key: u32,
}

/// Why an announce is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceEvent {
    /// The first one.
    Started,
    /// We leave.
    Stopped,
    /// All is here.
    Completed,
}

/// The URL that announces; `base` is what the torrent names, with or without a query of its own.
pub fn announce_url(base: &str, announce: &Announce) -> String {
    // What follows a `#` would never be sent, and the announce would follow it.
    let base = base.trim().split('#').next().unwrap_or_default();
    let joint = match base.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let infohash = percent_encode(announce.infohash.as_bytes(), UNRESERVED);
    let peer_id = percent_encode(&announce.peer_id, UNRESERVED);
    let Announce { port, uploaded_bytes, downloaded_bytes, left_bytes, numwant, key, .. } =
        announce;
    let event = match announce.event {
        None => "",
        Some(AnnounceEvent::Started) => "&event=started",
        Some(AnnounceEvent::Stopped) => "&event=stopped",
        Some(AnnounceEvent::Completed) => "&event=completed",
    };
    format!(
        "{base}{joint}info_hash={infohash}&peer_id={peer_id}&port={port}\
         &uploaded={uploaded_bytes}&downloaded={downloaded_bytes}&left={left_bytes}\
         &compact=1&numwant={numwant}&key={key:08x}{event}"
    )
}

/// What a tracker answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// When it wants to hear from us again: 1 second to 1 day; half an hour if it does not say.
    pub interval: Duration,
    /// Before which it does not want to.
    pub min_interval: Option<Duration>,
    /// Peers, each once, in the tracker's order; at most [`MAX_PEERS`].
    pub peers: Vec<SocketAddr>,
    /// How many peers have everything.
    pub complete: Option<u64>,
    /// How many do not.
    pub incomplete: Option<u64>,
    /// What it wants a person to read, printable and short.
    pub warning: Option<String>,
}

/// Why a tracker's reply brings nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerError {
    /// It says no, and why.
    Failure(String),
    /// The reply is not bencode.
    Bencode(ScanError),
    /// The reply is bencode, but no dictionary.
    NoDictionary,
}

impl fmt::Display for TrackerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrackerError::Failure(text) if text.is_empty() => {
                write!(f, "{REFUSES}refuses, and gives no reason")
            }
            TrackerError::Failure(text) => write!(f, "{REFUSES}says: {text}"),
            TrackerError::Bencode(error) => write!(f, "the reply is not a tracker's: {error}"),
            TrackerError::NoDictionary => {
                f.write_str("the reply is not a tracker's: it is no dictionary")
            }
        }
    }
}

impl std::error::Error for TrackerError {}

/// Reads the body of a reply. Trackers send failures with any HTTP status, so the body is read first.
///
/// # Errors
/// The tracker's own refusal, or what is wrong with its reply.
pub fn parse_reply(body: &[u8]) -> Result<Reply, TrackerError> {
    let value = bencode::decode(body, &LIMITS).map_err(TrackerError::Bencode)?;
    if !matches!(value, Value::Dict(_)) {
        return Err(TrackerError::NoDictionary);
    }
    let text = |key| bencode::bytes(&value, key).map(|text| printable(text, MAX_TEXT_CHARS));
    if let Some(reason) = text(b"failure reason") {
        return Err(TrackerError::Failure(reason));
    }
    let seconds =
        |key| bencode::int(&value, key).map(|seconds| interval(seconds.try_into().unwrap_or(0)));
    let count = |key| bencode::int(&value, key).and_then(|count| u64::try_from(count).ok());
    Ok(Reply {
        interval: seconds(b"interval").unwrap_or(DEFAULT_INTERVAL),
        min_interval: seconds(b"min interval"),
        peers: peers(&value),
        complete: count(b"complete"),
        incomplete: count(b"incomplete"),
        warning: text(b"warning message").filter(|text| !text.is_empty()),
    })
}

/// What a tracker says of when it wants to hear from us again, within bounds.
pub(super) fn interval(seconds: u64) -> Duration {
    Duration::from_secs(seconds.clamp(MIN_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS))
}

fn peers(reply: &Value) -> Vec<SocketAddr> {
    let bytes = |key| bencode::bytes(reply, key).unwrap_or_default();
    let (v4, v6) = (compact::v4(bytes(b"peers")), compact::v6(bytes(b"peers6")));
    let dictionaries = bencode::list(reply, b"peers").unwrap_or_default();
    let dictionaries = dictionaries.iter().filter_map(|peer| {
        let ip = std::str::from_utf8(bencode::bytes(peer, b"ip")?).ok()?;
        let port = u16::try_from(bencode::int(peer, b"port")?).ok()?;
        Some(SocketAddr::new(ip.trim().parse().ok()?, port))
    });
    distinct(&mut v4.chain(dictionaries).chain(v6))
}

/// Those that can be peers, each once, at most [`MAX_PEERS`].
pub(super) fn distinct(peers: &mut dyn Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    peers
        .map(|peer| SocketAddr::new(peer.ip().to_canonical(), peer.port()))
        .filter(|peer| compact::can_be_a_peer(*peer) && seen.insert(*peer))
        .take(MAX_PEERS)
        .collect()
}

/// A torrent's trackers in the order in which they are asked (BEP 12): tier by tier, and within a
/// tier shuffled once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiers(Vec<Vec<String>>);

impl Tiers {
    /// From a torrent's `announce-list`, or from `announce` where that names nobody.
    ///
    /// Real torrents hold empty URLs and the same one several times: both are left out, the first
    /// of its like stays. The same `seed` shuffles alike.
    pub fn new(announce: Option<&str>, announce_list: &[Vec<String>], seed: u64) -> Tiers {
        let mut seen = HashSet::new();
        let mut tier = |urls: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            urls.map(str::trim)
                .filter(|url| !url.is_empty() && seen.insert((*url).to_owned()))
                .map(str::to_owned)
                .collect()
        };
        let mut tiers: Vec<_> =
            announce_list.iter().map(|urls| tier(&mut urls.iter().map(String::as_str))).collect();
        if tiers.iter().all(Vec::is_empty) {
            tiers = vec![tier(&mut announce.into_iter())];
        }
        tiers.retain(|tier| !tier.is_empty());
        let mut random = fastrand::Rng::with_seed(seed);
        tiers.iter_mut().for_each(|tier| random.shuffle(tier));
        Tiers(tiers)
    }

    /// The tiers, the one to be asked first at the front.
    pub fn tiers(&self) -> &[Vec<String>] {
        &self.0
    }
}
