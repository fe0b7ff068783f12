//! UDP trackers (BEP 15): the exchange of datagrams with one tracker at one address, including the
//! URL's path and query (BEP 41).
//!
//! ```text
//!            ┌────────────── no connection ID, or it has expired ──────────────┐
//! announce ──┤                                                                 ▼
//!            └─ an ID of the last minute ─▶ announcing ◀─ an ID arrives ─ connecting
//!                                             │  │ refused, old ID ────────▶   │
//!                                 peers, or   │  └─ silent ─┐      ┌─ silent ──┤
//!                                 a refusal ◀─┘             ▼      ▼           └─▶ a refusal
//!                                                  the same again, twice as long
//! ```
//!
//! A request that is not answered within 15·2ⁿ seconds is sent again; n grows by one each time, up
//! to 8, and returns to 0 once the tracker answers anything. [`UdpTrackerSession::poll`] reports
//! when the time is over; the caller decides when to give up. A datagram that is too short or
//! matches no request is ignored, and only mentioned in the error message.

use std::net::SocketAddr;
use std::time::Duration;

use super::tracker::{
    Announce, AnnounceEvent, MAX_TEXT_CHARS, Reply, TrackerError, distinct, interval_or_default,
};
use super::{compact, printable};

#[cfg(test)]
mod tests;

/// BEP 15's timeout for the first request. Tests use less.
pub const FIRST_WAIT: Duration = Duration::from_secs(15);

/// The longest path with query that is sent: the datagram stays small enough not to be fragmented.
pub const MAX_URL_DATA_BYTES: usize = 1_000;

/// How long a connection ID may be used after it arrived (BEP 15).
const CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// How often the timeout doubles (BEP 15).
const MAX_DOUBLINGS: u32 = 8;

const MAGIC: u64 = 0x0417_2710_1980;
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const ERROR: u32 = 3;

/// BEP 41's option for path and query.
const URL_DATA: u8 = 2;

/// The length of the connection ID, which precedes the action and transaction ID.
const ID_BYTES: usize = 8;

/// Splits a UDP tracker's URL into host with port, and path with query.
///
/// # Errors
/// What is wrong with the URL, for example no port, or a path longer than [`MAX_URL_DATA_BYTES`].
pub fn parts(url: &str) -> Result<(&str, &str), &'static str> {
    const ODD: &str = "it is not a UDP tracker's address, which is udp://host:port";
    const NO_PORT: &str = "it has no port: a UDP tracker's address is udp://host:port";
    let url = url.trim().split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").ok_or(ODD)?;
    let (place, url_data) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !scheme.eq_ignore_ascii_case("udp") || place.is_empty() {
        return Err(ODD);
    }
    // The last colon of a bracketed IPv6 address does not start a port.
    let port = place.rsplit_once(':').filter(|(_, port)| !port.is_empty() && !port.ends_with(']'));
    let (host, port) = port.ok_or(NO_PORT)?;
    let is_one = !host.is_empty()
        && !host.contains(char::is_whitespace)
        && !host.contains('@')
        && !port.starts_with('+')
        && port.parse::<u16>().is_ok_and(|port| port != 0);
    match is_one {
        false => Err(ODD),
        true if url_data.len() > MAX_URL_DATA_BYTES => Err("its path is too long for a datagram"),
        true => Ok((place, url_data)),
    }
}

/// What the caller should do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerPoll {
    /// Nothing: there is no request.
    Idle,
    /// Send this datagram.
    Send(Vec<u8>),
    /// Wait for an answer until this time.
    Wait(Duration),
    /// No answer arrived in time. The next call sends the request again.
    Silent,
}

/// The state of the exchange with one tracker at one address.
#[derive(Debug)]
pub struct UdpTrackerSession {
    ipv6: bool,
    first_wait: Duration,
    random: fastrand::Rng,
    /// The action of the current task: announce or scrape.
    action: u32,
    /// Decodes what follows the transaction ID in the answer; the flag says whether the tracker's
    /// address is IPv6. `None` if the answer is too short.
    decode: fn(&[u8], bool) -> Option<Reply>,
    /// What follows the transaction ID in the announce or scrape; empty if there is no request.
    announce: Vec<u8>,
    connection: Option<TrackerConnection>,
    request: Option<PendingRequest>,
    /// How many requests in a row were not answered.
    unanswered: u32,
    /// Why the last datagram that arrived was not an answer.
    stray: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
struct TrackerConnection {
    id: [u8; ID_BYTES],
    until: Duration,
    /// Whether it was requested for the current announce.
    fresh: bool,
}

#[derive(Clone, Copy, Debug)]
struct PendingRequest {
    action: u32,
    transaction: u32,
    /// The end of the wait; `None` if the request must be sent again.
    until: Option<Duration>,
}

impl UdpTrackerSession {
    /// `ipv6`: the family of the tracker's address, which determines the format of peers.
    /// `first_wait`: [`FIRST_WAIT`], or less in tests.
    pub fn new(ipv6: bool, first_wait: Duration, seed: u64) -> UdpTrackerSession {
        UdpTrackerSession {
            ipv6,
            first_wait,
            random: fastrand::Rng::with_seed(seed),
            action: ANNOUNCE,
            decode: reply,
            announce: Vec::new(),
            connection: None,
            request: None,
            unanswered: 0,
            stray: None,
        }
    }

    /// Starts an announce, replacing any pending one; `url_data` is the second part that [`parts`]
    /// returned.
    pub fn announce(&mut self, announce: &Announce, url_data: &str) {
        self.ask(ANNOUNCE, body(announce, url_data), reply);
    }

    pub(super) fn ask(
        &mut self,
        action: u32,
        body: Vec<u8>,
        decode: fn(&[u8], bool) -> Option<Reply>,
    ) {
        (self.action, self.announce, self.decode) = (action, body, decode);
        // A pending connect request serves the new task as well.
        self.request = self.request.filter(|request| request.action == CONNECT);
        if let Some(connection) = &mut self.connection {
            connection.fresh = false;
        }
    }

    /// Forgets everything that belongs to the address, because the tracker is asked at another one.
    pub fn move_on(&mut self) {
        self.connection = None;
        self.request = None;
    }

    /// Returns what to do at this time.
    pub fn poll(&mut self, now: Duration) -> TrackerPoll {
        if self.announce.is_empty() {
            return TrackerPoll::Idle;
        }
        let waits = self.request.as_mut().and_then(|it| it.until.map(|until| (it, until)));
        if let Some((request, until)) = waits {
            if now < until {
                return TrackerPoll::Wait(until);
            }
            request.until = None;
            self.unanswered = self.unanswered.saturating_add(1);
            if request.action != CONNECT {
                // Some trackers do not answer at all if they have forgotten the connection ID.
                self.connection = self.connection.filter(|connection| connection.fresh);
            }
            return TrackerPoll::Silent;
        }
        self.connection = self.connection.filter(|connection| now < connection.until);
        let action = if self.connection.is_some() { self.action } else { CONNECT };
        let transaction = match self.request {
            Some(request) if request.action == action => request.transaction,
            _ => self.random.u32(..),
        };
        let wait = self.first_wait.saturating_mul(1 << self.unanswered.min(MAX_DOUBLINGS));
        self.request =
            Some(PendingRequest { action, transaction, until: Some(now.saturating_add(wait)) });
        let (id, rest) = match self.connection {
            Some(connection) => (connection.id, &self.announce[..]),
            None => (MAGIC.to_be_bytes(), &[][..]),
        };
        TrackerPoll::Send(
            [&id[..], &action.to_be_bytes(), &transaction.to_be_bytes(), rest].concat(),
        )
    }

    /// Handles a datagram from the tracker; returns the result when the announce ends.
    pub fn handle(
        &mut self,
        datagram: &[u8],
        now: Duration,
    ) -> Option<Result<Reply, TrackerError>> {
        let request = self.request?;
        let Some((action, transaction, rest)) = head(datagram) else {
            self.stray = Some("it is too short");
            return None;
        };
        if transaction != request.transaction {
            self.stray = Some("the transaction ID does not match");
            return None;
        }
        match (action, request.action) {
            (CONNECT, CONNECT) => {
                let Some(id) = rest.first_chunk() else {
                    self.stray = Some("it is too short");
                    return None;
                };
                let until = now.saturating_add(CONNECTION_LIFE);
                self.connection = Some(TrackerConnection { id: *id, until, fresh: true });
                self.answered();
                None
            }
            (ANNOUNCE, ANNOUNCE) if rest.is_empty() => {
                // This is how opentracker refuses a torrent that it does not track; over HTTP it
                // sends a message.
                self.answered();
                self.announce.clear();
                Some(Err(TrackerError::Failure(String::new())))
            }
            (action, asked) if action == asked => {
                let Some(reply) = (self.decode)(rest, self.ipv6) else {
                    self.stray = Some("it is too short");
                    return None;
                };
                self.answered();
                self.announce.clear();
                Some(Ok(reply))
            }
            (ERROR, _) => {
                let had = self.connection.take();
                self.answered();
                if request.action != CONNECT && had.is_some_and(|connection| !connection.fresh) {
                    // The tracker may refuse only the connection ID, which no error code reveals:
                    // retry once with a new one.
                    return None;
                }
                self.announce.clear();
                Some(Err(TrackerError::Failure(printable(rest, MAX_TEXT_CHARS))))
            }
            _ => {
                self.stray = Some("the action does not match the request");
                None
            }
        }
    }

    /// Returns the error for a tracker that did not answer.
    pub fn silence(&self) -> TrackerError {
        TrackerError::NoAnswer { tries: self.unanswered, stray: self.stray }
    }

    fn answered(&mut self) {
        self.request = None;
        self.unanswered = 0;
        self.stray = None;
    }
}

/// Splits a datagram into action, transaction ID, and the rest.
fn head(datagram: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (action, rest) = datagram.split_first_chunk()?;
    let (transaction, rest) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*action), u32::from_be_bytes(*transaction), rest))
}

/// Encodes what follows the transaction ID in an announce.
fn body(announce: &Announce, url_data: &str) -> Vec<u8> {
    let event: u32 = match announce.event {
        None => 0,
        Some(AnnounceEvent::Completed) => 1,
        Some(AnnounceEvent::Started) => 2,
        Some(AnnounceEvent::Stopped) => 3,
    };
    let mut body = [&announce.infohash.as_bytes()[..], &announce.peer_id].concat();
    for bytes in [announce.downloaded_bytes, announce.left_bytes, announce.uploaded_bytes] {
        body.extend(bytes.to_be_bytes());
    }
    // IP address 0: the tracker uses the datagram's source address.
    for word in [event, 0, announce.key, announce.numwant] {
        body.extend(word.to_be_bytes());
    }
    body.extend(announce.port.to_be_bytes());
    for part in url_data.as_bytes().chunks(u8::MAX.into()) {
        body.extend([URL_DATA, part.len() as u8]);
        body.extend(part);
    }
    body
}

/// Decodes what follows the transaction ID in the answer to an announce.
fn reply(bytes: &[u8], ipv6: bool) -> Option<Reply> {
    let (words, peers) = bytes.split_first_chunk::<12>()?;
    let [seconds, leechers, seeders] =
        [0, 4, 8].map(|at| u32::from_be_bytes([0, 1, 2, 3].map(|byte| words[at + byte])));
    let peers: Vec<SocketAddr> =
        if ipv6 { distinct(&mut compact::v6(peers)) } else { distinct(&mut compact::v4(peers)) };
    Some(Reply {
        // BEP 15's integers are signed.
        interval: interval_or_default((seconds as i32).into()),
        peers,
        complete: Some(seeders.into()),
        incomplete: Some(leechers.into()),
        ..Reply::default()
    })
}
