//! The compact format of peer addresses (BEP 23, 7, 11): six bytes for IPv4, eighteen for IPv6.

use std::net::{IpAddr, SocketAddr};

/// Decodes IPv4 addresses of six bytes each; an incomplete one at the end is ignored.
pub(super) fn v4(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> {
    bytes.chunks_exact(6).filter_map(|peer| {
        let (ip, port) = peer.split_first_chunk::<4>()?;
        Some(SocketAddr::from((*ip, u16::from_be_bytes(port.try_into().ok()?))))
    })
}

/// Decodes IPv6 addresses of eighteen bytes each; an incomplete one at the end is ignored.
pub(super) fn v6(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> {
    bytes.chunks_exact(18).filter_map(|peer| {
        let (ip, port) = peer.split_first_chunk::<16>()?;
        Some(SocketAddr::from((*ip, u16::from_be_bytes(port.try_into().ok()?))))
    })
}

/// Whether a peer can listen at this address.
pub(super) fn can_be_a_peer(address: SocketAddr) -> bool {
    let nobody = match address.ip() {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    let ip = address.ip();
    address.port() != 0 && !nobody && !ip.is_unspecified() && !ip.is_multicast()
}
