//! The setting `private-hosts`: hosts that may be contacted whoever names them.

use std::net::{IpAddr, SocketAddr};

use super::{bare, host_and_port, literal, place_of_url};

/// Hosts, addresses and networks, each for one port or all ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateHosts {
    entries: Vec<HostRule>,
    /// Sources that the user named. Other parties may name them, too.
    named: Vec<NamedPlace>,
}

/// A host and port that the user named as a source, in a URL or as a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPlace {
    host: String,
    port: u16,
    /// Whether the URL began with `http:`. A host named for https, a UDP tracker or a peer is not
    /// trusted over plain HTTP.
    is_plain_http: bool,
}

impl NamedPlace {
    pub fn of_url(url: &str) -> NamedPlace {
        let (host, port) = place_of_url(url);
        NamedPlace { host: bare(host), port, is_plain_http: is_plain_http(url) }
    }

    /// Parses `host:port`.
    pub fn of_peer(peer: &str) -> Option<NamedPlace> {
        let (host, port) = host_and_port(peer)?;
        Some(NamedPlace { host: bare(host), port, is_plain_http: false })
    }
}

fn is_plain_http(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"))
}

/// A name, address or network, for one port or all ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostRule {
    pub hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    Name(String),
    Network { ip: IpAddr, bits: u8 },
}

impl PrivateHosts {
    /// Parses a list of `host`, `host:port` and `network/bits`.
    ///
    /// # Errors
    /// Returns the first invalid entry.
    pub fn parse<'t>(list: impl Iterator<Item = &'t str>) -> Result<PrivateHosts, &'t str> {
        let entries =
            list.map(|text| HostRule::parse(text).ok_or(text)).collect::<Result<_, _>>()?;
        Ok(PrivateHosts { entries, named: Vec::new() })
    }

    /// Returns a copy with more sources that the user named.
    pub fn naming(&self, places: impl IntoIterator<Item = NamedPlace>) -> PrivateHosts {
        let mut named = self.named.clone();
        named.extend(places);
        PrivateHosts { entries: self.entries.clone(), named }
    }

    /// Whether the user named this host and port as a source.
    pub(super) fn is_named(&self, host: &str, port: u16) -> bool {
        let host = bare(host);
        self.named.iter().any(|place| place.port == port && place.host == host)
    }

    /// Whether the user named the host and port of this URL for plain HTTP. False for other
    /// schemes.
    pub fn is_named_for_http(&self, url: &str) -> bool {
        is_plain_http(url) && self.named.contains(&NamedPlace::of_url(url))
    }

    /// Whether the setting lists the host by name, or the address.
    pub(super) fn lists(&self, host: &str, address: SocketAddr) -> bool {
        let port = address.port();
        let entries = self.entries.iter().filter(|it| it.is_at(port));
        let host = bare(host);
        entries.map(|entry| &entry.hosts).any(|hosts| match hosts {
            Hosts::Name(name) => *name == host,
            Hosts::Network { ip, bits } => is_in(address.ip(), *ip, *bits),
        })
    }
}

impl HostRule {
    /// Parses `host`, `host:port` or `network/bits`.
    pub(super) fn parse(text: &str) -> Option<HostRule> {
        let network = |text: &str| {
            let (ip, bits) = text.split_once('/')?;
            let ip: IpAddr = bare(ip).parse().ok()?;
            let most = if ip.is_ipv4() { 32 } else { 128 };
            let bits: u8 = bits.parse().ok().filter(|bits| *bits <= most)?;
            let hosts = match (ip, ip.to_canonical()) {
                // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
                (IpAddr::V6(_), ip @ IpAddr::V4(_)) => {
                    Hosts::Network { ip, bits: bits.checked_sub(96)? }
                }
                (ip, _) => Hosts::Network { ip, bits },
            };
            Some(HostRule { hosts, port: None })
        };
        if text.contains('/') {
            return network(text);
        }
        // An IPv6 address without brackets has no port.
        let (host, port) = match (text.parse::<IpAddr>(), host_and_port(text)) {
            (Err(_), Some((host, port))) => (host, Some(port)),
            _ => (text, None),
        };
        let host = bare(host);
        let hosts = match literal(&host) {
            Some(ip) => {
                let ip = ip.to_canonical();
                Hosts::Network { ip, bits: if ip.is_ipv4() { 32 } else { 128 } }
            }
            None if is_name(&host) => Hosts::Name(host),
            None => return None,
        };
        Some(HostRule { hosts, port })
    }

    pub(super) fn is_at(&self, port: u16) -> bool {
        self.port.is_none_or(|it| it == port)
    }
}

/// Whether this is a syntactically valid host name. Allows `_` and non-ASCII letters, as resolvers
/// do.
pub fn is_name(host: &str) -> bool {
    let is_part = |part: &str| {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        !part.is_empty() && part.len() <= 63 && part.chars().all(fits)
    };
    host.len() <= 253 && host.split('.').all(is_part)
}

/// Whether an address is in a network, that is, has the same first `bits` bits.
pub(super) fn is_in(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let differ = match (ip.to_canonical(), network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (u32::from(ip) ^ u32::from(network)).leading_zeros()
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            (u128::from(ip) ^ u128::from(network)).leading_zeros()
        }
        _ => return false,
    };
    differ >= u32::from(bits)
}
