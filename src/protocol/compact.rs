//! Addresses of peers as trackers and peers write them: six bytes, or eighteen for IPv6 (BEP 23, 7, 11).

use std::net::{IpAddr, SocketAddr};

/// Each six bytes are an address; what is left over at the end is none.
pub(super) fn v4(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> {
    bytes.chunks_exact(6).filter_map(|peer| {
        let (ip, port) = peer.split_first_chunk::<4>()?;
        Some(SocketAddr::from((*ip, u16::from_be_bytes(port.try_into().ok()?))))
    })
}

/// Each eighteen bytes are an address.
pub(super) fn v6(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> {
    bytes.chunks_exact(18).filter_map(|peer| {
        let (ip, port) = peer.split_first_chunk::<16>()?;
        Some(SocketAddr::from((*ip, u16::from_be_bytes(port.try_into().ok()?))))
    })
}

/// Whether anyone can listen there.
pub(super) fn can_be_a_peer(address: SocketAddr) -> bool {
    let nobody = match address.ip() {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    let ip = address.ip();
    address.port() != 0 && !nobody && !ip.is_unspecified() && !ip.is_multicast()
}
