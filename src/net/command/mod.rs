//! What only the command line asks of the network (feature `engine`).

mod newer;
mod scrape;

use std::time::Duration;

use crate::error::Error;
use crate::net::proxy::{Proxies, Proxy};
use crate::net::{Client, PeerConnection, SourceError};
use crate::protocol::socks::Destination;
use crate::settings::Settings;

/// The proxy for HTTP and the one for peers, as they may be shown.
///
/// # Errors
/// [`crate::ErrorKind::Manifest`] for what is no proxy's URL.
pub fn shown_proxies(settings: &Settings) -> Result<(Option<String>, Option<String>), Error> {
    let shown = |proxy: &Proxy| {
        let scheme = if proxy.is_socks() { "socks5" } else { "http" };
        format!("{scheme}://{}", proxy.place())
    };
    let proxies = Proxies::new(settings)?;
    Ok((proxies.http.as_ref().map(shown), proxies.peers.as_ref().map(shown)))
}

impl Client {
    /// Connects to a peer, through the SOCKS proxy where there is one. `time` is a clock's, and `None` once nobody
    /// waits any more.
    ///
    /// # Errors
    /// Why it did not: refused, unreachable, timed out.
    pub fn connect_peer(
        &self,
        target: &Destination,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<PeerConnection, SourceError> {
        let stream = self.reach_peer(target, self.timing().connect, time)?;
        self.open_peer(stream)
    }
}
