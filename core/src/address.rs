//! Which addresses may be contacted, depending on who named them.
//!
//! A torrent, tracker, peer, redirect or the DHT can name any host. Without this module a stranger
//! could make a build send requests to services on this machine or its private network.
//! [`PrivateHosts::judge`] checks an address *after* name resolution, so that neither the spelling
//! of a host nor a name server can bypass the check. `net` connects only to the address that was
//! checked.
//!
//! Documentation and benchmark networks count as public: nobody listens there, and some VPN clients
//! resolve every name to an address in a benchmark network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

#[cfg(feature = "fetch")]
mod no_proxy;
mod private_hosts;
#[cfg(test)]
mod tests;

#[cfg(feature = "fetch")]
pub use no_proxy::NoProxy;
pub use private_hosts::{NamedPlace, PrivateHosts, is_name};

/// Who named a host or a torrent, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedBy {
    /// The user: manifest of a workspace package, environment, configuration file, command line.
    User,
    /// A .torrent or magnet link from the user, or from a mirror or catalog that the user named.
    UserTorrent,
    /// A tracker or peer whose own address is of the same kind: see [`may_tell`].
    Neighbor,
    /// The built-in catalog.
    Catalog,
    /// The manifest of a dependency that Cargo downloaded, or a .torrent vendored there.
    Dependency,
    /// Any other .torrent.
    Torrent,
    Redirect,
    /// A tracker that is used for a bare infohash.
    DefaultTracker,
    #[cfg(feature = "dht")]
    Dht,
}

impl NamedBy {
    pub fn is_dht(self) -> bool {
        #[cfg(feature = "dht")]
        return self == NamedBy::Dht;
        #[cfg(not(feature = "dht"))]
        false
    }

    /// Whether this source gives peers to anyone who asks. It must not be used for a private
    /// torrent.
    pub fn is_open_to_all(self) -> bool {
        self == NamedBy::DefaultTracker || self.is_dht()
    }

    /// Who names the sources in a .torrent or magnet link that this party provided.
    pub fn torrent(self) -> NamedBy {
        match self {
            NamedBy::User | NamedBy::UserTorrent => NamedBy::UserTorrent,
            NamedBy::Dependency => NamedBy::Dependency,
            _ => NamedBy::Torrent,
        }
    }

    /// Who names the target of a redirect. Redirects from a URL of the user count as the user's.
    /// Other redirects are judged like a stranger's, unless they keep scheme, host and port.
    pub fn redirect(self, same_authority: bool) -> NamedBy {
        if self == NamedBy::User || same_authority { self } else { NamedBy::Redirect }
    }

    fn is_trusted(self) -> bool {
        matches!(self, NamedBy::User | NamedBy::UserTorrent | NamedBy::Neighbor)
    }
}

impl fmt::Display for NamedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NamedBy::User => "the user",
            NamedBy::UserTorrent | NamedBy::Torrent => "the torrent",
            NamedBy::Neighbor => "a tracker or peer",
            NamedBy::Catalog => "the built-in catalog",
            NamedBy::Dependency => "a dependency",
            NamedBy::Redirect => "a redirect",
            NamedBy::DefaultTracker => "a default tracker",
            #[cfg(feature = "dht")]
            NamedBy::Dht => "the DHT",
        })
    }
}

/// The kind of an address, most restricted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressKind {
    Public,
    /// RFC 1918, unique local (RFC 4193), or carrier-grade NAT (RFC 6598).
    Private,
    Loopback,
    /// Unspecified, multicast, broadcast, reserved.
    Special,
    LinkLocal,
    /// A cloud metadata service, which gives the machine's credentials to any process on it.
    Metadata,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressKind::Public => "public",
            AddressKind::Private => "private",
            AddressKind::Loopback => "loopback",
            AddressKind::Special => "special-purpose",
            AddressKind::LinkLocal => "link-local",
            AddressKind::Metadata => "cloud metadata",
        })
    }
}

/// Returns the kind of an address: for IPv6, the more restricted of its own kind and those of
/// embedded IPv4 addresses.
pub fn kind(ip: IpAddr) -> AddressKind {
    match ip {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> AddressKind {
    match ip.octets() {
        // Metadata services of most clouds, Alibaba, Oracle and Azure.
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            AddressKind::Metadata
        }
        [169, 254, ..] => AddressKind::LinkLocal,
        // Linux connects 0.0.0.0 to this machine.
        [0, ..] | [224..=255, ..] | [192, 0, 0, _] => AddressKind::Special,
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => {
            AddressKind::Private
        }
        _ => AddressKind::Public,
    }
}

fn kind_v6(ip: Ipv6Addr) -> AddressKind {
    let own = match ip.segments() {
        // Metadata services of AWS and Google.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => AddressKind::Metadata,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] | [0x100, 0, 0, 0, ..] => {
            AddressKind::Special
        }
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressKind::Private,
        _ => AddressKind::Public,
    };
    embedded(ip).into_iter().flatten().map(kind_v4).fold(own, AddressKind::max)
}

/// The IPv4 addresses that this IPv6 address may be translated or tunneled to.
fn embedded(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let bytes = ip.octets();
    let at = |places: [usize; 4]| Some(Ipv4Addr::from(places.map(|place| bytes[place])));
    let last = at([12, 13, 14, 15]);
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 4],
        // IPv4-compatible (RFC 4291), IPv4-mapped, IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => [last, None, None, None],
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [last, None, None, None],
        // Local-use NAT64 (RFC 8215), with any of four prefix lengths (RFC 6052, 2.2).
        [0x64, 0xff9b, 1, ..] => {
            let of_prefix = |places| at(places).filter(|ip| ip.octets()[0] != 0);
            [last, of_prefix([6, 7, 9, 10]), of_prefix([7, 9, 10, 11]), of_prefix([9, 10, 11, 12])]
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => [at([2, 3, 4, 5]), None, None, None],
        // Teredo (RFC 4380): the server, and the client with its bits inverted.
        [0x2001, 0, ..] => {
            let client = last.map(|ip| Ipv4Addr::from(!u32::from(ip)));
            [at([4, 5, 6, 7]), client, None, None]
        }
        // ISATAP (RFC 5214).
        [.., 0 | 0x200, 0x5efe, _, _] => [last, None, None, None],
        _ => [None; 4],
    }
}

/// Whether `teller` may name `address` to us, or we may name `address` to `teller`. Private and
/// loopback addresses are exchanged only with hosts in such networks. Elsewhere a private address
/// means a different host or none: sending it would reveal our network to strangers, and accepting
/// it would let strangers make us connect to hosts in our network. `None`: the teller's address is
/// unknown because a proxy resolves its name.
pub fn may_tell(teller: Option<IpAddr>, address: IpAddr) -> bool {
    // A host on the same link may name hosts in the network behind that link.
    let from = teller.map_or(AddressKind::Public, |ip| match kind(ip) {
        AddressKind::Special | AddressKind::LinkLocal | AddressKind::Metadata => {
            AddressKind::Private
        }
        known => known,
    });
    kind(address) <= from
}

/// Why an address is not contacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    kind: AddressKind,
    /// The name or address as the source gave it.
    host: String,
    /// The address that the name resolved to. `None` if `host` is this address.
    address: Option<IpAddr>,
    port: u16,
    by: NamedBy,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { kind, host, address, port, by } = self;
        let host = host.escape_debug();
        write!(f, "refused: {host} is a {kind} address")?;
        if let Some(address) = address {
            write!(f, " ({address})")?;
        }
        // An IPv6 address with a port is written in brackets.
        let listed = if self.host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        write!(f, " named by {by}; to allow it, add `{listed}` to ACADEMICTORRENTS_PRIVATE_HOSTS")
    }
}

/// Identifies the host that an address belongs to: an IPv4 address (also if embedded in IPv6), or
/// an IPv6 /64 network, because a host can use as many addresses of its /64 as it likes.
pub fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Parses an IP address in every spelling that a resolver accepts: in brackets, with a zone or a
/// final dot, and IPv4 in one to four parts that are decimal, octal or hexadecimal.
pub fn literal(host: &str) -> Option<IpAddr> {
    let host = bare(host);
    if let Ok(ip) = host.split('%').next().unwrap_or_default().parse::<Ipv6Addr>() {
        return Some(ip.into());
    }
    let parts: Option<Vec<u64>> = host.split('.').map(number).collect();
    let parts = parts.filter(|parts| parts.len() <= 4)?;
    let (last, first) = parts.split_last()?;
    // In `127.1`, the last part covers all remaining bytes.
    let room = 32 - 8 * first.len() as u32;
    if first.iter().any(|part| *part > 255) || *last >= 1 << room {
        return None;
    }
    let begin = first.iter().zip([24, 16, 8]).map(|(part, shift)| part << shift).sum::<u64>();
    u32::try_from(begin + last).ok().map(|ip| Ipv4Addr::from(ip).into())
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    if radix == 16 && digits.is_empty() {
        return Some(0);
    }
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u64::from_str_radix(digits, radix).ok())?
}

/// Removes brackets and a final dot, and lowercases. Maps full-width dots and digits to ASCII, as
/// some resolvers do.
fn bare(host: &str) -> String {
    let host: String = host
        .chars()
        .map(|c| match c {
            '\u{3002}' | '\u{ff0e}' | '\u{ff61}' => '.',
            '\u{ff01}'..='\u{ff5e}' => {
                char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c).to_ascii_lowercase()
            }
            c => c.to_ascii_lowercase(),
        })
        .collect();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host).to_owned()
}

/// Whether this name means this machine for any resolver: RFC 6761, and what distributions write to
/// `/etc/hosts`.
fn is_localhost(host: &str) -> bool {
    let host = bare(host);
    let (name, domain) = host.split_once('.').unwrap_or((&host, ""));
    let is_its_name = matches!(
        name,
        "localhost" | "localhost4" | "localhost6" | "ip6-localhost" | "ip6-loopback"
    );
    let is_its_domain = matches!(domain, "" | "localdomain" | "localdomain4" | "localdomain6");
    host.ends_with(".localhost") || (is_its_name && is_its_domain)
}

/// The host of a URL in canonical spelling, without the port.
pub fn host_of_url(url: &str) -> String {
    one_spelling(place_of_url(url).0)
}

/// The canonical spelling of a host, so that two spellings of one host compare equal.
pub fn one_spelling(host: &str) -> String {
    literal(host).map_or_else(|| bare(host), |ip| ip.to_canonical().to_string())
}

/// The host of a URL as written there, and the port or the scheme's default.
pub fn place_of_url(url: &str) -> (&str, u16) {
    let is_https = url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let end = place.find(']').map_or_else(|| place.find(':').unwrap_or(place.len()), |at| at + 1);
    let (host, port) = place.split_at_checked(end).unwrap_or((place, ""));
    let port = port.strip_prefix(':').and_then(|port| port.parse().ok());
    (host, port.unwrap_or(if is_https { 443 } else { 80 }))
}

/// Splits `host:port`. An IPv6 address must be in brackets.
pub fn host_and_port(place: &str) -> Option<(&str, u16)> {
    let (host, port) = place.rsplit_once(':')?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || (host.contains(':') && !is_bracketed) {
        return None;
    }
    Some((host, port.parse().ok()?))
}

impl PrivateHosts {
    /// Checks whether this address of a host may be contacted. `proven`: the connection uses https,
    /// so a certificate proves the host's name. A host on a private network has such a certificate
    /// only if the owner of the network assigned the name.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn judge(
        &self,
        by: NamedBy,
        host: &str,
        proven: bool,
        address: SocketAddr,
    ) -> Result<(), Refused> {
        let kind = kind(address.ip());
        let is_literal = literal(host).is_some();
        let allowed = match kind {
            AddressKind::Public => true,
            AddressKind::Private if proven && !is_literal => true,
            AddressKind::Private | AddressKind::Loopback | AddressKind::Special => {
                by.is_trusted() || self.is_named(host, address.port())
            }
            AddressKind::LinkLocal | AddressKind::Metadata => false,
        };
        if allowed || self.lists(host, address) {
            return Ok(());
        }
        let host = bare(host);
        let resolved = (!is_literal || host != address.ip().to_string()).then(|| address.ip());
        Err(Refused { kind, host, address: resolved, port: address.port(), by })
    }

    /// Checks a host whose name a proxy resolves. An IP address is checked as in
    /// [`PrivateHosts::judge`]. `localhost` counts as loopback. A name with a percent sign, which is
    /// invalid and which the proxy might decode, counts as special-purpose. Other names are allowed.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn judge_name(&self, by: NamedBy, host: &str, port: u16) -> Result<(), Refused> {
        let ip = match literal(host) {
            Some(ip) => ip,
            None if is_localhost(host) => Ipv4Addr::LOCALHOST.into(),
            None if bare(host).contains('%') => Ipv4Addr::UNSPECIFIED.into(),
            None => return Ok(()),
        };
        self.judge(by, host, false, SocketAddr::new(ip, port))
    }

    /// Whether an address that `teller` named may be contacted.
    pub fn may_hear(&self, teller: Option<IpAddr>, address: SocketAddr) -> bool {
        may_tell(teller, address.ip()) || self.lists("", address)
    }
}
