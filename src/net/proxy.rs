//! The user's proxy: an HTTP proxy for what is HTTP, a SOCKS 5 proxy for that and for peers.
//!
//! ureq's feature for SOCKS would know HTTP alone, and peers need a way through as well: so both go through
//! [`handshake`]. A password is in no error.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

use super::http::{UNKNOWN_HOST, io_reason};
use super::{Client, HttpFailure, lent, unusable};
use crate::context::{ProxyUrl, Settings};
use crate::error::Error;
use crate::protocol::socks::{MAX_ANSWER_BYTES, Session, SocksFailure, Target};

#[cfg(test)]
mod tests;

/// Begins each failure that is the SOCKS proxy's.
const SOCKS: &str = "the SOCKS proxy ";

/// Which proxy is for what.
pub(super) struct Proxies {
    pub http: Option<Proxy>,
    /// A SOCKS proxy: no other carries what peers say.
    pub peers: Option<Proxy>,
}

impl Proxies {
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for what is no proxy's URL.
    pub fn new(settings: &Settings) -> Result<Proxies, Error> {
        let read = |proxy: &Option<ProxyUrl>| {
            proxy.as_ref().map(|proxy| read(proxy, settings.no_proxy.as_deref())).transpose()
        };
        let http = read(&settings.proxy)?;
        let peers = match http.clone().filter(is_socks) {
            Some(socks) => Some(socks),
            // An HTTP proxy is for HTTP: the one for all is for the rest.
            None => read(&settings.all_proxy)?.filter(is_socks),
        };
        Ok(Proxies { http, peers })
    }
}

/// The proxy for HTTP and the one for peers, as they may be shown.
///
/// # Errors
/// [`crate::ErrorKind::Manifest`] for what is no proxy's URL.
#[cfg(feature = "cli")]
pub fn shown(settings: &Settings) -> Result<(Option<String>, Option<String>), Error> {
    let shown = |proxy: &Proxy| {
        let scheme = if is_socks(proxy) { "socks5" } else { "http" };
        format!("{scheme}://{}:{}", proxy.host(), proxy.port())
    };
    let proxies = Proxies::new(settings)?;
    Ok((proxies.http.as_ref().map(shown), proxies.peers.as_ref().map(shown)))
}

pub(super) fn is_socks(proxy: &Proxy) -> bool {
    matches!(proxy.protocol(), ProxyProtocol::Socks5 | ProxyProtocol::Socks5h)
}

fn read(named: &ProxyUrl, no_proxy: Option<&str>) -> Result<Proxy, Error> {
    let refused = |why: &str| {
        let ProxyUrl { url, variable } = named;
        unusable("the proxy", &without_login(url), why)
            .why(format!("{variable} names it"))
            .help("write it as http://host:port, or for SOCKS 5 as socks5h://host:port; where it wants a login, as\n\
                   http://name:password@host:port, with what is special in URLs percent-encoded")
    };
    let odd = || refused("it is no URL of a proxy");
    let after_scheme = named.url.split_once("://").map_or(&*named.url, |(_, rest)| rest);
    let (authority, path) = after_scheme.split_once(['/', '?', '#']).unwrap_or((after_scheme, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit(']').next().unwrap_or_default().split_once(':');
    // What is odd here ureq reads in a way of its own: a password with a slash in it as a host, for one.
    if path.contains('@') || port.is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(odd());
    }
    let parsed = Proxy::new(&named.url).map_err(|_| odd())?;
    if matches!(parsed.protocol(), ProxyProtocol::Socks4 | ProxyProtocol::Socks4A) {
        return Err(refused("only version 5 of SOCKS is supported"));
    }
    let mut builder = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    if let Some(name) = parsed.username() {
        builder = builder.username(name);
    }
    if let Some(word) = parsed.password() {
        builder = builder.password(word);
    }
    let excepted = no_proxy.unwrap_or_default().split(',').map(str::trim);
    for expression in excepted.filter(|expression| !expression.is_empty()) {
        builder = builder.no_proxy(expression);
    }
    builder.build().map_err(|_| odd())
}

/// A proxy's URL as it may be shown.
fn without_login(url: &str) -> String {
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(scheme, _)| (scheme, url.get(scheme.len() + 3..).unwrap_or_default()));
    match (rest.rsplit_once('@'), scheme) {
        (None, _) => url.to_owned(),
        (Some((_, host)), "") => host.to_owned(),
        (Some((_, host)), _) => format!("{scheme}://{host}"),
    }
}

/// Whether this URL's host is reached through the proxy.
pub(super) fn carries(proxy: &Proxy, url: &str) -> bool {
    !url.parse().is_ok_and(|uri: Uri| proxy.is_no_proxy(&uri))
}

/// Where a proxy was in between, the failure may be the proxy's: names it.
pub(super) fn blamed(proxy: Option<&Proxy>, url: &str, failure: HttpFailure) -> HttpFailure {
    let Some(proxy) = proxy.filter(|it| carries(it, url) && !failure.0.starts_with(SOCKS)) else {
        return failure;
    };
    // Names are looked up here for this one kind alone; the platform's words begin so.
    let is_unknown = failure.0 == UNKNOWN_HOST || failure.0.starts_with("failed to lookup");
    HttpFailure(match proxy.protocol() == ProxyProtocol::Socks5 && is_unknown {
        true => format!("{failure} (asked here; with socks5h:// the proxy looks names up)"),
        false => format!("{failure} (through the proxy {}:{})", proxy.host(), proxy.port()),
    })
}

/// What to do about a SOCKS proxy, where the fault is its own and not that of the host behind it.
pub fn advice(said: &str) -> Option<&'static str> {
    let is =
        |failures: &[SocksFailure]| failures.iter().any(|why| said.ends_with(&why.to_string()));
    let of_host = is(&[SocksFailure::Closed]) || is(&[1, 3, 4, 5, 6].map(SocksFailure::Reply));
    if !said.contains(SOCKS) || of_host {
        return None;
    }
    Some(match is(&[SocksFailure::WantsLogin, SocksFailure::LoginRefused]) {
        true => {
            "write the proxy as socks5h://name:password@host:port,\n\
             with what is special in URLs percent-encoded"
        }
        false => {
            "check the proxy (CARGO_HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, or `proxy` in the configuration file);\n\
             hosts in NO_PROXY are reached without it"
        }
    })
}

/// Sends bytes, and fills the buffer with what comes. A function and no trait of `Read` and `Write`, whose further methods
/// each user would compile.
pub(super) type Exchange<'a> = dyn FnMut(&[u8], &mut [u8]) -> io::Result<()> + 'a;

/// Has the proxy open a connection. `Ok(Err(_))`: it says that it could not, and another address may do.
///
/// # Errors
/// The proxy's failure, naming it.
pub(super) fn handshake(
    exchange: &mut Exchange<'_>,
    proxy: &Proxy,
    target: &Target,
) -> Result<Result<(), String>, String> {
    let broken = |why: io::Error| match why.kind() {
        io::ErrorKind::UnexpectedEof => named(proxy, "closed the connection"),
        _ => match &*io_reason(&why) {
            "timed out" => named(proxy, "did not answer in time"),
            why => named(proxy, format!("broke off: {why}")),
        },
    };
    let login = proxy.username().map(|name| (name, proxy.password().unwrap_or_default()));
    let failed = |why: SocksFailure| named(proxy, why);
    let (mut session, mut send) = Session::new(target, login).map_err(failed)?;
    let mut buffer = [0; MAX_ANSWER_BYTES];
    while let Some(answer) = buffer.get_mut(..session.wants()).filter(|it| !it.is_empty()) {
        match exchange(&send, answer) {
            Ok(()) => {}
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof && session.has_asked() => {
                return Ok(Err(failed(SocksFailure::Closed)));
            }
            Err(why) => return Err(broken(why)),
        }
        match session.handle(answer) {
            Ok(bytes) => send = bytes,
            Err(why @ SocksFailure::Reply(_)) => return Ok(Err(failed(why))),
            Err(why) => return Err(failed(why)),
        }
    }
    Ok(Ok(()))
}

/// A failure of the SOCKS proxy.
pub(super) fn named(proxy: &Proxy, why: impl fmt::Display) -> String {
    format!("{SOCKS}{}:{} {why}", proxy.host(), proxy.port())
}

/// The proxy itself could not be reached.
pub(super) fn unreachable(proxy: &Proxy, why: impl fmt::Display) -> String {
    named(proxy, format!("cannot be reached: {why}"))
}

impl Client {
    /// The SOCKS proxy that a peer's or a UDP tracker's host is reached through. `place` is `host:port`.
    pub(super) fn socks_for(&self, place: &str) -> Option<&Proxy> {
        self.socks.as_ref().filter(|proxy| carries(proxy, &format!("http://{place}/")))
    }

    /// Whether there is a SOCKS proxy, for some peers or all.
    #[cfg(feature = "dht")]
    pub fn is_behind_socks(&self) -> bool {
        self.socks.is_some()
    }

    /// Whether a peer's name is the proxy's to look up, and must not be looked up here.
    pub fn names_are_for_the_proxy(&self, place: &str) -> bool {
        self.socks_for(place).is_some_and(|proxy| !proxy.resolve_target())
    }

    /// Connects to a peer through the proxy. `time` is a clock's, and `None` once nobody waits any more.
    pub(super) fn connect_through(
        &self,
        proxy: &Proxy,
        target: &Target,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<Arc<TcpStream>, String> {
        let over = || "the download has ended".to_owned();
        let deadline = time().ok_or_else(over)? + self.timing().connect;
        let left = || time().map(|now| deadline.saturating_sub(now)).filter(|left| !left.is_zero());
        let mut why = "timed out".to_owned();
        let addresses = lent::look_up(proxy.uri(), self.agent.config(), self.timing().connect)
            .map_err(|why| unreachable(proxy, HttpFailure::from(why)))?;
        for address in &addresses {
            let Some(within) = left() else { break };
            let stream = match TcpStream::connect_timeout(address, within) {
                Ok(stream) => Arc::new(stream),
                Err(failed) => {
                    why = io_reason(&failed);
                    continue;
                }
            };
            if !self.note(&stream) {
                return Err(over());
            }
            let mut timed = Timed { stream: &stream, left: &left };
            let mut exchange = |send: &[u8], answer: &mut [u8]| {
                timed.write_all(send)?;
                timed.read_exact(answer)
            };
            handshake(&mut exchange, proxy, target)??;
            return Ok(stream);
        }
        Err(unreachable(proxy, why))
    }
}

/// A socket that waits no longer than there is time left for all.
struct Timed<'a> {
    stream: &'a TcpStream,
    left: &'a dyn Fn() -> Option<Duration>,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        (self.left)().map(Some).ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The places to ask the proxy for: what was looked up here, or else the name.
pub(super) fn targets(addresses: &[SocketAddr], uri: &Uri) -> Vec<Target> {
    if !addresses.is_empty() {
        return addresses.iter().copied().map(Target::Address).collect();
    }
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let place = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default));
    Target::parse(&place).into_iter().collect()
}
