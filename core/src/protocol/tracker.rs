//! Trackers: the URL of an HTTP announce and the meaning of its reply (BEP 3, 7, 23), the contents
//! of any announce and reply, and the order in which a torrent's trackers are asked (BEP 12). For
//! UDP, see [`super::udp_tracker`].
//!
//! Replies are parsed leniently: addresses that cannot be a peer's and duplicates are left out, and
//! a missing, zero or negative interval counts as half an hour. Peers, intervals and texts are
//! bounded.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use percent_encoding::percent_encode;
use serde_bencode::value::Value;

use crate::address;
use crate::torrent::bencode::{self, Limits, ScanError};
use crate::torrent::infohash::Infohash;
use crate::url::Url;

use super::{UNRESERVED, compact, printable};

pub mod announce_queue;
mod rounds;
#[cfg(test)]
mod tests;

pub use rounds::{After, Rounds};

/// The longest reply that is read.
pub const MAX_REPLY_BYTES: usize = 1 << 20;
/// The maximum number of peers that are used from one reply.
pub const MAX_PEERS: usize = 2_000;

/// The maximum number of peers per reply whose host names are resolved: each lookup takes a thread.
pub const MAX_NAMES: usize = 16;
/// The maximum number of tiers that are asked in parallel.
const MAX_TIERS: usize = 32;

/// Enough for [`MAX_PEERS`] dictionaries, each with an address, a port and an ID.
const LIMITS: Limits = Limits { max_bytes: MAX_REPLY_BYTES, max_values: 30_000 };
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30 * 60);
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
pub(super) const MAX_TEXT_CHARS: usize = 200;

/// What an announce tells the tracker.
#[derive(Clone, Debug)]
pub struct Announce {
    /// The torrent.
    pub infohash: Infohash,
    /// Our ID in this session.
    pub peer_id: [u8; 20],
    /// The port on which we accept connections, or would if we listened.
    pub port: u16,
    /// Bytes sent since `started`.
    pub uploaded_bytes: u64,
    /// Bytes received since `started`.
    pub downloaded_bytes: u64,
    /// Bytes still missing.
    pub left_bytes: u64,
    /// The reason for the announce; `None` for a regular one after the interval.
    pub event: Option<AnnounceEvent>,
    /// How many peers we ask for.
    pub numwant: u32,
    /// Identifies us to the tracker when our address changes.
    pub key: u32,
}

/// The reason for an announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceEvent {
    /// The first announce.
    Started,
    /// We leave the swarm.
    Stopped,
    /// The download is complete.
    Completed,
}

/// Returns the announce URL; `base` is the tracker's URL from the torrent, with or without a query.
pub fn announce_url(base: &Url, announce: &Announce) -> Url {
    // A fragment is never sent, and the parameters must not become part of it.
    let base = base.exposed().trim().split('#').next().unwrap_or_default();
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
    Url::from(format!(
        "{base}{joint}info_hash={infohash}&peer_id={peer_id}&port={port}\
         &uploaded={uploaded_bytes}&downloaded={downloaded_bytes}&left={left_bytes}\
         &compact=1&numwant={numwant}&key={key:08x}{event}"
    ))
}

/// A tracker's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// When the tracker wants the next announce: at most a day, and half an hour if it does not
    /// say.
    pub interval: Duration,
    /// The interval before which the tracker wants no announce.
    pub min_interval: Option<Duration>,
    /// Peers without duplicates, in the tracker's order; at most [`MAX_PEERS`].
    pub peers: Vec<SocketAddr>,
    /// Peers named by host (`host:port`), not resolved yet; at most [`MAX_NAMES`].
    pub names: Vec<String>,
    /// How many peers were left out because this tracker may not name addresses in their networks.
    pub left_out: usize,
    /// The number of peers that have everything.
    pub complete: Option<u64>,
    /// The number of peers that do not.
    pub incomplete: Option<u64>,
    /// A message for the user, printable and short.
    pub warning: Option<String>,
}

/// Why a tracker's reply is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerError {
    /// The tracker refuses, for this reason.
    Failure(String),
    /// The reply is empty.
    Empty,
    /// The reply is a web page with this title.
    Page(String),
    /// The reply is plain text.
    Text(String),
    /// The reply is not bencode.
    Bencode(ScanError),
    /// The reply is bencode, but not a dictionary.
    NoDictionary,
    /// This many consecutive datagrams were not answered. `stray`: why the last datagram that
    /// arrived was not an answer.
    NoAnswer { tries: u32, stray: Option<&'static str> },
}

impl TrackerError {
    /// Returns the same error without the secrets in this URL, which the tracker may quote.
    pub fn redacted(self, url: &Url) -> TrackerError {
        match self {
            TrackerError::Failure(text) => TrackerError::Failure(url.redacted(&text)),
            TrackerError::Text(text) => TrackerError::Text(url.redacted(&text)),
            TrackerError::Page(title) => TrackerError::Page(url.redacted(&title)),
            other => other,
        }
    }

    /// Whether the tracker explains the failure in words, which say more than an HTTP status.
    pub fn is_worded(&self) -> bool {
        match self {
            TrackerError::Failure(text) | TrackerError::Text(text) => !text.is_empty(),
            _ => false,
        }
    }
}

impl fmt::Display for TrackerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrackerError::Failure(text) if text.is_empty() => {
                f.write_str("the tracker refused without a reason")
            }
            TrackerError::Failure(text) => write!(f, "the tracker says: {text}"),
            TrackerError::Empty => f.write_str("not a tracker reply: it is empty"),
            TrackerError::Page(title) => {
                f.write_str("not a tracker reply: it is a web page")?;
                if title.is_empty() { Ok(()) } else { write!(f, " (`{title}`)") }
            }
            TrackerError::Text(text) => {
                write!(f, "not a tracker reply: it is text (`{text}`)")
            }
            TrackerError::Bencode(error) => write!(f, "not a tracker reply: {error}"),
            TrackerError::NoDictionary => {
                f.write_str("not a tracker reply: it is not a bencoded dictionary")
            }
            TrackerError::NoAnswer { tries, stray } => {
                let tries_word = if *tries == 1 { "try" } else { "tries" };
                write!(f, "no answer after {tries} {tries_word}")?;
                stray.map_or(Ok(()), |why| write!(f, "; replies did not match the request: {why}"))
            }
        }
    }
}

impl std::error::Error for TrackerError {}

/// Parses the body of a reply. Trackers send failures with any HTTP status, so the body takes
/// precedence.
///
/// # Errors
/// The tracker's refusal, or what is wrong with its reply.
pub fn parse_reply(body: &[u8]) -> Result<Reply, TrackerError> {
    let value = bencode::decode(body, &LIMITS).map_err(|why| not_bencode(body, why))?;
    if !matches!(value, Value::Dict(_)) {
        return Err(TrackerError::NoDictionary);
    }
    let text = |key| bencode::bytes(&value, key).map(|text| printable(text, MAX_TEXT_CHARS));
    let (peers, names) = peers(&value);
    if let Some(reason) = bencode::get(&value, b"failure reason") {
        let words = bencode::as_bytes(reason).unwrap_or_default().trim_ascii();
        // Some trackers always send the key, and leave it empty.
        if !words.is_empty() || (peers.is_empty() && names.is_empty()) {
            return Err(TrackerError::Failure(printable(words, MAX_TEXT_CHARS)));
        }
    }
    let seconds = |key| bencode::int(&value, key).and_then(interval);
    let count = |key| bencode::int(&value, key).and_then(|count| u64::try_from(count).ok());
    Ok(Reply {
        left_out: 0,
        interval: seconds(b"interval").unwrap_or(DEFAULT_INTERVAL),
        min_interval: seconds(b"min interval"),
        peers,
        names,
        complete: count(b"complete"),
        incomplete: count(b"incomplete"),
        warning: text(b"warning message").filter(|text| !text.is_empty()),
    })
}

/// Classifies a body that is not bencode.
fn not_bencode(body: &[u8], why: ScanError) -> TrackerError {
    let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii();
    if text.is_empty() {
        return TrackerError::Empty;
    }
    if text.starts_with(b"<") {
        return TrackerError::Page(printable(title_of(text), MAX_TEXT_CHARS));
    }
    // A damaged dictionary is not text, even if all of its bytes are printable.
    let is_dictionary = matches!(text, [b'd', b'0'..=b'9' | b'e', ..]);
    let beginning = text.get(..MAX_TEXT_CHARS * 4).unwrap_or(text);
    let is_text =
        beginning.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
    match is_text && !is_dictionary && std::str::from_utf8(text).is_ok() {
        true => TrackerError::Text(printable(text, MAX_TEXT_CHARS)),
        false => TrackerError::Bencode(why),
    }
}

/// Returns the title of a web page; empty if it has none.
fn title_of(page: &[u8]) -> &[u8] {
    let lower = page.to_ascii_lowercase();
    let find = |what: &[u8], from: usize| {
        let rest = lower.get(from..)?;
        Some(from + rest.windows(what.len()).position(|it| it == what)?)
    };
    let title = || {
        let begin = find(b">", find(b"<title", 0)?)? + 1;
        page.get(begin..find(b"</title", begin)?)
    };
    title().unwrap_or_default().trim_ascii()
}

/// Converts a tracker's interval, bounded; `None` if it is zero or negative.
pub(super) fn interval(seconds: i64) -> Option<Duration> {
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds).min(MAX_INTERVAL))
}

/// Converts the interval of a tracker that states only one number for it.
pub(super) fn interval_or_default(seconds: i64) -> Duration {
    interval(seconds).unwrap_or(DEFAULT_INTERVAL)
}

/// Returns the peers by address and by name. `peers` and `peers6` are each a compact string, or a
/// list of dictionaries and compact strings. Trackers in PHP write a list with gaps as a dictionary.
fn peers(reply: &Value) -> (Vec<SocketAddr>, Vec<String>) {
    let (mut addresses, mut names): (Vec<SocketAddr>, Vec<String>) = (Vec::new(), Vec::new());
    for (key, is_v6) in [(&b"peers"[..], false), (b"peers6", true)] {
        let list: Vec<&Value> = match bencode::get(reply, key) {
            Some(Value::Bytes(bytes)) if is_v6 => {
                addresses.extend(compact::v6(bytes));
                continue;
            }
            Some(Value::Bytes(bytes)) => {
                addresses.extend(compact::v4(bytes));
                continue;
            }
            Some(Value::List(list)) => list.iter().collect(),
            Some(Value::Dict(list)) => {
                let mut list: Vec<_> = list.iter().collect();
                list.sort_by_key(|(index, _)| (index.len(), *index));
                list.into_iter().map(|(_, peer)| peer).collect()
            }
            _ => continue,
        };
        for peer in list {
            match listed(peer) {
                Some(ListedPeer::At(address)) => addresses.push(address),
                Some(ListedPeer::Named(name))
                    if names.len() < MAX_NAMES && !names.contains(&name) =>
                {
                    names.push(name);
                }
                _ => {}
            }
        }
    }
    (distinct(&mut addresses.into_iter()), names)
}

enum ListedPeer {
    At(SocketAddr),
    Named(String),
}

/// Parses a peer in a list.
fn listed(peer: &Value) -> Option<ListedPeer> {
    if let Some(bytes) = bencode::as_bytes(peer) {
        return match bytes.len() {
            6 => compact::v4(bytes).next().map(ListedPeer::At),
            18 => compact::v6(bytes).next().map(ListedPeer::At),
            _ => None,
        };
    }
    let ip = bencode::bytes(peer, b"ip")?;
    // Trackers in PHP write numbers from a database as strings.
    let written = || std::str::from_utf8(bencode::bytes(peer, b"port")?).ok()?.trim().parse().ok();
    let port = bencode::int(peer, b"port").or_else(written)?;
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    let at = |ip: IpAddr| Some(ListedPeer::At(SocketAddr::new(ip, port)));
    let host = std::str::from_utf8(ip).unwrap_or_default().trim();
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse() {
        return at(ip);
    }
    if address::is_name(host.strip_suffix('.').unwrap_or(host)) {
        return Some(ListedPeer::Named(format!("{host}:{port}")));
    }
    // Neither text nor a name: the address in binary.
    let v4 = <[u8; 4]>::try_from(ip).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(ip).map(IpAddr::from)).ok().and_then(at)
}

/// Keeps the addresses that can be a peer's, without duplicates; at most [`MAX_PEERS`].
pub fn distinct(peers: &mut dyn Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    peers
        .map(|peer| SocketAddr::new(peer.ip().to_canonical(), peer.port()))
        .filter(|peer| compact::can_be_a_peer(*peer) && seen.insert(*peer))
        .take(MAX_PEERS)
        .collect()
}

/// A torrent's trackers in the order in which they are asked (BEP 12): tier by tier, each tier
/// shuffled once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiers(Vec<Vec<Url>>);

impl Tiers {
    /// Creates the tiers from a torrent's `announce-list`, or from `announce` if the list names no
    /// tracker.
    ///
    /// Real torrents contain empty and duplicate URLs: empty ones are left out, and of duplicates
    /// only the first stays. The same `seed` shuffles the same way. Trackers of tiers beyond
    /// `MAX_TIERS` are appended to earlier tiers, to be asked if those do not answer.
    pub fn new(announce: Option<&Url>, announce_list: &[Vec<Url>], seed: u64) -> Tiers {
        let mut seen = HashSet::new();
        let mut tier = |urls: &mut dyn Iterator<Item = &Url>| -> Vec<Url> {
            urls.map(|url| url.exposed().trim())
                .filter(|url| !url.is_empty() && seen.insert((*url).to_owned()))
                .map(Url::from)
                .collect()
        };
        let mut tiers: Vec<_> = announce_list.iter().map(|urls| tier(&mut urls.iter())).collect();
        if tiers.iter().all(Vec::is_empty) {
            tiers = vec![tier(&mut announce.into_iter())];
        }
        tiers.retain(|tier| !tier.is_empty());
        let mut random = fastrand::Rng::with_seed(seed);
        tiers.iter_mut().for_each(|tier| random.shuffle(tier));
        let further = tiers.split_off(tiers.len().min(MAX_TIERS));
        for (index, tier) in further.into_iter().enumerate() {
            tiers[index % MAX_TIERS].extend(tier);
        }
        Tiers(tiers)
    }

    /// Returns the tiers, the first to ask at the front.
    pub fn tiers(&self) -> &[Vec<Url>] {
        &self.0
    }
}
