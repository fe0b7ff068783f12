//! The peer exchange messages for one peer.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::address::may_tell;
use crate::protocol::compact;

#[cfg(test)]
mod tests;

/// PEX flag: the peer has everything or requests nothing.
pub const SEED: u8 = 0x02;
/// PEX flag: we connected to the peer, so others can too.
pub const REACHABLE: u8 = 0x10;

/// BEP 11's limit for the peers named in a message, and for those reported as gone.
const MAX_IN_A_MESSAGE: usize = 50;

/// How many peers are remembered as named. Connections are far fewer, except for a seed that was
/// allowed more.
const MAX_TOLD: usize = 250;

/// BEP 11 allows one message a minute.
const INTERVAL: Duration = Duration::from_secs(60);

/// The delay after the handshake, because peers connect in bursts; afterwards, how often to check
/// for changes.
const LOOK: Duration = Duration::from_secs(1);

/// A connected peer to which others can connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub address: SocketAddr,
    /// A combination of [`SEED`] and [`REACHABLE`].
    pub flags: u8,
}

/// What one peer has been told, and when it may be told more.
#[derive(Debug, Default)]
pub struct PexSender {
    told: HashSet<SocketAddr>,
    next_at: Option<Duration>,
}

impl PexSender {
    /// Whether to check for changes now. Must be called from the handshake on.
    pub fn is_due(&mut self, now: Duration) -> bool {
        now >= *self.next_at.get_or_insert(now + LOOK)
    }

    /// Returns the message for the peer at address `to`, if that is known: which of the `connected`
    /// peers are new to it, and which are gone. `None` if nothing changed.
    pub fn message(
        &mut self,
        now: Duration,
        to: Option<IpAddr>,
        connected: &[Neighbour],
    ) -> Option<Vec<u8>> {
        self.next_at = Some(now + LOOK);
        let here: HashSet<SocketAddr> = connected.iter().map(|it| it.address).collect();
        let mut dropped = Vec::new();
        self.told.retain(|address| {
            let goes = dropped.len() < MAX_IN_A_MESSAGE && !here.contains(address);
            if goes {
                dropped.push(Neighbour { address: *address, flags: 0 });
            }
            !goes
        });
        let mut added = Vec::new();
        for peer in connected {
            if added.len() == MAX_IN_A_MESSAGE || self.told.len() == MAX_TOLD {
                break;
            }
            if compact::can_be_a_peer(peer.address)
                && may_tell(to, peer.address.ip())
                && self.told.insert(peer.address)
            {
                added.push(*peer);
            }
        }
        if added.is_empty() && dropped.is_empty() {
            return None;
        }
        self.next_at = Some(now + INTERVAL);
        Some(encode(&added, &dropped))
    }
}

fn encode(added: &[Neighbour], dropped: &[Neighbour]) -> Vec<u8> {
    let mut message = b"d".to_vec();
    let mut text = |key: &str, value: &[u8]| {
        message.extend_from_slice(format!("{}:{key}{}:", key.len(), value.len()).as_bytes());
        message.extend_from_slice(value);
    };
    let of = |peers: &[Neighbour], v4: bool| {
        let (mut compact, mut flags) = (Vec::new(), Vec::new());
        for peer in peers.iter().filter(|peer| peer.address.is_ipv4() == v4) {
            match peer.address.ip() {
                IpAddr::V4(ip) => compact.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => compact.extend_from_slice(&ip.octets()),
            }
            compact.extend_from_slice(&peer.address.port().to_be_bytes());
            flags.push(peer.flags);
        }
        (compact, flags)
    };
    let ((v4, v4_flags), (v6, v6_flags)) = (of(added, true), of(added, false));
    text("added", &v4);
    text("added.f", &v4_flags);
    text("added6", &v6);
    text("added6.f", &v6_flags);
    text("dropped", &of(dropped, true).0);
    text("dropped6", &of(dropped, false).0);
    message.push(b'e');
    message
}
