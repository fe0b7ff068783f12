//! Network requests that only the command line makes (feature `engine`).

mod newer;
mod scrape;

use std::time::Duration;

use crate::error::Error;
use crate::net::proxy::{Proxies, Proxy};
use crate::net::{Client, PeerConnection, SourceError};
use crate::protocol::socks::Destination;
use crate::settings::Settings;

/// Returns the proxies for HTTP and for peers, without their logins.
///
/// # Errors
/// [`crate::ErrorKind::Manifest`] for an invalid proxy URL.
pub fn shown_proxies(settings: &Settings) -> Result<(Option<String>, Option<String>), Error> {
    let shown = |proxy: &Proxy| {
        let scheme = if proxy.is_socks() { "socks5" } else { "http" };
        format!("{scheme}://{}", proxy.place())
    };
    let proxies = Proxies::new(settings)?;
    Ok((proxies.http.as_ref().map(shown), proxies.peers.as_ref().map(shown)))
}

impl Client {
    /// Connects to a peer, through the SOCKS proxy if there is one. `time` returns the clock's
    /// time, or `None` once the connection is no longer needed.
    ///
    /// # Errors
    /// Why the connection failed: refused, unreachable, timed out.
    pub fn connect_peer(
        &self,
        target: &Destination,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<PeerConnection, SourceError> {
        let stream = self.reach_peer(target, self.timing().connect, time)?;
        self.open_peer(stream)
    }
}
