//! Everything that opens a socket: HTTP (catalogue, trackers, mirrors, web seeds), UDP trackers, the DHT and peers; each through
//! the user's proxy, where that carries it. And what listens: [`Listener`], for `seed` alone.
//!
//! Floor 2; the only room with sockets. What the bytes mean is decided in [`crate::protocol`]; this room moves
//! them, with a deadline on every wait, and a bound on every length that comes from outside.
//!
//! [`Client`] is made once for a dataset. [`Client::shut_down`] closes all its sockets at once, so that a worker
//! that is blocked on one wakes up: the end of a download waits for nobody.

#[cfg(feature = "dht")]
mod dht;
mod http;
mod lent;
#[cfg(feature = "seed")]
mod listen;
#[cfg(feature = "cli")]
mod newer;
mod peer;
mod proxy;
mod tracker;
mod udp_tracker;
mod web_seed;

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::context::Settings;
use crate::error::{Error, ErrorKind};
use crate::protocol::udp_tracker::FIRST_WAIT;

#[cfg(feature = "dht")]
pub use dht::{Dht, DhtFailure};
pub use http::{HttpFailure, UNKNOWN_AUTHORITY, authority, join};
#[cfg(feature = "seed")]
pub use listen::{Incoming, Listener};
pub use peer::{Job, PeerConnection, resolve};
pub use proxy::advice;
#[cfg(feature = "cli")]
pub use proxy::shown as shown_proxies;
pub use tracker::{Tracker, tracker_place};
pub use web_seed::Connection;

/// Says honestly who asks: Academic Torrents' tracker turns bots without a name away.
pub const USER_AGENT: &str = crate::protocol::extension::CLIENT;

/// How long to wait for what, all derived from the user's `TIMEOUT`, so that tests run in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// No byte from any source for so long: the download gives up.
    pub give_up: Duration,
    /// For name look-up, connection and TLS.
    pub connect: Duration,
    /// A source that is silent for so long loses its claims.
    pub silence: Duration,
    /// For a tracker's or the catalogue's whole reply.
    pub reply: Duration,
    /// The first pause before a failed source is tried again; doubled each time.
    pub back_off: Duration,
    /// How long a UDP tracker's answer is waited for first; doubled each time (BEP 15).
    pub datagram: Duration,
    /// How long the answer of a node of the DHT is waited for.
    #[cfg(feature = "dht")]
    pub node: Duration,
}

/// A year: longer than anybody waits. Without a bound a clock's time plus the timeout may be none that there is.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Timing {
    /// The defaults (`TIMEOUT` of 120 s): 10 s to connect, 20 s of silence, 15 s for a reply, 1 s of
    /// back-off, and 15 s for a datagram's answer: three tries of that, each twice as long as the one before, are 105 s.
    pub fn for_timeout(give_up: Duration) -> Timing {
        let give_up = give_up.min(LONGEST);
        Timing {
            give_up,
            connect: Duration::from_secs(10).min(give_up / 3),
            silence: Duration::from_secs(20).min(give_up / 3),
            reply: Duration::from_secs(15).min(give_up / 2),
            back_off: Duration::from_secs(1).min(give_up / 20),
            datagram: FIRST_WAIT.min(give_up / 8),
            #[cfg(feature = "dht")]
            node: crate::protocol::dht::WAIT.min(give_up / 8),
        }
    }
}

/// Makes connections, and can end them all.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    timing: Timing,
    /// What peers are reached through.
    socks: Option<ureq::Proxy>,
    peers: Arc<Mutex<Sockets>>,
}

#[derive(Debug, Default)]
struct Sockets {
    open: Vec<Weak<TcpStream>>,
    shut_down: bool,
}

impl Client {
    /// # Errors
    /// [`ErrorKind::Manifest`] for a proxy or a file of certificates that cannot be used.
    pub fn new(settings: &Settings) -> Result<Client, Error> {
        let timing = Timing::for_timeout(settings.timeout);
        let proxies = proxy::Proxies::new(settings)?;
        let agent = http::agent(settings, timing, proxies.http)?;
        Ok(Client { agent, timing, socks: proxies.peers, peers: Arc::default() })
    }

    /// Another one like this, whose connections are its own: [`Client::shut_down`] of one does not end the other's.
    pub fn separate(&self) -> Client {
        let agent = lent::agent(self.agent.config().clone());
        let (timing, socks) = (self.timing, self.socks.clone());
        Client { agent, timing, socks, peers: Arc::default() }
    }

    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Closes all connections, idle or in use, and refuses new ones.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.shut_down = true;
        for socket in peers.open.drain(..).filter_map(|socket| socket.upgrade()) {
            let _ = socket.shutdown(Shutdown::Both); // closed already: that is what was asked for
        }
    }

    fn is_shut_down(&self) -> bool {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).shut_down
    }

    /// Notes a peer's socket, to be closed at the end; false if that was already.
    fn note(&self, socket: &Arc<TcpStream>) -> bool {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if !peers.shut_down {
            peers.open.retain(|open| open.strong_count() > 0);
            peers.open.push(Arc::downgrade(socket));
        }
        !peers.shut_down
    }
}

fn unusable(what: &str, value: &str, why: &str) -> Error {
    Error::new(ErrorKind::Manifest, format!("{what} cannot be used: {value}")).why(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_timeout_can_be_added_to_any_time() {
        let timing = Timing::for_timeout(Duration::MAX);
        let later = std::time::Instant::now().checked_add(timing.give_up.saturating_mul(10));
        assert!(later.is_some(), "{timing:?}");
        assert_eq!(Timing::for_timeout(Duration::from_secs(7)).give_up, Duration::from_secs(7));
    }
}
