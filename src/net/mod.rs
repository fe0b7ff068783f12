//! Everything that opens a socket: HTTP (catalog, trackers, mirrors, web seeds), UDP trackers, the
//! DHT and peers, through the user's proxy where it applies. [`Listener`] accepts connections, for
//! `seed` alone.
//!
//! Layer 2; the only module with sockets. [`crate::protocol`] decides what the bytes mean. This
//! module moves them, with a deadline on every wait and a bound on every length that comes from
//! outside.
//!
//! There is one [`Client`] per dataset. [`Client::shut_down`] closes all its sockets at once, which
//! wakes workers that are blocked on them: the end of a download waits for nobody.

pub mod certificates;
#[cfg(feature = "engine")]
pub mod command;
pub mod credentials;
#[cfg(feature = "dht")]
mod dht;
mod error;
mod happy_eyeballs;
mod http;
mod inflate;
#[cfg(feature = "seed")]
mod listen;
mod name_lookup;
mod peer;
mod proxy;
mod raw_transport;
pub mod timing;
mod tracker;
mod udp_tracker;
mod ureq_agents;
mod web_seed;

use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Weak};

use crate::address::{NamedBy, NamedPlace, PrivateHosts, host_and_port};
use crate::error::{Error, ErrorKind};
use crate::mutex::Mutex;
use crate::settings::Settings;

use certificates::NamedRoots;
use happy_eyeballs::HappyEyeballs;
use ureq_agents::Agents;

pub use credentials::Credential;
#[cfg(feature = "dht")]
pub use dht::Dht;
pub use error::{Awaited, SourceError};
pub use http::{Fetched, join};
#[cfg(feature = "seed")]
pub use listen::{Incoming, Listener};
pub use peer::{PEER_STACK_BYTES, PeerConnection, WriteJob, resolve};
pub use timing::Timing;
pub use tracker::{Tracker, tracker_place};
pub use web_seed::Connection;

/// Identifies the client and says where to read about it: Academic Torrents' tracker rejects bots
/// without a name.
pub const USER_AGENT: &str = concat!(
    "academictorrents-rs/",
    env!("CARGO_PKG_VERSION"),
    " (+https://docs.rs/",
    env!("CARGO_PKG_NAME"),
    ")"
);

/// How many redirects are followed for one request or one file: as many as by common HTTP libraries.
/// A DOI leads over several servers.
pub const MAX_REDIRECTS: usize = 10;

/// The longest redirect URL that is followed. Signed URLs with a session token have several KiB.
pub const MAX_REDIRECT_BYTES: usize = 8 << 10;

/// Makes connections, and can close them all.
#[derive(Clone, Debug)]
pub struct Client {
    agents: Arc<Agents>,
    timing: Timing,
    /// The proxy for HTTP; `socks` is the one for peers.
    proxy: Option<proxy::Proxy>,
    socks: Option<proxy::Proxy>,
    private_hosts: Arc<PrivateHosts>,
    eyeballs: HappyEyeballs,
    /// `None` for datasets of dependencies, which the user's credentials are not for.
    credentials: Option<Arc<credentials::Credentials>>,
    peers: Arc<Mutex<Sockets>>,
}

#[derive(Debug, Default)]
struct Sockets {
    open: Vec<Weak<TcpStream>>,
    shut_down: bool,
}

impl Client {
    /// Creates a client from the settings.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for a proxy or certificate file that cannot be used.
    pub fn new(settings: &Settings) -> Result<Client, Error> {
        let timing = Timing {
            may_end_sooner: !settings.timeout_is_chosen,
            ..Timing::for_timeout(settings.timeout)
        };
        let proxies = proxy::Proxies::new(settings)?;
        let (proxy, socks) = (proxies.http, proxies.peers);
        let eyeballs = HappyEyeballs::default();
        let roots = NamedRoots::of(settings)?;
        let agents = Agents::new(timing, roots, proxy.clone(), eyeballs.clone());
        let private_hosts = Arc::clone(&settings.private_hosts);
        let peers = Arc::default();
        let credentials = None;
        Ok(Client {
            agents: Arc::new(agents),
            timing,
            proxy,
            socks,
            private_hosts,
            eyeballs,
            credentials,
            peers,
        })
    }

    /// Returns a copy with separate connections, which [`Client::shut_down`] of the original does
    /// not close.
    pub fn separate(&self) -> Client {
        let agents = Arc::new(self.agents.separate());
        Client { agents, peers: Arc::default(), ..self.clone() }
    }

    /// Returns this client with `places` as sources that the user named.
    pub fn naming(mut self, places: impl IntoIterator<Item = NamedPlace>) -> Client {
        self.private_hosts = Arc::new(self.private_hosts.naming(places));
        self
    }

    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Returns this client without a minimum announce interval: the tracker's own applies.
    #[cfg(test)]
    pub fn announcing_at_once(mut self) -> Client {
        self.timing.announce = std::time::Duration::ZERO;
        self
    }

    /// Closes all connections, idle or in use, and refuses new ones.
    pub fn shut_down(&self) {
        self.agents.shut_down();
        let mut peers = self.peers.lock();
        peers.shut_down = true;
        for socket in peers.open.drain(..).filter_map(|socket| socket.upgrade()) {
            let _ = socket.shutdown(Shutdown::Both); // an error means that it was closed already
        }
    }

    /// Checks whether a peer's `host:port` may be connected to. `address` is what the name resolved
    /// to; `None` if the proxy resolves it.
    ///
    /// # Errors
    /// [`SourceError::Refused`].
    pub fn judge_peer(
        &self,
        by: NamedBy,
        place: &str,
        address: Option<SocketAddr>,
    ) -> Result<(), SourceError> {
        let (host, port) = host_and_port(place).ok_or(SourceError::NotHostPort)?;
        Ok(match address {
            Some(address) => self.private_hosts.judge(by, host, false, address),
            None => self.private_hosts.judge_name(by, host, port),
        }?)
    }

    /// Whether an address that the host at `teller` sent us may be contacted.
    pub fn may_hear(&self, teller: Option<IpAddr>, address: SocketAddr) -> bool {
        self.private_hosts.may_hear(teller, address)
    }

    fn is_shut_down(&self) -> bool {
        self.peers.lock().shut_down
    }

    /// Registers a peer's socket for [`Client::shut_down`]. Returns `false` if the client is
    /// already shut down.
    fn note(&self, socket: &Arc<TcpStream>) -> bool {
        let mut peers = self.peers.lock();
        if !peers.shut_down {
            peers.open.retain(|open| open.strong_count() > 0);
            peers.open.push(Arc::downgrade(socket));
        }
        !peers.shut_down
    }
}

fn unusable(what: &str, value: &dyn std::fmt::Display, why: &str) -> Error {
    Error::new(ErrorKind::Manifest, format!("{what} cannot be used: {value}")).why(why)
}
