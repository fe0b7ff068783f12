//! The user's proxy: an HTTP proxy for HTTP, a SOCKS 5 proxy for HTTP and for peers.
//!
//! ureq's own proxy support is not used: it sends CONNECT for plain http, which most proxies
//! refuse, and peers need the proxy too. [`super::raw_transport`] connects through the proxy.
//! Errors never quote a password.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use ureq::http::Uri;
use ureq::{Proxy as ProxyServer, ProxyProtocol};

use super::error::SourceError;
use super::{Client, unusable};
use crate::address::NoProxy;
use crate::error::Error;
use crate::protocol::socks::{Destination, MAX_ANSWER_BYTES, SocksFailure, SocksSession};
use crate::settings::{ProxyUrl, Settings};
use crate::url::Url;

#[cfg(test)]
mod tests;

/// A proxy, and the hosts that are reached without it.
#[derive(Clone)]
pub struct Proxy {
    server: ProxyServer,
    excepted: NoProxy,
    /// The value of `Proxy-Authorization`, for an HTTP proxy.
    authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// The proxy's name in errors.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_socks() { "SOCKS proxy " } else { "proxy " })?;
        f.write_str(&self.place())
    }
}

/// The proxies by purpose.
pub(super) struct Proxies {
    pub http: Option<Proxy>,
    /// A SOCKS proxy: an HTTP proxy does not carry the peer protocol.
    pub peers: Option<Proxy>,
}

impl Proxies {
    /// Reads the proxies of the settings.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for an invalid proxy URL.
    pub fn new(settings: &Settings) -> Result<Proxies, Error> {
        let read = |proxy: &Option<ProxyUrl>| {
            proxy.as_ref().map(|proxy| read(proxy, settings.no_proxy.as_deref())).transpose()
        };
        let http = read(&settings.proxy)?;
        let peers = match http.clone().filter(Proxy::is_socks) {
            Some(socks) => Some(socks),
            // An HTTP proxy serves HTTP alone; `all_proxy` serves the rest.
            None => read(&settings.all_proxy)?.filter(Proxy::is_socks),
        };
        Ok(Proxies { http, peers })
    }
}

impl Proxy {
    pub fn is_socks(&self) -> bool {
        matches!(self.server.protocol(), ProxyProtocol::Socks5 | ProxyProtocol::Socks5h)
    }

    /// Whether the connection to the proxy itself uses TLS.
    pub fn is_https(&self) -> bool {
        self.server.protocol() == ProxyProtocol::Https
    }

    /// Whether this URL's host is reached through the proxy.
    pub fn carries(&self, url: &str) -> bool {
        !self.excepted.covers(url)
    }

    /// Whether the proxy makes requests for this URL itself, and therefore reads them.
    pub fn forwards(&self, url: &str) -> bool {
        !self.is_socks() && !Url::from(url).is_https() && self.carries(url)
    }

    /// Whether names are resolved on this machine instead of by the proxy.
    pub fn looks_up_here(&self) -> bool {
        self.server.resolve_target()
    }

    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Returns the proxy's address.
    pub fn uri(&self) -> &Uri {
        self.server.uri()
    }

    /// Returns the proxy's `host:port`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.server.host(), self.server.port())
    }

    /// The error for a proxy that cannot be reached.
    pub fn unreachable(&self, why: SourceError) -> SourceError {
        SourceError::ProxyUnreachable(self.to_string(), Box::new(why))
    }

    /// The error for a proxy that broke off or did not answer.
    pub fn broken(&self, why: SourceError) -> SourceError {
        SourceError::ProxyBroken(self.to_string(), Box::new(why))
    }
}

fn read(named: &ProxyUrl, no_proxy: Option<&str>) -> Result<Proxy, Error> {
    let refused = |why: &str| {
        let ProxyUrl { url, variable } = named;
        unusable("the proxy", url, why)
            .why(format!("set by {variable}"))
            .help("write it as http://host:port, or for SOCKS 5 as socks5h://host:port; if it requires a login, with\n\
                   `name:password@` before the host, and special characters percent-encoded")
    };
    let odd = || refused("this is not a proxy URL");
    let url = named.url.exposed();
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = after_scheme.split_once(['/', '?', '#']).unwrap_or((after_scheme, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit(']').next().unwrap_or_default().split_once(':');
    // ureq would misread these URLs: with a slash in the password, part of the password as the
    // host.
    if path.contains('@') || port.is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(odd());
    }
    let server = ProxyServer::new(url).map_err(|_| odd())?;
    if matches!(server.protocol(), ProxyProtocol::Socks4 | ProxyProtocol::Socks4A) {
        return Err(refused("only version 5 of SOCKS is supported"));
    }
    if server.host().is_empty() {
        return Err(odd());
    }
    Ok(Proxy {
        server,
        excepted: NoProxy::read(no_proxy.unwrap_or_default()),
        authorization: Url::from(format!("http://{authority}/")).authorization(),
    })
}

/// Names the proxy in a failure that may be the proxy's fault.
pub(super) fn blamed(proxy: Option<&Proxy>, url: &str, failure: SourceError) -> SourceError {
    let is_its_own = failure.is_of_proxy() || failure.is_refused();
    let Some(proxy) = proxy.filter(|it| it.carries(url) && !is_its_own) else { return failure };
    match &failure {
        SourceError::UnknownHost | SourceError::LookUp(_) if proxy.looks_up_here() => {
            SourceError::LookedUpHere(Box::new(failure))
        }
        _ => SourceError::Through(proxy.place(), Box::new(failure)),
    }
}

/// Sends bytes and fills the buffer with the answer. A function type, because the further methods
/// of `Read` and `Write` would be compiled for each user.
pub(super) type Exchange<'a> = dyn FnMut(&[u8], &mut [u8]) -> io::Result<()> + 'a;

/// Has the proxy open a connection. `Ok(Err(_))`: the proxy reports that it could not, so another
/// address may work.
///
/// # Errors
/// A failure of the proxy, with its name.
pub(super) fn handshake(
    exchange: &mut Exchange<'_>,
    proxy: &Proxy,
    target: &Destination,
) -> Result<Result<(), SourceError>, SourceError> {
    let server = &proxy.server;
    let login = server.username().map(|name| (name, server.password().unwrap_or_default()));
    let failed = |why: SocksFailure| SourceError::Socks(proxy.place(), why);
    let (mut session, mut send) = SocksSession::new(target, login).map_err(failed)?;
    let mut buffer = [0; MAX_ANSWER_BYTES];
    while let Some(answer) = buffer.get_mut(..session.wants()).filter(|it| !it.is_empty()) {
        match exchange(&send, answer) {
            Ok(()) => {}
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof && session.has_asked() => {
                return Ok(Err(failed(SocksFailure::Closed)));
            }
            Err(why) => return Err(proxy.broken(why.into())),
        }
        match session.handle(answer) {
            Ok(bytes) => send = bytes,
            Err(why @ SocksFailure::Reply(_)) => return Ok(Err(failed(why))),
            Err(why) => return Err(failed(why)),
        }
    }
    Ok(Ok(()))
}

impl Client {
    /// Returns the SOCKS proxy through which the host of a peer or UDP tracker is reached. `place`
    /// is `host:port`.
    pub(super) fn socks_for(&self, place: &str) -> Option<&Proxy> {
        self.socks.as_ref().filter(|proxy| proxy.carries(&format!("http://{place}/")))
    }

    /// Whether there is a SOCKS proxy, for some peers or all.
    #[cfg(feature = "dht")]
    pub fn is_behind_socks(&self) -> bool {
        self.socks.is_some()
    }

    /// Whether a peer's name is resolved by the proxy and must not be resolved here.
    pub fn names_are_for_the_proxy(&self, place: &str) -> bool {
        self.socks_for(place).is_some_and(|proxy| !proxy.looks_up_here())
    }
}

/// Returns the destinations to request from the proxy: the resolved addresses, or else the host
/// name.
pub(super) fn targets(addresses: &[SocketAddr], uri: &Uri) -> Vec<Destination> {
    if !addresses.is_empty() {
        return addresses.iter().copied().map(Destination::Address).collect();
    }
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let place = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default));
    Destination::parse(&place).into_iter().collect()
}
